"""SIGTERM: the runs under way end as cancelled before the process does, where there is no other handler."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from upshot.sdk.scope import Scope

logger = logging.getLogger("upshot")

#: Seconds for which the end of the process waits for the runs.
PATIENCE = 5.0


class Terminated(BaseException):
    """The process was told to end (SIGTERM)."""


_open: WeakSet[Scope] = WeakSet()
_installed = False
_closing: list[Callable[[], None]] = []


def watch(run: Scope) -> None:
    """End this run as cancelled if SIGTERM comes before its end."""
    _open.add(run)
    if not _installed and threading.current_thread() is threading.main_thread():
        _install()


def unwatch(run: Scope) -> None:
    """The run has ended."""
    _open.discard(run)


def at_termination(close: Callable[[], None]) -> None:
    """A further call before the process ends."""
    _closing.append(close)


def _install() -> None:
    """A handler of the program's own stays, whatever its origin."""
    global _installed
    _installed = True
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: Any) -> None:
    # In a thread of its own: this thread may hold a lock needed to end a run, and would wait in vain.
    ending = threading.Thread(target=_end_all, name="upshot-termination", daemon=True)
    ending.start()
    ending.join(PATIENCE + 1)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _end_all() -> None:
    for run in list(_open):
        try:
            run.finish(Terminated("SIGTERM"))
        except Exception:
            logger.exception("a run could not be ended")
    for close in _closing:
        close()


def _begin_in_child() -> None:
    """Runs under way at a fork are the parent's to end."""
    _open.clear()


os.register_at_fork(after_in_child=_begin_in_child)

__all__ = ["Terminated", "at_termination", "unwatch", "watch"]
