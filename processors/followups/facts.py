"""What comes to follow-ups, and what they tell: plain data on both sides of the decisions."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from upshot.processors.followups.execution import FollowupSpec, OpenWait, WaitAnswer
from upshot.processors.followups.state import DeferralPlace, EmittedScore, FollowupState
from upshot.streams.events.instants import Micros


class Deferred(msgspec.Struct, frozen=True, gc=False):
    """A deferral arrived; or, `cancelled`, that `deferred_by` (empty for a program) takes its deferrals back."""

    followup_id: str
    origin: FollowupSpec
    place: DeferralPlace
    deferred_by: str = ""
    revision: int = 0
    cancelled: bool = False


class AnswersReceived(msgspec.Struct, frozen=True, gc=False):
    """A wait was answered; without an answer, what had answered it doesn't count any more."""

    followup_id: str
    wait_id: str
    revision: int
    answer: WaitAnswer | None


class Retried(msgspec.Struct, frozen=True, gc=False):
    """Somebody wants it to be tried again."""

    followup_id: str


class FollowupErased(msgspec.Struct, frozen=True, gc=False):
    """All that is known of it is to be forgotten, and what comes later too."""

    followup_id: str


Arrival = Deferred | AnswersReceived | Retried | FollowupErased


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A wait, for the join."""

    origin: FollowupSpec
    wait: OpenWait
    revision: int = 0


class WaitCancelled(msgspec.Struct, frozen=True, gc=False):
    """A wait that its code doesn't ask for any more."""

    origin: FollowupSpec
    wait_id: str
    subject: str
    revision: int
    at: Micros


class ScoreEmitted(msgspec.Struct, frozen=True, gc=False):
    """A revision of a score."""

    origin: FollowupSpec
    score_id: str
    emitted: EmittedScore
    decided_at: Micros


class DeferredMore(msgspec.Struct, frozen=True, gc=False):
    """Another follow-up, deferred by the code of this one."""

    origin: FollowupSpec
    deferred_by: str
    revision: int = 0


class DeferralCancelled(msgspec.Struct, frozen=True, gc=False):
    """A follow-up that the code of this one deferred, and doesn't any more. Its `origin` has no data."""

    origin: FollowupSpec
    deferred_by: str
    revision: int
    at: Micros


class Stands(msgspec.Struct, frozen=True, gc=False):
    """How the follow-up stands now."""

    origin: FollowupSpec
    state: FollowupState


class GaveUp(msgspec.Struct, frozen=True, gc=False):
    """It failed, and isn't tried again by itself: to be dead-lettered."""

    origin: FollowupSpec
    state: FollowupState


Fact = Opened | WaitCancelled | ScoreEmitted | DeferredMore | DeferralCancelled | Stands | GaveUp

#: Of arrivals: `deferred`; `answered`, by an event or the end of its time; `corrected`: answered otherwise than
#: before; `reopened`; `early`: an answer before its deferral; `retried`; `cancelled`: nobody defers it any more;
#: `erased`: it was forgotten, or something came for one that was;
#: `repeated`: something known already.
#: Of the clock: `woken` by a timer, `undeployed`, `retired`. Of executions: `started`; `kept`: what steps gave;
#: `waiting` and `done`: how they ended; `again`: failed, to be tried again; `failed` for good; `overtaken`: something
#: new came meanwhile, run again. `withdrawn`: all that a cancelled one had said was taken back.
EventKind = Literal[
    "deferred",
    "answered",
    "corrected",
    "reopened",
    "early",
    "retried",
    "cancelled",
    "erased",
    "repeated",
    "woken",
    "undeployed",
    "retired",
    "started",
    "kept",
    "waiting",
    "done",
    "again",
    "failed",
    "overtaken",
    "withdrawn",
]


class Transition(NamedTuple):
    """What something changes: the follow-up afterwards (the same object where nothing changed), facts, and what happened."""

    state: FollowupState
    facts: tuple[Fact, ...]
    happened: EventKind


__all__ = [
    "AnswersReceived",
    "Arrival",
    "DeferralCancelled",
    "Deferred",
    "DeferredMore",
    "EventKind",
    "Fact",
    "FollowupErased",
    "GaveUp",
    "Opened",
    "Retried",
    "ScoreEmitted",
    "Stands",
    "Transition",
    "WaitCancelled",
]
