"""One walk through deferred code, from its top to where it ends or an answer is missing.

Each thing that the code asks for is a place: named, compared with what the code did when it was last run, and
turned into commands.
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

#: Places on one way through the code: its memory is read and written as a whole.
MOST_PLACES = 5_000
_LONGEST_SHAPE = 160
_OVER = "this follow-up's code has ended, its ctx can't be used any more: await all that you start"
_OUTSIDE = (
    "ctx is used outside of the scorer's own code, such as inside a step: a step is plain code; use ctx "
    "before and after it"
)
_ENDLESS = (
    f"this code has waited, scored or run steps {MOST_PLACES:,} times: a loop that never ends? To hear of the "
    "next event, say since=event; for endless work, end and ctx.defer the next part"
)


class Suspended(BaseException):
    """Leaves the code, since an answer isn't known yet. Not an Exception: user code is not meant to catch it."""


@dataclass(frozen=True)
class Question:
    """What one wait asks; see `OpenWait`."""

    subject: str
    on: dict[str, str | None]
    since: Micros
    deadline: Micros
    after: tuple[Preceding, ...] = ()
    #: None for the setting's.
    tolerance: Micros | None = None
    #: The same as a version asked that knew no order of events: who began so goes on so.
    before: Question | None = None


class Replay:
    """What one walk has been through so far: places, commands, and how it stands."""

    def __init__(
        self, memory: Snapshot, results: dict[str, Raw], not_run: dict[str, str] | None = None
    ) -> None:
        self.origin = memory.origin
        self.results = results
        #: Where steps aren't to be run: those that would have been, name by id.
        self.not_run = not_run
        #: Results of steps that this walk ran itself; `seen` are those that its code went on with.
        self.gained: dict[str, Raw] = {}
        self.seen: set[str] = set()
        self.steps: set[asyncio.Task[Any]] = set()
        self.branches: list[Branch] = []
        self.history = ReplayHistory(memory.path)
        #: The first answer that was missing, in words.
        self.missing: str | None = None
        #: The text of the last Misuse by which a branch was refused, which the code may have caught.
        self.misuse: str | None = None
        self._over = False
        self._answers = memory.answers
        self._commands: list[Command] = []
        self._asked: set[str] = set()
        self._deferred: set[str] = set()
        self._scores: dict[str, EmitScore] = {}

    def begin(self, task: asyncio.Task[Any]) -> Branch:
        """The branch that the code begins in."""
        branch = Branch(self, MAIN, self.origin.deferred_at)
        branch.enter(task)
        return branch

    @property
    def commands(self) -> tuple[Command, ...]:
        """All that was asked for, scores last: of several with one identity the last one."""
        return (*self._commands, *self._scores.values())

    def here(self, *, asks: bool = True) -> Branch:
        """The branch that asks for something. Raises Misuse where none may, Suspended where it's on its way out.

        With `asks=False` it only looks.
        """
        branch = current_branch()
        ours = branch is not None and branch.replay is self
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
            # The code has got over it: from now on that step has failed, whatever comes of trying it again.
            self._commands.append(failure)

    def _refusal(self, text: str) -> Misuse:
        self.misuse = text
        return Misuse(text)

    def note(self, branch: Branch, what: str, shape: str, revision: int = 0) -> str:
        """Name a place, and hold it against what the code did last time. Gives the place's key.

        Raises NonDeterminismError, and Misuse beyond `MOST_PLACES`.
        """
        key = branch.key(what, shape)
        branch.count(what, shape)
        self.history.note(branch.name, HistoryEntry(key, shape, revision))
        if len(self.history.path) > MOST_PLACES:
            raise self._refusal(_ENDLESS)
        return key

    def ask(self, branch: Branch, questions: Sequence[tuple[str, Question]]) -> list[WaitAnswer | None]:
        """Ask all questions, each with its name; gives what is known."""
        answers = []
        for name, question in questions:
            what = f"wait {name}"
            if question.before is not None and self._asked_before(branch, what, question.before):
                question = question.before
            shape = _shape_of(question)
            wait_id, answer = self._place(branch, what, shape)
            window = branch.now(), question.since, question.deadline, question.after, question.tolerance
            self._ask(wait_id, OpenWait(wait_id, question.subject, question.on, *window))
            answers.append(answer)
        return answers

    def set_timer(self, branch: Branch, due: Micros) -> WaitAnswer | None:
        """Ask to go on at `due`; gives what is known."""
        timer_id, answer = self._place(branch, "sleep", f"until {_shown(due)}")
        self._ask(timer_id, SetTimer(timer_id, due))
        return answer

    def keep(self, result: KeepResult) -> None:
        """A step has a result."""
        self._commands.append(result)

    def give(self, score: EmitScore) -> None:
        """A score is given; given again, the later one counts."""
        self._scores.pop(score.score_id, None)
        self._scores[score.score_id] = score

    def defer(self, origin: FollowupSpec) -> None:
        """More is deferred; of several with one id the first one counts."""
        if origin.followup_id not in self._deferred:
            self._deferred.add(origin.followup_id)
            self._commands.append(DeferMore(origin))

    def suspend(self, branch: Branch, missing: str) -> Suspended:
        """What leaves the code of a branch whose answer isn't known yet."""
        branch.suspend()
        if self.missing is None:
            self.missing = missing
        assert branch.task is not None
        branch.task.add_done_callback(_looked_at)
        return Suspended(missing)

    def end(self, ending: Literal["waiting", "done", "failed"]) -> None:
        """No more is asked for: an answer is missing, the code came to its end, or it raised."""
        self._over = True
        for branch in self.branches:
            if ending == "done":
                if (failure := branch.open_failure()) is not None:
                    self._commands.append(failure)
                self.history.expect_no_more(branch.name, "ends")
            elif ending == "waiting" and branch.name == MAIN:
                self.history.expect_no_more(branch.name, "waits before that")

    def _ask(self, ident: str, question: OpenWait | SetTimer) -> None:
        if ident not in self._asked:
            self._asked.add(ident)
            self._commands.append(question)

    def _place(self, branch: Branch, what: str, shape: str) -> tuple[str, WaitAnswer | None]:
        """The id of a question of this shape in this branch, and its answer where that is known.

        The very same question asked again has the same answer: a loop that does so ends soon, by `MOST_PLACES`.
        """
        ident = fact_id(self.origin.followup_id, f"{branch.name} {what}", shape)
        answer = self._answers.get(ident)
        self.note(branch, what, shape, 0 if answer is None else answer.revision)
        return ident, answer

    def _asked_before(self, branch: Branch, what: str, question: Question) -> bool:
        """Whether the code asked so at this place when it was last run."""
        shape = _shape_of(question)
        return self.history.has_next(branch.name, branch.key(what, shape), shape)


