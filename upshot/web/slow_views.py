"""Views whose rows take long to read: a browser is told so at once, and gets the view when it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds that a browser waits for a view; for which a view that was read waits for its browser.
PATIENCE, UNCLAIMED = 0.7, 10.0
#: A browser that was told waits so many times as long: it shows meanwhile that the rows are being read.
_LONGER = 7
#: Views that browsers were told of; of more, each browser waits for its own.
_MOST = 64


@dataclass
class SlowView(Generic[T]):
    """A view on its way, since an instant of the monotonic clock; `read_at`: when it was there."""

    task: asyncio.Task[T]
    begun_at: float
    read_at: float | None = None


class SlowViews(Generic[T]):
    """The views that browsers of one server were told to come back for, by their addresses."""

    def __init__(self, patience: float = PATIENCE, clock: Callable[[], float] = monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._views: dict[str, SlowView[T]] = {}

    async def view(
        self, key: str, work: Callable[[], Awaitable[T]], may_be_slow: Callable[[], Awaitable[bool]]
    ) -> T | float:
        """What `work` finds; after the patience the seconds since its beginning, where it `may_be_slow`.

        In that case the work goes on: who asks with the same key waits longer and gets what it finds, once.
        Its errors go there, too. Otherwise nobody gets what was found for another one.
        """
        self._forget()
        known = self._views.get(key)
        slow = known or self._begun(work)
        await asyncio.wait({slow.task}, timeout=self._patience * (_LONGER if known else 1))
        if not slow.task.done() and await may_be_slow() and self._hold(key, slow):
            return self._clock() - slow.begun_at
        try:
            return await slow.task
        finally:
            if self._views.get(key) is slow:
                del self._views[key]

    async def close(self) -> None:
        """End what is on its way."""
        tasks = {each.task for each in self._views.values()}
        self._views.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begun(self, work: Callable[[], Awaitable[T]]) -> SlowView[T]:
        slow = SlowView(asyncio.ensure_future(_awaited(work)), self._clock())

        def ended(task: asyncio.Task[T]) -> None:
            slow.read_at = self._clock()
            if not task.cancelled():
                task.exception()  # one that nobody comes back for is no fault of the event loop

        slow.task.add_done_callback(ended)
        return slow

    def _hold(self, key: str, slow: SlowView[T]) -> bool:
        """Hold a view for its browser. Whether it is held: there may be too many, or another one."""
        if len(self._views) < _MOST:
            self._views.setdefault(key, slow)
        return self._views.get(key) is slow

    def _forget(self) -> None:
        """Forget views that nobody came back for."""
        for key, each in list(self._views.items()):
            if each.read_at is not None and self._clock() - each.read_at > UNCLAIMED:
                del self._views[key]


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


__all__ = ["PATIENCE", "UNCLAIMED", "SlowView", "SlowViews"]
