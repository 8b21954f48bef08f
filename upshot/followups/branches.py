"""The branches of asynchronous code, each with a name unchanging from replay to replay.

Every request of the code is named after its place in the code. Among concurrent parts (`asyncio.gather`, a
TaskGroup) the order of requests depends on the answers known already; inside of one branch the order doesn't.
So places are counted for each branch. A branch is an asyncio task, named by the function running in the task.

`upshot.followups.states` has the table of a branch's states.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakKeyDictionary

from upshot.followups.states import BranchEvent, BranchState, after
from upshot.processors.followups.execution import KeepResult, WaitAnswer
from upshot.streams.events.instants import Micros

MAIN = "main"


class Branch:
    """One branch of a replay, with the follow-up's clock as known to this branch."""

    def __init__(
        self,
        of_replay: list[Branch],
        name: str,
        clock: Micros,
        last_answer: WaitAnswer | None = None,
        parent: Branch | None = None,
    ) -> None:
        #: All branches of the replay, this branch included once it is entered.
        self.of_replay = of_replay
        self.name = name
        self.parent = parent
        self.state: BranchState = BranchState.BEGUN if parent is None else parent.state.of_new_branch
        self.task: asyncio.Task[Any] | None = None
        #: The failed step in the state FAILING, the awaited step in the state INTERRUPTED.
        self._failed_step: KeepResult | None = None
        self.interrupted_step: str | None = None
        #: The number of requests, looks and new branches; and the parent's number at the end of this branch.
        self._moves = 0
        self._ended_at_move: int | None = None
        self._clock = clock
        self._first_answer = self._last_answer = last_answer
        self._counts: Counter[tuple[str, str]] = Counter()
        self._begun: Counter[str] = Counter()
        self._branches: list[Branch] = []

    def asks(self) -> KeepResult | None:
        """The code continues and asks for something. Gives the failure of a step counting from now on."""
        self._moves += 1
        failure = self.open_failure()
        self._on(BranchEvent.ASKS)
        return failure

    def looks(self) -> None:
        """The code continues without asking for anything."""
        self._moves += 1

    def suspend(self) -> None:
        """An answer is missing."""
        self._on(BranchEvent.ANSWER_MISSING)

    def interrupt(self, step: str) -> None:
        """The branch was cancelled while awaiting a step."""
        self.interrupted_step = step
        self._on(BranchEvent.STEP_CANCELLED)

    def step_failed(self, failure: KeepResult) -> None:
        """A step failed; whether the code gets over the failure isn't known yet."""
        self._failed_step = failure
        self._on(BranchEvent.STEP_FAILED)

    def open_failure(self) -> KeepResult | None:
        """The failure of a step, as long as the code has not got over the failure."""
        return self._failed_step if self.state is BranchState.FAILING else None

    def _on(self, event: BranchEvent) -> None:
        self.state = after(self.state, event)

    @property
    def ended(self) -> bool:
        """Whether the branch's task is done."""
        return self.task is None or self.task.done()

    def raised(self) -> BaseException | None:
        """The exception by which the branch ended."""
        if self.task is None or not self.task.done() or self.task.cancelled():
            return None
        return self.task.exception()

    def ended_unnoticed(self) -> bool:
        """Whether the branch above hasn't continued since the end of this branch was noted."""
        return self.parent is not None and self.parent._moves == self._ended_at_move

    def key(self, what: str, shape: str) -> str:
        """The name of the next place with this request, with the number of the request among equal ones."""
        return f"{self.name} {what} #{self._counts[what, shape] + 1}"

    def count(self, what: str, shape: str) -> None:
        """The request was made once more."""
        self._counts[what, shape] += 1

    def now(self) -> Micros:
        """The clock: moved by the answers of this branch and of the ended branches below."""
        self._join()
        return self._clock

    def last_answer(self) -> WaitAnswer | None:
        """The answer received last."""
        self._join()
        return self._last_answer

    def hear(self, answer: WaitAnswer) -> None:
        """Continue with an answer."""
        self._clock, self._last_answer = max(self._clock, time_of(answer)), answer

    def branch(self, task: asyncio.Task[Any], function: str) -> None:
        """A task was started in this branch."""
        self._begun[function] += 1
        self._moves += 1
        name = f"{self.name}/{function}#{self._begun[function]}"
        branch = Branch(self.of_replay, name, self.now(), self._last_answer, self)
        branch.enter(task)
        self._branches.append(branch)

    def enter(self, task: asyncio.Task[Any]) -> None:
        """Be the branch of `task`."""
        self.task = task
        _branches_of_tasks[task] = self
        self.of_replay.append(self)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        if self.parent is not None:
            self._ended_at_move = self.parent._moves

    def leave(self) -> None:
        """Drop the references to the task and other branches: in cycles, nobody else would ever part them."""
        if self.task is not None and self.task.done():
            _branches_of_tasks.pop(self.task, None)
        self.task = self.parent = None
        self._branches = []

    def _join(self) -> None:
        """Take over the knowledge of ended branches: of several answers the latest in time."""
        over = [branch for branch in self._branches if branch.ended]
        if not over:
            return
        self._branches = [branch for branch in self._branches if branch not in over]
        self._clock = max(self._clock, *(branch.now() for branch in over))
        event = [
            answer
            for branch in over
            if (answer := branch.last_answer()) is not None and answer is not branch._first_answer
        ]
        self._last_answer = max(event, key=time_of, default=self._last_answer)


def time_of(answer: WaitAnswer) -> Micros:
    """The time of the event behind an answer, or of the passed deadline."""
    return answer.at if answer.event is None else answer.event.time


def current_branch() -> Branch | None:
    """The branch of the running code; None outside of branches, such as inside a step."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else _branches_of_tasks.get(task)


def watch_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop make a branch of each task started inside a branch."""
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
