"""What one execution of a follow-up's code is given, and what it asks for: plain data on both sides.

Code is run from its top each time that something new is known. What it asks for has a key that depends on the
code's way alone, so an answer known already is given at once, and a question asked again is the same question.
A follow-up has a clock of its own, which moves with what it has heard: an answer's time, a deadline that passed.
So the result is a function of the set of what is known, whatever the order in which it became known, and however
long nobody was there to run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
from msgspec import Raw

from upshot.streams.events.decoded import Preceding
from upshot.streams.events.instants import Micros

_NULL, _NO_EXPOSURES, _NO_ATTRIBUTES = Raw(b"null"), Raw(b"[]"), Raw(b"{}")


class FollowupSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was deferred: which code about which run, with which data. See `upshot.schemas.deferrals.Deferral`."""

    followup_id: str
    run_id: str
    scorer: str
    version: str
    deferred_at: Micros
    #: From when events count unless the code says otherwise: the run's start.
    since: Micros
    data: Raw = _NULL
    step_id: str | None = None
    agent: str | None = None
    exposures: Raw = _NO_EXPOSURES
    attributes: Raw = _NO_ATTRIBUTES


class AnsweredBy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The event that a wait was answered with."""

    id: str
    type: str
    subject: str
    time: Micros
    source: str = ""
    data: Raw = _NULL
    sequence: int | str | None = None
    #: The least timestamp of the records that told it, in milliseconds since 1970; 0 where nobody says.
    recorded: int = 0


class WaitAnswer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a wait or a timer was told last. `event` is None where the time ran out, at `at`.

    A later `revision` replaces an earlier one: an event inside the window that came after its end, or one that
    happened earlier than the one known before.
    """

    revision: int
    at: Micros
    event: AnsweredBy | None = None
    late: bool = False


class HistoryEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One thing that the code did, in order: `key` is its place in the code, `shape` what exactly it asked.

    `revision` is that of the answer it got, 0 where it has none (a step, a score, or a wait still open).
    """

    key: str
    shape: str
    revision: int = 0


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """All that is known of a follow-up when its code is run.

    `answers` are by the id of the wait or timer, `results` (JSON) by that of the step. `path` is what the code
    did when it was last run.
    """

    origin: FollowupSpec
    answers: dict[str, WaitAnswer] = {}
    results: dict[str, Raw] = {}
    path: tuple[HistoryEntry, ...] = ()


class OpenWait(msgspec.Struct, frozen=True, tag="wait", gc=False):
    """Wait for the first event about `subject`, by its own time, from `since` to `deadline`.

    `on` has the types of event, each with a JMESPath condition or None; `after` what was heard before. A `tolerance` of
    None is the setting's.
    """

    wait_id: str
    subject: str
    on: dict[str, str | None]
    opened_at: Micros
    since: Micros
    deadline: Micros
    after: tuple[Preceding, ...] = ()
    tolerance: Micros | None = None


class SetTimer(msgspec.Struct, frozen=True, tag="timer", gc=False):
    """Go on at `due`; answered by an Answer without an event."""

    timer_id: str
    due: Micros


class KeepResult(msgspec.Struct, frozen=True, tag="result", gc=False):
    """A step was run and gave this, as JSON: it isn't run again."""

    step_id: str
    result: Raw


class EmitScore(msgspec.Struct, frozen=True, tag="score", gc=False):
    """A score as the code gives it now. `at` is the follow-up's clock; `answer` what it heard last before that."""

    score_id: str
    name: str
    value: bool | float
    at: Micros
    step_id: str | None = None
    comment: str | None = None
    key: str | None = None
    answer: WaitAnswer | None = None


class DeferMore(msgspec.Struct, frozen=True, tag="defer", gc=False):
    """More deferred work, about the same run."""

    origin: FollowupSpec


Command = OpenWait | SetTimer | KeepResult | EmitScore | DeferMore


class Execution(msgspec.Struct, frozen=True):
    """What came of running the code once.

    `waiting`: it needs an answer that isn't known yet. `done`: it ended. `failed`: it raised, and is tried again.
    `unfit`: it isn't the code whose way `path` tells, so trying again can't help. `commands` hold everything that it
    asked for on its way, also what was asked before; doing them again changes nothing. `attempts` is how often the
    code wants to be tried in all where it fails; None for what the settings say.
    """

    ending: Literal["waiting", "done", "failed", "unfit"]
    commands: tuple[Command, ...] = ()
    path: tuple[HistoryEntry, ...] = ()
    error: str | None = None
    attempts: int | None = None


class Executor(Protocol):
    """Runs the code of follow-ups beside the cycle that asks for it. None of its methods waits for that code."""

    def knows(self, scorer: str, version: str) -> bool:
        """Whether that code is deployed here."""

    def start(self, memory: Snapshot) -> None:
        """Run a follow-up's code; at most one execution of a follow-up is under way at a time."""

    def finished(self) -> Sequence[tuple[str, Execution]]:
        """What has come of executions since the last call, by follow-up id."""

    def forget(self, followup_id: str) -> None:
        """Stop an execution whose follow-up now belongs to somebody else; nothing comes of it."""

    def room(self) -> int:
        """How many more executions may be started now."""

    def running(self) -> Sequence[tuple[str, Micros]]:
        """The executions under way, and since when."""

    def close(self) -> None:
        """Stop all executions; nothing comes of those under way."""


__all__ = [
    "AnsweredBy",
    "Command",
    "DeferMore",
    "EmitScore",
    "Execution",
    "Executor",
    "FollowupSpec",
    "HistoryEntry",
    "KeepResult",
    "OpenWait",
    "SetTimer",
    "Snapshot",
    "WaitAnswer",
]
