"""The in-flight write: a unit's changes are being acknowledged while the next unit is processed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class InFlightWrite:
    """At most one piece of work going on beside the units. Its failure is raised to the waiting caller."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin; work begun before must have landed."""
        self._task = asyncio.create_task(work)

    async def landed(self) -> None:
        """Return once nothing is on its way any more. Raises the failure of the work."""
        if self._task is not None:
            await asyncio.wait({self._task})
            task, self._task = self._task, None
            task.result()

    async def drop(self, within: float) -> bool:
        """Give up the work on its way; whether the work ended in time."""
        task, self._task = self._task, None
        if task is None:
            return True
        task.cancel()
        if not (await asyncio.wait({task}, timeout=within))[0]:
            return False
        if not task.cancelled():
            task.exception()
        return True


__all__ = ["InFlightWrite"]
