"""Records of the topics `deferrals` and `resumptions` as arrivals."""

from __future__ import annotations

from upshot.processors.followups.execution import AnsweredBy, FollowupSpec, WaitAnswer
from upshot.processors.followups.facts import AnswersReceived, Arrival, Deferred, FollowupErased, Retried
from upshot.processors.followups.state import DeferralPlace
from upshot.streams.events.decode_followups import DecodedAnsweringEvent, read_deferral, read_resumption
from upshot.streams.events.instants import Micros
from upshot.streams.events.records import Record, place_of
from upshot.streams.events.withdrawals import is_tombstone, key_of


def read_deferred(record: Record, now: Micros) -> Arrival:
    """A deferral; a null record, keyed by the id, erases the follow-up. Raises InvalidEvent."""
    if is_tombstone(record):
        return FollowupErased(key_of(record))
    wire = read_deferral(record)
    place = place_of(record)
    origin = FollowupSpec(
        wire.followup_id,
        wire.run_id,
        wire.scorer,
        wire.version,
        wire.deferred_at,
        wire.since,
        wire.data,
        wire.step_id,
        wire.agent,
        wire.exposures,
        wire.attributes,
    )
    return Deferred(
        wire.followup_id,
        origin,
        DeferralPlace(place.partition, place.offset, place.made),
        wire.deferred_by,
        wire.revision,
        wire.cancelled,
    )


def read_resumed(record: Record, now: Micros) -> Arrival:
    """A resumption. Raises InvalidEvent."""
    wire = read_resumption(record)
    if wire.kind == "retry":
        return Retried(wire.followup_id)
    if wire.kind == "reopened":
        return AnswersReceived(wire.followup_id, wire.wait_id, wire.revision, None)
    answer = WaitAnswer(wire.revision, wire.at, _answered_by(wire.event), wire.late)
    return AnswersReceived(wire.followup_id, wire.wait_id, wire.revision, answer)


def _answered_by(told: DecodedAnsweringEvent | None) -> AnsweredBy | None:
    if told is None:
        return None
    return AnsweredBy(
        told.id, told.type, told.subject, told.time, told.source, told.data, told.sequence, told.recorded
    )


__all__ = ["read_deferred", "read_resumed"]
