"""The input and the output of one execution of a follow-up's code: plain data on both sides.

Code is run from its top at each new answer. Each request has a key depending on the code's way alone, so a
known answer is given at once, and a request repeated is the same request. A follow-up has a clock of its own,
moved by the answers: an event's time, a passed deadline. So the result is a function of the set of known
facts, whatever the order in which the facts became known, and however long no worker was there to run the
code.
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
    """The deferral: the code, the run and the data. See `upshot.schemas.deferrals.Deferral`."""

    followup_id: str
    run_id: str
    scorer: str
    version: str
    deferred_at: Micros
    #: The instant from which events count unless the code says otherwise: the run's start.
    since: Micros
    data: Raw = _NULL
    step_id: str | None = None
    agent: str | None = None
    exposures: Raw = _NO_EXPOSURES
    attributes: Raw = _NO_ATTRIBUTES


class AnsweredBy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The event answering a wait."""

    id: str
    type: str
    subject: str
    time: Micros
    source: str = ""
    data: Raw = _NULL
    sequence: int | str | None = None
    #: The least timestamp of the records reporting the event, in milliseconds since 1970; 0 if unknown.
    recorded: int = 0


class WaitAnswer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last answer to a wait or a timer. `event` is None where the time ran out, at `at`.

    A later `revision` replaces an earlier revision: an event inside the window reported after the window's
    end, or an event which happened earlier than the event known before.
    """

    revision: int
    at: Micros
    event: AnsweredBy | None = None
    late: bool = False


class HistoryEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request of the code, in order: `key` is its place in the code, `shape` its exact parameters.

    `revision` is the revision of the answer, 0 without an answer (a step, a score, or a wait still open).
    """

    key: str
    shape: str
    revision: int = 0


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """All facts known of a follow-up when its code is run.

    `answers` are by the id of the wait or timer, `results` (JSON) by the id of the step. `path` is the
    history of the last execution.
    """

    origin: FollowupSpec
    answers: dict[str, WaitAnswer] = {}
    results: dict[str, Raw] = {}
    path: tuple[HistoryEntry, ...] = ()


class OpenWait(msgspec.Struct, frozen=True, tag="wait", gc=False):
    """Wait for the first event about `subject`, by the event's own time, from `since` to `deadline`.

    `on` has the types of event, each with a JMESPath condition or None; `after` has the events received
    before. A `tolerance` of None is the setting's.
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
    """Continue at `due`; answered by a `WaitAnswer` without an event."""

    timer_id: str
    due: Micros


class KeepResult(msgspec.Struct, frozen=True, tag="result", gc=False):
    """A step was run and gave this result, as JSON: the step isn't run again."""

    step_id: str
    result: Raw


class EmitScore(msgspec.Struct, frozen=True, tag="score", gc=False):
    """A score as given by the code now. `at` is the follow-up's clock; `answer` the last answer before."""

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
    """The result of running the code once.

    `waiting`: the code needs an answer not known yet. `done`: the code ended. `failed`: the code raised, and
    is tried again. `unfit`: the code isn't the code of the history `path`, so trying again can't help.
    `commands` hold all requests on the code's way, also requests of earlier executions; doing them again
    changes nothing. `attempts` is the number of tries in all for failing code; None for the setting's.
    """

    ending: Literal["waiting", "done", "failed", "unfit"]
    commands: tuple[Command, ...] = ()
    path: tuple[HistoryEntry, ...] = ()
    error: str | None = None
    attempts: int | None = None


class Executor(Protocol):
    """Runs the code of follow-ups beside the processing loop. None of its methods waits for the code."""

    def knows(self, scorer: str, version: str) -> bool:
        """Whether this code is deployed here."""

    def start(self, memory: Snapshot) -> None:
        """Run a follow-up's code; at most one execution of a follow-up is under way at a time."""

    def finished(self) -> Sequence[tuple[str, Execution]]:
        """The executions ended since the last call, by follow-up id."""

    def forget(self, followup_id: str) -> None:
        """Stop an execution whose follow-up now belongs to another worker; the execution is dropped."""

    def room(self) -> int:
        """How many more executions may be started now."""

    def running(self) -> Sequence[tuple[str, Micros]]:
        """The executions under way, and since when."""

    def close(self) -> None:
        """Stop all executions; executions under way are dropped."""


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
