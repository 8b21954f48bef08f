"""What is remembered of one follow-up, as plain immutable data: kept as JSON, like all that it holds."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from upshot.processors.followups.execution import FollowupSpec, HistoryEntry, Snapshot, WaitAnswer
from upshot.schemas.followups import Standing
from upshot.schemas.scores import Reason
from upshot.streams.events.instants import Micros

#: A follow-up that would be larger fails: its changelog takes no more in one record.
MAX_STATE_BYTES = 8 * 1024 * 1024


class DeferralPlace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where the deferral lies in its topic."""

    partition: int
    offset: int
    #: Tells the topic from those of its name before it.
    made: str = ""


class PendingRequest(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait, or without a subject a timer, that the code asked for when it was last run."""

    deadline: Micros
    subject: str | None = None
    types: tuple[str, ...] = ()


class EmittedScore(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A score as it was announced last. Its value is None where it was withdrawn."""

    revision: int
    name: str
    value: bool | float | None
    reason: Reason
    at: Micros
    step_id: str | None = None
    key: str | None = None
    comment: str | None = None
    subject: str | None = None
    outcome_id: str | None = None
    late: bool = False


class Request(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one program, or the code of one follow-up, said last of a follow-up: that it defers it, or not any more.

    `origin` is None where it's the follow-up's own, and where it was taken back.
    """

    revision: int = 0
    cancelled: bool = False
    origin: FollowupSpec | None = None
    place: DeferralPlace | None = None


class RequestTurn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait that the code took back at least once, as somebody may have heard of it last: open while `revision` is even."""

    revision: int
    subject: str


class More(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another follow-up that the code deferred, as somebody may have heard of it last. It stands while `revision` is even.

    `digest` is of its origin: deferred otherwise, the next even revision says so.
    """

    revision: int
    digest: str
    scorer: str
    version: str
    deferred_at: Micros
    since: Micros


class FollowupState(msgspec.Struct, frozen=True, array_like=True):
    """All that is remembered of one follow-up. New fields go to the end, with a default.

    Without an origin its deferral hasn't come yet: only what was answered is kept.
    """

    origin: FollowupSpec | None = None
    place: DeferralPlace | None = None
    answers: dict[str, WaitAnswer] = {}
    #: By wait, the revision with which its answer was taken back.
    reopened: dict[str, int] = {}
    results: dict[str, Raw] = {}
    path: tuple[HistoryEntry, ...] = ()
    asked: dict[str, PendingRequest] = {}
    scores: dict[str, EmittedScore] = {}
    #: Follow-ups that its code deferred before revisions of deferrals were counted: these aren't taken back.
    deferred: tuple[str, ...] = ()
    status: Standing = "running"
    #: Grows with each change of what the code is given: an execution that was given less is run again.
    known: int = 0
    #: When its code is to be run; None while there's nothing new.
    run_at: Micros | None = None
    #: Executions that failed since the last that didn't, and how often it was given up.
    attempts: int = 0
    failures: int = 0
    error: str | None = None
    #: The latest of its deadlines so far.
    latest: Micros = 0
    changed_at: Micros = 0
    revision: int = 0
    #: Revisions of scores that are about to be announced, or were: remembered before anybody hears of them.
    saying: dict[str, tuple[EmittedScore, ...]] = {}
    #: By who defers it (empty for programs); nothing where a program alone does, as first said.
    requests: dict[str, Request] = {}
    #: The follow-ups that its code has ever deferred.
    more: dict[str, More] = {}
    #: The waits that its code has ever taken back.
    turns: dict[str, RequestTurn] = {}
    #: Waits and follow-ups with a revision in the two above that may not have been announced yet.
    unsaid: tuple[str, ...] = ()
    #: Forgotten on purpose: nothing that comes for it is kept.
    erased: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether nobody defers it any more."""
        return bool(self.requests) and all(request.cancelled for request in self.requests.values())

    @property
    def emitted(self) -> dict[str, EmittedScore]:
        """Each score as somebody may have heard of it last."""
        return {**self.scores, **{score_id: revisions[-1] for score_id, revisions in self.saying.items()}}

    @property
    def waiting_for(self) -> list[PendingRequest]:
        """What it asked for that isn't answered yet, the earliest deadline first."""
        left = [asked for key, asked in self.asked.items() if key not in self.answers]
        return sorted(left, key=lambda asked: asked.deadline)

    @property
    def next_timer(self) -> Micros | None:
        """When it wants to be woken."""
        timers = [a.deadline for k, a in self.asked.items() if a.subject is None and k not in self.answers]
        return min(timers, default=None)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(FollowupState).decode


def encode_followup(state: FollowupState) -> bytes:
    """The table's value."""
    return _encode(state)


def decode_followup(value: bytes) -> FollowupState:
    """The follow-up behind a table's value."""
    return _decode(value)


def memory_of(state: FollowupState) -> Snapshot | None:
    """What its code is given; None where the deferral hasn't come yet, or was taken back."""
    if state.origin is None or state.cancelled:
        return None
    return Snapshot(state.origin, state.answers, state.results, state.path)


__all__ = [
    "MAX_STATE_BYTES",
    "DeferralPlace",
    "EmittedScore",
    "FollowupState",
    "More",
    "PendingRequest",
    "Request",
    "RequestTurn",
    "decode_followup",
    "encode_followup",
    "memory_of",
]
