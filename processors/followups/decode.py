"""Records of the topics `deferrals` and `resumptions` as arrivals.

Read fast, as `upshot.streams.events.decode` reads waits and outcomes: the schema decides about unsure cases.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from upshot.processors.followups.execution import AnsweredBy, FollowupSpec, WaitAnswer
from upshot.processors.followups.facts import AnswersReceived, Arrival, Deferred, FollowupErased, Retried
from upshot.processors.followups.state import DeferralPlace
from upshot.schemas.deferrals import deferral_id
from upshot.schemas.resumptions import Kind, Resumption
from upshot.streams.events.decode import REFUSED, bytes_of, exposures_of, inherited, near_record, needs_schema
from upshot.streams.events.fast import Count, Id, Name, moment, recorded_moment
from upshot.streams.events.instants import Micros, micros
from upshot.streams.events.records import Record, decode, decode_deferral, place_of, recorded_at
from upshot.streams.events.topics import MAX_RESUMPTION_BYTES
from upshot.streams.events.withdrawals import is_tombstone, key_of

_NULL = Raw(b"null")


# Fields that nobody knows are for the schema to look at: they may hold what is no JSON.
class _DeferralOnWire(Struct, gc=False, forbid_unknown_fields=True):
    run_id: Id
    scorer: Name
    followup_id: Id | None = None
    step_id: Id | None = None
    version: Name = "1"
    data: Raw = _NULL
    deferred_at: str | None = None
    since: str | None = None
    key: Id | None = None
    agent: Name | None = None
    exposures: Raw | UnsetType = UNSET
    attributes: Raw | UnsetType = UNSET
    deferred_by: Id | None = None
    revision: Count = 0
    cancelled_at: str | None = None
    schema_version: Literal[1] = 1


class _AnsweringEventOnWire(Struct, gc=False, forbid_unknown_fields=True):
    id: Id
    type: Name
    subject: Id
    time: str
    source: Annotated[str, Meta(max_length=512)] = ""
    data: Raw = _NULL
    sequence: int | str | None = None
    recorded_at: str | None = None


class _ResumptionOnWire(Struct, gc=False, forbid_unknown_fields=True):
    followup_id: Id
    kind: Kind = "answer"
    wait_id: Id | None = None
    revision: Count = 1
    event: _AnsweringEventOnWire | None = None
    at: str | None = None
    late: bool = False
    schema_version: Literal[1] = 1


_deferral_on_wire = msgspec.json.Decoder(_DeferralOnWire).decode
_resumption_on_wire = msgspec.json.Decoder(_ResumptionOnWire).decode
_anything = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read_deferred(record: Record, now: Micros) -> Arrival:
    """A deferral; a null record, keyed by the id, erases the follow-up. Raises InvalidEvent."""
    if is_tombstone(record):
        return FollowupErased(key_of(record))
    try:
        return _fast_deferral(record)
    except REFUSED:
        return _slow_deferral(record)


def read_resumed(record: Record, now: Micros) -> Arrival:
    """A resumption. Raises InvalidEvent."""
    try:
        return _fast_resumption(record)
    except REFUSED:
        return _slow_resumption(record)


def _fast_deferral(record: Record) -> Deferred:
    wire = _deferral_on_wire(bytes_of(record))
    if wire.data is not _NULL:
        _anything(wire.data)
    deferred = recorded_moment(record) if wire.deferred_at is None else near_record(wire.deferred_at, record)
    made = wire.followup_id or deferral_id(wire.run_id, wire.step_id, wire.scorer, wire.version, wire.key)
    # By position, as in `upshot.streams.events.decode`: naming costs more than the rest.
    origin = FollowupSpec(
        made,
        wire.run_id,
        wire.scorer,
        wire.version,
        deferred,
        deferred if wire.since is None else moment(wire.since),
        wire.data,
        wire.step_id,
        wire.agent,
        *inherited(wire.exposures, wire.attributes),
    )
    cancelled = wire.cancelled_at is not None and near_record(wire.cancelled_at, record) > 0
    return Deferred(made, origin, _place(record), wire.deferred_by or "", wire.revision, cancelled)


def _slow_deferral(record: Record) -> Deferred:
    deferral = decode_deferral(record)
    deferred = micros(deferral.deferred_at or recorded_at(record))
    made = deferral.followup_id or ""
    origin = FollowupSpec(
        followup_id=made,
        run_id=deferral.run_id,
        scorer=deferral.scorer,
        version=deferral.version,
        deferred_at=deferred,
        since=deferred if deferral.since is None else micros(deferral.since),
        data=Raw(_encode(deferral.data)),
        step_id=deferral.step_id,
        agent=deferral.agent,
        exposures=exposures_of(deferral.exposures),
        attributes=Raw(_encode(deferral.attributes)),
    )
    cancelled = deferral.cancelled_at is not None
    return Deferred(made, origin, _place(record), deferral.deferred_by or "", deferral.revision, cancelled)


def _place(record: Record) -> DeferralPlace:
    place = place_of(record)
    return DeferralPlace(place.partition, place.offset, place.made)


def _fast_resumption(record: Record) -> AnswersReceived | Retried:
    wire = _resumption_on_wire(bytes_of(record, MAX_RESUMPTION_BYTES))
    event = None if wire.event is None else _answered_by(wire.event)
    at = None if wire.at is None else moment(wire.at)
    if wire.kind == "retry":
        return Retried(wire.followup_id)
    if wire.wait_id is None or (wire.kind == "answer" and at is None):
        needs_schema()
    answer = WaitAnswer(wire.revision, at or 0, event, wire.late) if wire.kind == "answer" else None
    return AnswersReceived(wire.followup_id, wire.wait_id, wire.revision, answer)


def _answered_by(wire: _AnsweringEventOnWire) -> AnsweredBy:
    if wire.data is not _NULL:
        _anything(wire.data)
    recorded = 0 if wire.recorded_at is None else moment(wire.recorded_at) // 1000
    about = wire.id, wire.type, wire.subject, moment(wire.time), wire.source
    return AnsweredBy(*about, wire.data, wire.sequence, recorded)


def _slow_resumption(record: Record) -> AnswersReceived | Retried:
    resumption = decode(Resumption, record, MAX_RESUMPTION_BYTES)
    if resumption.kind == "retry":
        return Retried(resumption.followup_id)
    answer = None
    if resumption.kind == "answer":
        at = 0 if resumption.at is None else micros(resumption.at)
        answer = WaitAnswer(resumption.revision, at, _slowly_answered_by(resumption), resumption.late)
    return AnswersReceived(resumption.followup_id, resumption.wait_id or "", resumption.revision, answer)


def _slowly_answered_by(resumption: Resumption) -> AnsweredBy | None:
    if (event := resumption.event) is None:
        return None
    recorded = 0 if event.recorded_at is None else micros(event.recorded_at) // 1000
    about = event.id, event.type, event.subject, micros(event.time), event.source
    return AnsweredBy(*about, Raw(_encode(event.data)), event.sequence, recorded)


__all__ = ["read_deferred", "read_resumed"]
