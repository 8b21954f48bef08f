"""The stored state of one follow-up, as plain immutable data: kept as JSON, like all its parts."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from upshot.processors.followups.execution import FollowupSpec, HistoryEntry, Snapshot, WaitAnswer
from upshot.schemas.followups import Standing
from upshot.schemas.scores import Reason
from upshot.streams.events.instants import Micros

#: A larger follow-up fails: the changelog takes no more in one record.
MAX_STATE_BYTES = 8 * 1024 * 1024


class DeferralPlace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The deferral's place in its topic."""

    partition: int
    offset: int
    #: Tells the topic from those of its name before it.
    made: str = ""


class PendingRequest(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait, or without a subject a timer, requested by the code's last execution."""

    deadline: Micros
    subject: str | None = None
    types: tuple[str, ...] = ()


class EmittedScore(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A score as announced last. The value is None for a withdrawn score."""

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
    """The last request of a program, or of a follow-up's code: to defer a follow-up, or not any more.

    `origin` is None where equal to the follow-up's own, and where the request was taken back.
    """

    revision: int = 0
    cancelled: bool = False
    origin: FollowupSpec | None = None
    place: DeferralPlace | None = None


class RequestTurn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A wait taken back by the code at least once, as last announced: open while `revision` is even."""

    revision: int
    subject: str


class More(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another follow-up deferred by the code, as last announced. The deferral stands at an even `revision`.

    `digest` is the digest of the origin: a changed deferral gets the next even revision.
    """

    revision: int
    digest: str
    scorer: str
    version: str
    deferred_at: Micros
    since: Micros


class FollowupState(msgspec.Struct, frozen=True, array_like=True):
    """The whole stored state of one follow-up. New fields go to the end, with a default.

    Without an origin the deferral hasn't come yet: only answers are kept.
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
    #: Follow-ups deferred by the code before revisions of deferrals were counted: these aren't taken back.
    deferred: tuple[str, ...] = ()
    status: Standing = "running"
    #: Grows with each change of the snapshot: an execution with an older snapshot is run again.
    known: int = 0
    #: When the code is to be run; None without news.
    run_at: Micros | None = None
    #: Failed executions since the last successful execution, and how often the follow-up was given up.
    attempts: int = 0
    failures: int = 0
    error: str | None = None
    #: The latest of the deadlines so far.
    latest: Micros = 0
    changed_at: Micros = 0
    revision: int = 0
    #: Revisions of scores about to be announced, or announced: stored before anybody receives them.
    saying: dict[str, tuple[EmittedScore, ...]] = {}
    #: By asker (empty for programs); no entries where programs alone ask, at revision 0.
    requests: dict[str, Request] = {}
    #: The follow-ups ever deferred by the code.
    more: dict[str, More] = {}
    #: The waits ever taken back by the code.
    turns: dict[str, RequestTurn] = {}
    #: Waits and follow-ups with a revision in the two above, perhaps not announced yet.
    unannounced: tuple[str, ...] = ()
    #: Erased on purpose: later arrivals are dropped.
    erased: bool = False

    @property
    def cancelled(self) -> bool:
        """Whether nobody defers the follow-up any more."""
        return bool(self.requests) and all(request.cancelled for request in self.requests.values())

    @property
    def emitted(self) -> dict[str, EmittedScore]:
        """Each score in its last announced form."""
        return {**self.scores, **{score_id: revisions[-1] for score_id, revisions in self.saying.items()}}

    @property
    def waiting_for(self) -> list[PendingRequest]:
        """The requests not answered yet, the earliest deadline first."""
        left = [asked for key, asked in self.asked.items() if key not in self.answers]
        return sorted(left, key=lambda asked: asked.deadline)

    @property
    def next_timer(self) -> Micros | None:
        """The earliest timer."""
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
    """The snapshot for the code; None where the deferral hasn't come yet, or was taken back."""
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
