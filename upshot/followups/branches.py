"""Lanes: the branches of asynchronous code, each with a name that is the same whenever the code is run.

What code asks for is named after its place in the code. Where it does several things at once (`asyncio.gather`,
a TaskGroup) the order among these depends on what is known already; inside of one branch it doesn't. So places
are counted for each branch, a branch being an asyncio task, named by the function that it runs.

`upshot.followups.states` has the table of a branch's states.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from upshot.followups.states import BranchEvent, BranchState, after
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
        self.state: BranchState = BranchState.BEGUN if parent is None else parent.state.of_new_branch
        self.task: asyncio.Task[Any] | None = None
        #: The failed step of a branch in the state FAILING, the awaited one in the state INTERRUPTED.
        self._failed_step: KeepResult | None = None
        self.interrupted_step: str | None = None
        #: How often the branch has asked, looked or begun a branch; and the parent's number when this branch ended.
        self._moves = 0
        self._ended_at_move: int | None = None
        self._clock = clock
        self._first_heard = self._heard = last_answer
        self._counts: Counter[tuple[str, str]] = Counter()
        self._begun: Counter[str] = Counter()
        self._branches: list[Branch] = []

    def asks(self) -> KeepResult | None:
        """The code goes on and asks for something. Gives the failure of a step that thereby counts."""
        self._moves += 1
        failure = self.open_failure()
        self._on(BranchEvent.ASKS)
        return failure

    def looks(self) -> None:
        """The code goes on, and asks for nothing yet."""
        self._moves += 1

    def suspend(self) -> None:
        """An answer is missing."""
        self._on(BranchEvent.ANSWER_MISSING)

    def interrupt(self, step: str) -> None:
        """The branch was cancelled while it awaited a step."""
        self.interrupted_step = step
        self._on(BranchEvent.STEP_CANCELLED)

    def step_failed(self, failure: KeepResult) -> None:
        """A step failed; whether the code gets over the failure isn't known yet."""
        self._failed_step = failure
        self._on(BranchEvent.STEP_FAILED)

    def open_failure(self) -> KeepResult | None:
        """The failure of a step that the code has not got over yet."""
        return self._failed_step if self.state is BranchState.FAILING else None

    def _on(self, event: BranchEvent) -> None:
        self.state = after(self.state, event)

    @property
    def ended(self) -> bool:
        """Whether its task is done."""
        return self.task is None or self.task.done()

    def raised(self) -> BaseException | None:
        """The exception that ended the branch."""
        if self.task is None or not self.task.done() or self.task.cancelled():
            return None
        return self.task.exception()

    def ended_unnoticed(self) -> bool:
        """Whether the branch above hasn't gone on since the end of this one was noted."""
        return self.parent is not None and self.parent._moves == self._ended_at_move

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
        self._moves += 1
        name = f"{self.name}/{function}#{self._begun[function]}"
        branch = Branch(self.replay, name, self.now(), self._heard, self)
        branch.enter(task)
        self._branches.append(branch)

    def enter(self, task: asyncio.Task[Any]) -> None:
        """Be the branch that `task` walks."""
        self.task = task
        _branches_of_tasks[task] = self
        self.replay.branches.append(self)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        if self.parent is not None:
            self._ended_at_move = self.parent._moves

    def leave(self) -> None:
        """Let go of its task and of all around it: they hold each other, and nobody else would ever part them."""
        if self.task is not None and self.task.done():
            _branches_of_tasks.pop(self.task, None)
        self.task = self.parent = None
        self._branches = []

    def _join(self) -> None:
        """Know what the branches know that are over: of several the answer that is latest in time."""
        over = [branch for branch in self._branches if branch.ended]
        if not over:
            return
        self._branches = [branch for branch in self._branches if branch not in over]
        self._clock = max(self._clock, *(branch.now() for branch in over))
        heard = [
            answer
            for branch in over
            if (answer := branch.last_answer()) is not None and answer is not branch._first_heard
        ]
        self._heard = max(heard, key=time_of, default=self._heard)


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
