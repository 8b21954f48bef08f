"""Lanes: the branches of asynchronous code, each with a name that is the same whenever the code is run.

What code asks for is named after its place in the code. Where it does several things at once (`asyncio.gather`,
a TaskGroup) the order among these depends on what is known already; inside of one branch it doesn't. So places
are counted for each branch, a branch being an asyncio task, named by the function that it runs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from upshot.processors.followups.execution import Answer, KeepResult
from upshot.streams.instants import Micros

if TYPE_CHECKING:
    from upshot.followups.walk import Walk

MAIN = "main"


class Lane:
    """One branch of a walk through the code, with the follow-up's clock as this branch knows it."""

    def __init__(
        self,
        walk: Walk,
        name: str,
        clock: Micros,
        heard: Answer | None = None,
        parent: Lane | None = None,
    ) -> None:
        self.walk = walk
        self.name = name
        self.parent = parent
        self.task: asyncio.Task[Any] | None = None
        #: Whether it was told that an answer isn't known yet, and should be on its way out.
        self.suspended = False
        #: Whether it only began while the branch above was on its way out.
        self.ghost = False
        #: Whether it has asked for anything.
        self.used = False
        #: The step that it was awaiting when it was cancelled.
        self.cut: str | None = None
        #: When it asked for something or began a branch last, on the walk's own count.
        self.moved_at = 0
        self.ended_at = 0
        #: The failure of a step that the code has not got over yet.
        self.failure: KeepResult | None = None
        #: What was heard last before it began.
        self.first = heard
        self._clock = clock
        self._heard = heard
        self._counts: Counter[tuple[str, str]] = Counter()
        self._begun: Counter[str] = Counter()
        self._branches: list[Lane] = []

    def key(self, what: str, shape: str) -> str:
        """The name of the next place where that is asked for: how often it was before is part of it."""
        return f"{self.name} {what} #{self._counts[what, shape] + 1}"

    def count(self, what: str, shape: str) -> None:
        """It was asked for once more."""
        self._counts[what, shape] += 1

    def now(self) -> Micros:
        """The clock: moved by what this branch and those of it that are over have heard."""
        self._join()
        return self._clock

    def heard(self) -> Answer | None:
        """The answer that was heard last."""
        self._join()
        return self._heard

    def hear(self, answer: Answer) -> None:
        """Go on with an answer."""
        self._clock, self._heard = max(self._clock, time_of(answer)), answer

    def branch(self, task: asyncio.Task[Any], function: str) -> None:
        """A task was started in this branch."""
        self._begun[function] += 1
        self.moved_at = self.walk.tick()
        name = f"{self.name}/{function}#{self._begun[function]}"
        lane = Lane(self.walk, name, self.now(), self._heard, self)
        lane.ghost = self.ghost or self.suspended
        lane.enter(task)
        self._branches.append(lane)

    def enter(self, task: asyncio.Task[Any]) -> None:
        """Be the branch that `task` walks."""
        self.task = task
        _lanes[task] = self
        self.walk.lanes.append(self)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self.ended_at = self.walk.tick()

    def leave(self) -> None:
        """Let go of its task and of all around it: they hold each other, and nobody else would ever part them."""
        if self.task is not None and self.task.done():
            _lanes.pop(self.task, None)
        self.task = self.parent = None
        self._branches = []

    def _join(self) -> None:
        """Know what the branches know that are over: of several the answer that is latest in time."""
        over = [lane for lane in self._branches if lane.task is None or lane.task.done()]
        if not over:
            return
        self._branches = [lane for lane in self._branches if lane not in over]
        self._clock = max(self._clock, *(lane.now() for lane in over))
        heard = [answer for lane in over if (answer := lane.heard()) is not None and answer is not lane.first]
        self._heard = max(heard, key=time_of, default=self._heard)


def time_of(answer: Answer) -> Micros:
    """When what it tells happened."""
    return answer.at if answer.event is None else answer.event.time


def current_lane() -> Lane | None:
    """The branch that this code is part of; None outside of one, such as inside a step."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else _lanes.get(task)


def watch_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop tell of tasks that begin inside a lane."""
    before = loop.get_task_factory()
    if not isinstance(before, _Factory):
        factory: Any = _Factory(before)
        loop.set_task_factory(factory)


class _Factory:
    def __init__(self, before: Callable[..., Any] | None) -> None:
        self._make: Callable[..., Any] = before or _plain_task

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        around = asyncio.current_task(loop)
        task: asyncio.Task[Any] = self._make(loop, coro, **options)
        lane = None if around is None else _lanes.get(around)
        if lane is not None:
            lane.branch(task, getattr(coro, "__qualname__", type(coro).__name__).rsplit(".", 1)[-1])
        return task


def _plain_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **options)


_lanes: WeakKeyDictionary[asyncio.Task[Any], Lane] = WeakKeyDictionary()

__all__ = ["MAIN", "Lane", "current_lane", "time_of", "watch_tasks"]