def swallowed(missing: str | None) -> str:
    """What to tell whose code goes on without an answer."""
    return (
        f"the code went on without knowing {missing or 'an answer'}: something caught what leaves the "
        "code until that is known. Write `except Exception:` where it says `except:` or `except BaseException:`, leave "
        "out return_exceptions=True, and await each task that you start"
    )


def short(text: str) -> str:
    """A text, or its beginning with a hash of all of it."""
    if len(text) <= _LONGEST_SHAPE:
        return text
    return f"{text[:_LONGEST_SHAPE]}…{blake2b(text.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def _looked_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _shape_of(question: Question) -> str:
    conditions = sorted(f"{kind}: {when}" for kind, when in question.on.items() if when is not None)
    window = f"from {_shown(question.since)} to {_shown(question.deadline)}"
    after = [
        f"after {fact_id(*map(str, last_answer))}"
        for last_answer in map(msgspec.structs.astuple, question.after)
    ]
    return short(" ".join([window, *conditions, *after]))


def _shown(at: Micros) -> str:
    return instant(at).isoformat().replace("+00:00", "Z")


def _interrupted(step: str | None) -> str:
    return (
        f"step {step!r} was cancelled by the code around it, which goes on: the next time its result would be "
        "there. Put a time limit into the step's own function, not around ctx.step"
    )


__all__ = ["MOST_PLACES", "Question", "Replay", "Suspended", "short", "swallowed"]
