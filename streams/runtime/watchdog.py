"""The watchdog: a process whose event loop stands still ends, with what every thread does in its log."""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: The loop shows that it turns so many times before it is taken for hung.
SIGNS = 10


@asynccontextmanager
async def watched(within: float) -> AsyncIterator[None]:
    """End the process, with exit code 1, once this event loop has stood still for so many seconds.

    The watch is kept in C, beside the interpreter: also code never giving up the interpreter is ended.
    Uncommitted records come again, and a record to blame is found by `poison`.
    """
    signs = asyncio.create_task(_show_signs(within))
    try:
        yield
    finally:
        signs.cancel()
        faulthandler.cancel_dump_traceback_later()


async def _show_signs(within: float) -> None:
    while True:
        faulthandler.dump_traceback_later(within, exit=True, file=2)
        await asyncio.sleep(within / SIGNS)


__all__ = ["watched"]
