"""An event loop in a thread of its own, noticing user code blocking the loop."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable

from upshot.followups.failing import is_users

logger = logging.getLogger(__name__)

_STOP_WITHIN = 2.0


class LoopThread:
    """Runs an event loop until `stop`. A daemon: code without an end doesn't keep the process."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._asked: float | None = None
        self._stopping = False
        self._calls: deque[Callable[[], object]] = deque()
        self._woken = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], object]) -> None:
        """Have the loop call a function, from any thread; nothing once the loop is stopped.

        Calls arriving before the loop's next pass are handed over together: waking the loop costs more than
        most calls.
        """
        self._calls.append(function)
        if not self._woken and not self.loop.is_closed():
            self._woken = True
            self.loop.call_soon_threadsafe(self._take_calls)

    def blocked_for(self) -> float:
        """Seconds for which the loop hasn't answered. Each call asks anew, once the last was answered."""
        asked = self._asked
        if asked is not None:
            return time.monotonic() - asked
        self._asked = time.monotonic()
        self.call(self._answer)
        return 0.0

    def where(self) -> str | None:
        """The place in the user's code at which the thread is; None outside of user code."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        walked = [place for place in traceback.extract_stack(frame) if is_users(place.filename)]
        return (
            f"{walked[-1].filename}:{walked[-1].lineno} in {walked[-1].name}"
            if walked
            else "an unknown place"
        )

    def stop(self) -> None:
        """Cancel all tasks and end, from another thread; a blocked loop is left to itself."""
        self._stopping = True
        self.call(self._cancel_all)
        self._thread.join(_STOP_WITHIN)

    def _take_calls(self) -> None:
        self._woken = False  # first: what comes from here on wakes again
        while self._calls:
            self.loop.call_soon(self._calls.popleft())

    def _answer(self) -> None:
        self._asked = None

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        ended = asyncio.gather(*tasks, return_exceptions=True)
        ended.add_done_callback(lambda _: self.loop.stop())

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._stopping:
            try:
                self.loop.run_forever()
            except BaseException:
                logger.exception("a task of a follow-up's code tried to end its thread: the others go on")
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


__all__ = ["LoopThread"]
