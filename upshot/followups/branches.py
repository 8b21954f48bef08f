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

from upshot.processors.followups.execution import KeepResult, WaitAnswer
from upshot.streams.events.instants import Micros

if TYPE_CHECKING:
    from upshot.followups.replay import Replay

MAIN = "main"


class Branch:
    """One branch of a walk through the code, with the follow-up's clock as this branch knows it."""

    def __init__(
        self,
        replay: Replay,
        name: str,
        clock: Micros,
        last_answer: WaitAnswer | None = None,
        parent: Branch | None = None,
    ) -> None:
        self.replay = replay
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
        self.first = last_answer
        self._clock = clock
        self._heard = last_answer
        self._counts: Counter[tuple[str, str]] = Counter()
        self._begun: Counter[str] = Counter()
        self._branches: list[Branch] = []

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

    def last_answer(self) -> WaitAnswer | None:
        """The answer that was heard last."""
        self._join()
        return self._heard

    def hear(self, answer: WaitAnswer) -> None:
        """Go on with an answer."""
        self._clock, self._heard = max(self._clock, time_of(answer)), answer

    def branch(self, task: asyncio.Task[Any], function: str) -> None:
        """A task was started in this branch."""
        self._begun[function] += 1
        self.moved_at = self.replay.tick()
        name = f"{self.name}/{function}#{self._begun[function]}"
        branch = Branch(self.replay, name, self.now(), self._heard, self)
        branch.ghost = self.ghost or self.suspended
        branch.enter(task)
        self._branches.append(branch)

    def enter(self, task: asyncio.Task[Any]) -> None:
        """Be the branch that `task` walks."""
        self.task = task
        _branches_of_tasks[task] = self
        self.replay.branches.append(self)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self.ended_at = self.replay.tick()

    def leave(self) -> None:
        """Let go of its task and of all around it: they hold each other, and nobody else would ever part them."""
        if self.task is not None and self.task.done():
            _branches_of_tasks.pop(self.task, None)
        self.task = self.parent = None
        self._branches = []

    def _join(self) -> None:
        """Know what the branches know that are over: of several the answer that is latest in time."""
        over = [branch for branch in self._branches if branch.task is None or branch.task.done()]
        if not over:
            return
        self._branches = [branch for branch in self._branches if branch not in over]
        self._clock = max(self._clock, *(branch.now() for branch in over))
        last_answer = [
            answer
            for branch in over
            if (answer := branch.last_answer()) is not None and answer is not branch.first
        ]
        self._heard = max(last_answer, key=time_of, default=self._heard)


def time_of(answer: WaitAnswer) -> Micros:
    """When what it tells happened."""
    return answer.at if answer.event is None else answer.event.time


def current_branch() -> Branch | None:
    """The branch that this code is part of; None outside of one, such as inside a step."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else _branches_of_tasks.get(task)


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
        branch = None if around is None else _branches_of_tasks.get(around)
        if branch is not None:
            branch.branch(task, getattr(coro, "__qualname__", type(coro).__name__).rsplit(".", 1)[-1])
        return task


def _plain_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **options)


_branches_of_tasks: WeakKeyDictionary[asyncio.Task[Any], Branch] = WeakKeyDictionary()

__all__ = ["MAIN", "Branch", "current_branch", "time_of", "watch_tasks"]
