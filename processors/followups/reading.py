"""Records of the topics `deferrals` and `resumptions` as arrivals."""

from __future__ import annotations

from upshot.processors.followups.execution import Answer, Heard, Origin
from upshot.processors.followups.facts import Answered, Arrival, Deferred, Erased, Retried
from upshot.processors.followups.state import Place
from upshot.streams.codec import Record, place_of
from upshot.streams.deferred import Told, read_deferral, read_resumption
from upshot.streams.instants import Micros
from upshot.streams.withdrawals import is_tombstone, key_of


def read_deferred(record: Record, now: Micros) -> Arrival:
    """A deferral; or, by a null record with its id as key, that the follow-up is to be forgotten. Raises InvalidEvent."""
    if is_tombstone(record):
        return Erased(key_of(record))
    wire = read_deferral(record)
    place = place_of(record)
    origin = Origin(
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
        Place(place.partition, place.offset, place.made),
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
        return Answered(wire.followup_id, wire.wait_id, wire.revision, None)
    answer = Answer(wire.revision, wire.at, _heard(wire.event), wire.late)
    return Answered(wire.followup_id, wire.wait_id, wire.revision, answer)


def _heard(told: Told | None) -> Heard | None:
    if told is None:
        return None
    return Heard(
        told.id, told.type, told.subject, told.time, told.source, told.data, told.sequence, told.recorded
    )


__all__ = ["read_deferred", "read_resumed"]
