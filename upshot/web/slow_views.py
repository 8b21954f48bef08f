"""Views whose rows take long to read: a browser is told so at once, and gets the view when it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds that a browser waits for a view; for which a view waits for its browser.
PATIENCE, UNCLAIMED = 0.7, 120.0
#: Views that are on their way or unclaimed; of more, each browser waits for its own.
_MOST = 64


@dataclass(frozen=True)
class SlowView(Generic[T]):
    """A view on its way, since an instant of the monotonic clock."""

    task: asyncio.Task[T]
    begun_at: float


class SlowViews(Generic[T]):
    """The views on their way of one server, by their addresses."""

    def __init__(self, patience: float = PATIENCE, clock: Callable[[], float] = monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._views: dict[str, SlowView[T]] = {}

    async def view(
        self, key: str, work: Callable[[], Awaitable[T]], may_be_slow: Callable[[], Awaitable[bool]]
    ) -> T | float:
        """What `work` finds; after the patience the seconds since its beginning, where it `may_be_slow`.

        The work goes on: who asks with the same key gets what it finds, once. Its errors go there, too.
        """
        self._forget()
        known = self._views.get(key)
        if known is None:
            known = SlowView(asyncio.ensure_future(_awaited(work)), self._clock())
            known.task.add_done_callback(_seen)
            if len(self._views) < _MOST:
                self._views[key] = known
        await asyncio.wait({known.task}, timeout=self._patience)
        is_held = self._views.get(key) is known
        if not known.task.done() and is_held and await may_be_slow():
            return self._clock() - known.begun_at
        try:
            return await known.task
        finally:
            if self._views.get(key) is known:
                del self._views[key]

    async def close(self) -> None:
        """End what is on its way."""
        tasks = {each.task for each in self._views.values()}
        self._views.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self) -> None:
        """Forget views that nobody came back for."""
        for key, each in list(self._views.items()):
            if each.task.done() and self._clock() - each.begun_at > UNCLAIMED:
                del self._views[key]


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _seen(task: asyncio.Task[T]) -> None:
    """An error that nobody comes back for is no fault of the event loop."""
    if not task.cancelled():
        task.exception()


__all__ = ["PATIENCE", "UNCLAIMED", "SlowView", "SlowViews"]
