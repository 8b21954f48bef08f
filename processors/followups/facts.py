"""The arrivals of follow-ups, and the facts announced: plain data on both sides of the decisions."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from upshot.processors.followups.execution import FollowupSpec, OpenWait, WaitAnswer
from upshot.processors.followups.state import DeferralPlace, EmittedScore, FollowupState
from upshot.streams.events.instants import Micros


class Deferred(msgspec.Struct, frozen=True, gc=False):
    """A deferral arrived; or, `cancelled`, `deferred_by` (empty for a program) takes its deferrals back."""

    followup_id: str
    origin: FollowupSpec
    place: DeferralPlace
    deferred_by: str = ""
    revision: int = 0
    cancelled: bool = False


class AnswersReceived(msgspec.Struct, frozen=True, gc=False):
    """A wait was answered; without an answer, the answer before doesn't count any more."""

    followup_id: str
    wait_id: str
    revision: int
    answer: WaitAnswer | None


class Retried(msgspec.Struct, frozen=True, gc=False):
    """Somebody asks for another try."""

    followup_id: str


class FollowupErased(msgspec.Struct, frozen=True, gc=False):
    """All facts known of the follow-up are to be erased, and later arrivals too."""

    followup_id: str


Arrival = Deferred | AnswersReceived | Retried | FollowupErased


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A wait, for the join."""

    origin: FollowupSpec
    wait: OpenWait
    revision: int = 0


class WaitCancelled(msgspec.Struct, frozen=True, gc=False):
    """A wait no longer asked for by its code."""

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
    """Another follow-up, deferred by the code of this follow-up."""

    origin: FollowupSpec
    deferred_by: str
    revision: int = 0


class DeferralCancelled(msgspec.Struct, frozen=True, gc=False):
    """A follow-up no longer deferred by the code of this follow-up. Its `origin` has no data."""

    origin: FollowupSpec
    deferred_by: str
    revision: int
    at: Micros


class Stands(msgspec.Struct, frozen=True, gc=False):
    """The current state of the follow-up."""

    origin: FollowupSpec
    state: FollowupState


class GaveUp(msgspec.Struct, frozen=True, gc=False):
    """The follow-up failed, and isn't tried again by itself: to be dead-lettered."""

    origin: FollowupSpec
    state: FollowupState


Fact = Opened | WaitCancelled | ScoreEmitted | DeferredMore | DeferralCancelled | Stands | GaveUp

#: Of arrivals: `deferred`; `answered`, by an event or the end of the time; `corrected`: answered otherwise
#: than before; `reopened`; `early`: an answer before its deferral; `retried`; `cancelled`: nobody defers the
#: follow-up any more; `erased`: the follow-up was erased, or a record came for an erased follow-up;
#: `repeated`: already known.
#: Of the clock: `woken` by a timer, `undeployed`, `retired`. Of executions: `started`; `kept`: results of
#: steps; `waiting` and `done`: the two good endings; `again`: failed, to be tried again; `failed` for good;
#: `overtaken`: a change came meanwhile, run again. `withdrawn`: all scores and requests of a cancelled
#: follow-up were taken back.
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
    """The follow-up afterwards (the same object where nothing changed), facts, and the kind of event."""

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
