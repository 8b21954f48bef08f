"""One replay of deferred code, from its top to its end or to a missing answer.

Each request of the code is a place: named, compared with the last execution, and turned into commands.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, assert_never

import msgspec
from msgspec import Raw

from upshot.errors import Misuse
from upshot.followups.branches import MAIN, Branch, current_branch
from upshot.followups.history import ReplayHistory
from upshot.followups.states import BranchState
from upshot.processors.followups.execution import (
    Command,
    DeferMore,
    EmitScore,
    FollowupSpec,
    HistoryEntry,
    KeepResult,
    OpenWait,
    SetTimer,
    Snapshot,
    WaitAnswer,
)
from upshot.schemas.ids import fact_id
from upshot.streams.events.decoded import Preceding
from upshot.streams.events.instants import Micros, instant

#: Most places of one replay: a follow-up's state is read and written as a whole.
MOST_PLACES = 5_000
_LONGEST_SHAPE = 160
_OVER = "this follow-up's code has ended, its ctx can't be used any more: await all that you start"
_OUTSIDE = (
    "ctx is used outside of the scorer's own code, such as inside a step: a step is plain code; use ctx "
    "before and after it"
)
_ENDLESS = (
    f"this code has waited, scored or run steps {MOST_PLACES:,} times: a loop that never ends? To hear of "
    "the next event, say since=event; for endless work, end and ctx.defer the next part"
)


class Suspended(BaseException):
    """Leaves the code, since an answer isn't known yet. Not an Exception: user code isn't to catch this."""


@dataclass(frozen=True)
class WaitRequest:
    """The parameters of one wait; see `OpenWait`."""

    subject: str
    on: dict[str, str | None]
    since: Micros
    deadline: Micros
    after: tuple[Preceding, ...] = ()
    #: None for the setting's tolerance.
    tolerance: Micros | None = None
    #: The question as asked by versions without an order of events: replays of theirs continue so.
    before: WaitRequest | None = None


class Replay:
    """The state of one replay: branches, places, commands, results of steps."""

    def __init__(
        self, memory: Snapshot, results: dict[str, Raw], not_run: dict[str, str] | None = None
    ) -> None:
        self.origin = memory.origin
        self.results = results
        #: Where steps aren't to be run: the steps without a result, name by id.
        self.not_run = not_run
        #: Results of steps run by this replay itself; with those in `seen` the code has continued.
        self.gained: dict[str, Raw] = {}
        self.seen: set[str] = set()
        self.steps: set[asyncio.Task[Any]] = set()
        self.branches: list[Branch] = []
        self.history = ReplayHistory(memory.path)
        #: The first missing answer, in words.
        self.missing: str | None = None
        #: The text of the last Misuse for a refused branch: the code may have caught the exception.
        self.misuse: str | None = None
        self._over = False
        self._answers = memory.answers
        self._commands: list[Command] = []
        self._asked: set[str] = set()
        self._deferred: set[str] = set()
        self._scores: dict[str, EmitScore] = {}

    def begin(self, task: asyncio.Task[Any]) -> Branch:
        """The branch in which the code begins."""
        branch = Branch(self.branches, MAIN, self.origin.deferred_at)
        branch.enter(task)
        return branch

    @property
    def commands(self) -> tuple[Command, ...]:
        """All commands, scores last: of several scores with one identity the last."""
        return (*self._commands, *self._scores.values())

    def here(self, *, asks: bool = True) -> Branch:
        """The running branch, as `upshot.followups.states` has the rules. Raises Misuse, Suspended.

        With `asks=False` the code only looks, and asks for nothing.
        """
        branch = current_branch()
        ours = branch is not None and branch.of_replay is self.branches
        if self._over:
            if ours and self.missing is not None:
                raise Suspended
            raise Misuse(_OVER)
        if branch is None or not ours:
            raise Misuse(_OUTSIDE)
        match branch.state:
            case BranchState.ABANDONED:
                raise Suspended
            case BranchState.SUSPENDED:
                if isinstance(sys.exc_info()[1], Suspended):
                    raise Suspended
                raise self._refusal(swallowed(self.missing))
            case BranchState.INTERRUPTED:
                if self.missing is not None:
                    raise Suspended
                raise self._refusal(_interrupted(branch.interrupted_step))
            case BranchState.BEGUN | BranchState.RUNNING | BranchState.FAILING:
                self._go_on(branch, asks)
                return branch
            case _:
                assert_never(branch.state)

    def _go_on(self, branch: Branch, asks: bool) -> None:
        if not asks:
            branch.looks()
        elif (failure := branch.asks()) is not None:
            # The code has got over the failure: from now on the step has failed for good.
            self._commands.append(failure)

    def _refusal(self, text: str) -> Misuse:
        self.misuse = text
        return Misuse(text)

    def note(self, branch: Branch, what: str, shape: str, revision: int = 0) -> str:
        """Name a place, and compare the place with the last execution. Gives the place's key.

        Raises NonDeterminismError, and Misuse beyond `MOST_PLACES`.
        """
        key = branch.key(what, shape)
        branch.count(what, shape)
        self.history.note(branch.name, HistoryEntry(key, shape, revision))
        if len(self.history.path) > MOST_PLACES:
            raise self._refusal(_ENDLESS)
        return key

    def ask(self, branch: Branch, questions: Sequence[tuple[str, WaitRequest]]) -> list[WaitAnswer | None]:
        """Ask all questions, each with its name; gives the known answers."""
        answers = []
        for name, request in questions:
            what = f"wait {name}"
            if request.before is not None and self._asked_before(branch, what, request.before):
                request = request.before
            shape = _shape_of(request)
            wait_id, answer = self._place(branch, what, shape)
            window = branch.now(), request.since, request.deadline, request.after, request.tolerance
            self._ask(wait_id, OpenWait(wait_id, request.subject, request.on, *window))
            answers.append(answer)
        return answers

    def set_timer(self, branch: Branch, due: Micros) -> WaitAnswer | None:
        """Ask to continue at `due`; gives the answer, where known."""
        timer_id, answer = self._place(branch, "sleep", f"until {_shown(due)}")
        self._ask(timer_id, SetTimer(timer_id, due))
        return answer

    def keep(self, result: KeepResult) -> None:
        """A step has a result."""
        self._commands.append(result)

    def give(self, score: EmitScore) -> None:
        """A score is given; given again, the later score counts."""
        self._scores.pop(score.score_id, None)
        self._scores[score.score_id] = score

    def defer(self, origin: FollowupSpec) -> None:
        """More is deferred; of several deferrals with one id the first counts."""
        if origin.followup_id not in self._deferred:
            self._deferred.add(origin.followup_id)
            self._commands.append(DeferMore(origin))

    def suspend(self, branch: Branch, missing: str) -> Suspended:
        """The exception leaving the code of a branch with a missing answer."""
        branch.suspend()
        if self.missing is None:
            self.missing = missing
        assert branch.task is not None
        branch.task.add_done_callback(_looked_at)
        return Suspended(missing)

    def end(self, ending: Literal["waiting", "done", "failed"]) -> None:
        """The replay is over: an answer is missing, the code came to its end, or the code raised."""
        self._over = True
        for branch in self.branches:
            if ending == "done":
                if (failure := branch.open_failure()) is not None:
                    self._commands.append(failure)
                self.history.expect_no_more(branch.name, "ends")
            elif ending == "waiting" and branch.name == MAIN:
                self.history.expect_no_more(branch.name, "waits before that")

    def _ask(self, ident: str, request: OpenWait | SetTimer) -> None:
        if ident not in self._asked:
            self._asked.add(ident)
            self._commands.append(request)

    def _place(self, branch: Branch, what: str, shape: str) -> tuple[str, WaitAnswer | None]:
        """The id of a question of this shape in this branch, and the answer, where known.

        The very same question asked again has the same answer: a loop of such questions ends soon, by
        `MOST_PLACES`.
        """
        ident = fact_id(self.origin.followup_id, f"{branch.name} {what}", shape)
        answer = self._answers.get(ident)
        self.note(branch, what, shape, 0 if answer is None else answer.revision)
        return ident, answer

    def _asked_before(self, branch: Branch, what: str, request: WaitRequest) -> bool:
        """Whether the last execution asked this question at this place."""
        shape = _shape_of(request)
        return self.history.has_next(branch.name, branch.key(what, shape), shape)


def swallowed(missing: str | None) -> str:
    """The error text for code continuing without an answer."""
    return (
        f"the code went on without knowing {missing or 'an answer'}: something caught what leaves the code "
        "until that is known. Write `except Exception:` where it says `except:` or `except BaseException:`, "
        "leave out return_exceptions=True, and await each task that you start"
    )


def short(text: str) -> str:
    """A text, or its beginning with a hash of the whole text."""
    if len(text) <= _LONGEST_SHAPE:
        return text
    return f"{text[:_LONGEST_SHAPE]}…{blake2b(text.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def _looked_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _shape_of(request: WaitRequest) -> str:
    conditions = sorted(f"{kind}: {when}" for kind, when in request.on.items() if when is not None)
    window = f"from {_shown(request.since)} to {_shown(request.deadline)}"
    after = [
        f"after {fact_id(*map(str, last_answer))}"
        for last_answer in map(msgspec.structs.astuple, request.after)
    ]
    return short(" ".join([window, *conditions, *after]))


def _shown(at: Micros) -> str:
    return instant(at).isoformat().replace("+00:00", "Z")


def _interrupted(step: str | None) -> str:
    return (
        f"step {step!r} was cancelled by the code around it, which goes on: the next time its result would "
        "be there. Put a time limit into the step's own function, not around ctx.step"
    )


__all__ = ["MOST_PLACES", "Replay", "Suspended", "WaitRequest", "short", "swallowed"]
