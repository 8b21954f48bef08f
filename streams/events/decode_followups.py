"""Deferrals and resumptions, read fast, as `decode` reads waits and outcomes: the schema decides about unsure
cases.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from upshot.schemas.deferrals import deferral_id
from upshot.schemas.resumptions import Kind, Resumption
from upshot.streams.events.decode import REFUSED, bytes_of, exposures_of, inherited, near_record, needs_schema
from upshot.streams.events.fast import Count, Id, Name, moment, recorded_moment
from upshot.streams.events.instants import Micros, micros
from upshot.streams.events.records import Record, decode, decode_deferral, recorded_at
from upshot.streams.events.topics import MAX_RESUMPTION_BYTES

_NULL = Raw(b"null")


class DecodedDeferral(Struct, frozen=True, gc=False):
    """A deferral with id and times worked out. `data`, `exposures` and `attributes` are JSON."""

    followup_id: str
    run_id: str
    step_id: str | None
    scorer: str
    version: str
    agent: str | None
    deferred_at: Micros
    since: Micros
    data: Raw
    exposures: Raw
    attributes: Raw
    #: Empty where no follow-up's code defers it.
    deferred_by: str = ""
    revision: int = 0
    cancelled: bool = False


class DecodedAnsweringEvent(Struct, frozen=True, gc=False):
    """The event of a resumption. `data` is JSON as received."""

    id: str
    type: str
    subject: str
    time: Micros
    source: str
    data: Raw
    sequence: int | str | None = None
    #: Milliseconds since 1970; 0 where the resumption doesn't say.
    recorded: int = 0


class DecodedResumption(Struct, frozen=True, gc=False):
    """A resumption. `wait_id` is empty and `at` is 0 where the kind needs none."""

    followup_id: str
    kind: Kind
    wait_id: str
    revision: int
    event: DecodedAnsweringEvent | None
    at: Micros
    late: bool


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


def read_deferral(record: Record) -> DecodedDeferral:
    """A deferral. Raises InvalidEvent."""
    try:
        return _fast_deferral(record)
    except REFUSED:
        return _slow_deferral(record)


def read_resumption(record: Record) -> DecodedResumption:
    """A resumption. Raises InvalidEvent."""
    try:
        return _fast_resumption(record)
    except REFUSED:
        return _slow_resumption(record)


def _fast_deferral(record: Record) -> DecodedDeferral:
    wire = _deferral_on_wire(bytes_of(record))
    if wire.data is not _NULL:
        _anything(wire.data)
    deferred = recorded_moment(record) if wire.deferred_at is None else near_record(wire.deferred_at, record)
    made = wire.followup_id or deferral_id(wire.run_id, wire.step_id, wire.scorer, wire.version, wire.key)
    return DecodedDeferral(
        made,
        wire.run_id,
        wire.step_id,
        wire.scorer,
        wire.version,
        wire.agent,
        deferred,
        deferred if wire.since is None else moment(wire.since),
        wire.data,
        *inherited(wire.exposures, wire.attributes),
        wire.deferred_by or "",
        wire.revision,
        wire.cancelled_at is not None and near_record(wire.cancelled_at, record) > 0,
    )


def _slow_deferral(record: Record) -> DecodedDeferral:
    deferral = decode_deferral(record)
    deferred = micros(deferral.deferred_at or recorded_at(record))
    return DecodedDeferral(
        deferral.followup_id or "",
        deferral.run_id,
        deferral.step_id,
        deferral.scorer,
        deferral.version,
        deferral.agent,
        deferred,
        deferred if deferral.since is None else micros(deferral.since),
        Raw(_encode(deferral.data)),
        exposures_of(deferral.exposures),
        Raw(_encode(deferral.attributes)),
        deferral.deferred_by or "",
        deferral.revision,
        deferral.cancelled_at is not None,
    )


def _fast_resumption(record: Record) -> DecodedResumption:
    wire = _resumption_on_wire(bytes_of(record, MAX_RESUMPTION_BYTES))
    if wire.kind != "retry" and wire.wait_id is None:
        needs_schema()
    if wire.kind == "answer" and wire.at is None:
        needs_schema()
    return DecodedResumption(
        wire.followup_id,
        wire.kind,
        wire.wait_id or "",
        wire.revision,
        None if wire.event is None else _reported(wire.event),
        0 if wire.at is None else moment(wire.at),
        wire.late,
    )


def _reported(wire: _AnsweringEventOnWire) -> DecodedAnsweringEvent:
    if wire.data is not _NULL:
        _anything(wire.data)
    recorded = 0 if wire.recorded_at is None else moment(wire.recorded_at) // 1000
    about = wire.id, wire.type, wire.subject, moment(wire.time), wire.source
    return DecodedAnsweringEvent(*about, wire.data, wire.sequence, recorded)


def _slow_resumption(record: Record) -> DecodedResumption:
    told = decode(Resumption, record, MAX_RESUMPTION_BYTES)
    event = None
    if (heard := told.event) is not None:
        data = Raw(_encode(heard.data))
        recorded = 0 if heard.recorded_at is None else micros(heard.recorded_at) // 1000
        about = heard.id, heard.type, heard.subject, micros(heard.time), heard.source
        event = DecodedAnsweringEvent(*about, data, heard.sequence, recorded)
    at = 0 if told.at is None else micros(told.at)
    return DecodedResumption(
        told.followup_id, told.kind, told.wait_id or "", told.revision, event, at, told.late
    )


__all__ = [
    "DecodedAnsweringEvent",
    "DecodedDeferral",
    "DecodedResumption",
    "read_deferral",
    "read_resumption",
]
