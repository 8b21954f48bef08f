"""Waits and outcomes, read fast: the parts needed by the join and the store, checked as the schemas say.

A record goes through a typed decoder first, accepting only surely valid records. Every other record goes
through the schema (`upshot.streams.events.records`), which alone decides about validity and reasons. A
property test holds both to the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from pydantic import TypeAdapter

from upshot.schemas.exposures import Assignment
from upshot.schemas.fields import Tolerance
from upshot.schemas.ids import fact_id
from upshot.schemas.outcomes import Sequence, sequence_of
from upshot.schemas.subjects import folded
from upshot.schemas.waits import After, Rule
from upshot.streams.events.decoded import CheckedRule, DecodedOutcome, DecodedWait, Preceding
from upshot.streams.events.fast import (
    Count,
    Id,
    Name,
    NeedsSchema,
    fast,
    fast_assignments,
    moment,
    recorded_moment,
)
from upshot.streams.events.instants import MICROSECOND, Micros, micros
from upshot.streams.events.parsing import is_deep, parse
from upshot.streams.events.records import (
    CLOCK_TOLERANCE,
    FORWARDED_FROM,
    Record,
    decode_opened,
    outcome_event,
    outcome_of,
    place_of,
    recorded_at,
)
from upshot.streams.events.resolution import MILLISECOND, width_of
from upshot.streams.events.topics import MAX_EVENT_BYTES

_TOLERANCE = CLOCK_TOLERANCE // MICROSECOND

#: Bytes of a rule of which thousands are kept at hand; of larger ones a few.
LONGEST_OF_MANY = 4_096

_NULL, _NONE, _NOTHING = Raw(b"null"), Raw(b"[]"), Raw(b"{}")


W = TypeVar("W", bound=Struct)


class _OutcomeOnWire(Struct, gc=False, forbid_unknown_fields=True):
    type: Name
    subject: Id
    id: Id | None = None
    source: Annotated[str, Meta(max_length=512)] = ""
    time: str | None = None
    data: Raw = _NULL
    specversion: Literal["1.0"] = "1.0"
    sequence: Any = None
    sequencetype: Any = None
    # CloudEvents has these, too; nothing of ours looks at them.
    datacontenttype: Any = None
    dataschema: Any = None


class _OutcomeWithMore(_OutcomeOnWire, gc=False, forbid_unknown_fields=False):
    """With skipped fields."""


class _WaitOnWire(Struct, gc=False, forbid_unknown_fields=True):
    run_id: Id
    name: Name
    subject: Id
    rule: Raw
    wait_id: Id | None = None
    step_id: Id | None = None
    opened_at: str | None = None
    since: str | None = None
    tolerance: str | None = None
    agent: Name | None = None
    exposures: Raw | UnsetType = UNSET
    attributes: Raw | UnsetType = UNSET
    reply_to: Id | None = None
    revision: Count = 0
    after: Any = None
    schema_version: Literal[1] = 1


class _WaitWithMore(_WaitOnWire, gc=False, forbid_unknown_fields=False):
    """With skipped fields."""


_outcome_on_wire = msgspec.json.Decoder(_OutcomeOnWire).decode
_outcome_with_more = msgspec.json.Decoder(_OutcomeWithMore).decode
_wait_on_wire = msgspec.json.Decoder(_WaitOnWire).decode
_wait_with_more = msgspec.json.Decoder(_WaitWithMore).decode
_attributes_on_wire = msgspec.json.Decoder(dict[Name, Any]).decode
_tolerance = TypeAdapter(Tolerance).validate_python
_anything = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
#: What a typed decoder raises for what it leaves to the schema.
REFUSED = (msgspec.DecodeError, UnicodeDecodeError, NeedsSchema)


def read_outcome(record: Record) -> DecodedOutcome:
    """A CloudEvent in structured or binary mode, or the least form. Raises InvalidEvent."""
    try:
        return _fast_outcome(record)
    except REFUSED:
        return _slow_outcome(record)


def plain_wait(record: Record) -> DecodedWait | None:
    """A valid wait with the contract's fields alone; None for any other record, for `read_wait`."""
    try:
        return _wait_from(_wait_on_wire(bytes_of(record)), record)
    except REFUSED:
        return None


def read_wait(record: Record) -> DecodedWait:
    """A wait. Raises InvalidEvent."""
    try:
        return _fast_wait(record)
    except REFUSED:
        return _slow_wait(record)


def _fast_outcome(record: Record) -> DecodedOutcome:
    if record.headers:
        _leave_binary_mode(record)
    value = bytes_of(record)
    try:
        wire = _outcome_on_wire(value)
    except msgspec.ValidationError:
        wire = _with_more(_outcome_with_more, value)
    if wire.data is not _NULL:
        _anything(wire.data)
    recorded, text = recorded_moment(record), wire.time
    if text is None:
        time, width = recorded, MILLISECOND
    else:
        time, width = moment(text), width_of(text)
        if time > recorded + _TOLERANCE:
            needs_schema()
    ident = wire.id or place_of(record).ident
    sequence = wire.sequence
    if sequence is not None or wire.sequencetype is not None:
        sequence = _sure_sequence(sequence, wire.sequencetype)
    subject = wire.subject
    # By position: with 17 fields named, msgspec takes 1.0 µs for a struct instead of 0.08 µs.
    return DecodedOutcome(
        folded(subject),
        ident,
        wire.type,
        wire.source,
        time,
        wire.data,
        width,
        sequence,
        recorded // 1000,
        subject,
    )


def _leave_binary_mode(record: Record) -> None:
    for name, _ in record.headers:
        if name != FORWARDED_FROM and name.lower().startswith("ce_"):
            needs_schema()


def _sure_sequence(sequence: Any, sequencetype: Any) -> Sequence | None:
    if not (isinstance(sequence, str) and 1 <= len(sequence) <= 200 and isinstance(sequencetype, str | None)):
        needs_schema()
    try:
        return sequence_of(sequence, sequencetype)
    except ValueError:
        needs_schema()


def _slow_outcome(record: Record) -> DecodedOutcome:
    event = outcome_event(record)
    outcome = outcome_of(event, record)
    recorded = micros(recorded_at(record))
    time = recorded if outcome.time is None else micros(outcome.time)
    about = folded(outcome.subject), outcome.id or "", outcome.type, outcome.source
    data, width = Raw(_encode(outcome.data)), _width(event.get("time"))
    return DecodedOutcome(
        *about, time, data, width, outcome.place_in_sequence, recorded // 1000, outcome.subject
    )


def _width(text: str | None) -> Micros:
    return MILLISECOND if text is None else width_of(text)


def _fast_wait(record: Record) -> DecodedWait:
    value = bytes_of(record)
    try:
        wire = _wait_on_wire(value)
    except msgspec.ValidationError:
        wire = _with_more(_wait_with_more, value)
    return _wait_from(wire, record)


def _wait_from(wire: _WaitOnWire, record: Record) -> DecodedWait:
    rule_json = bytes(wire.rule)
    rule = _rule_of(rule_json) if len(rule_json) <= LONGEST_OF_MANY else _large_rule_of(rule_json)
    opened = recorded_moment(record) if wire.opened_at is None else near_record(wire.opened_at, record)
    since = opened if wire.since is None else moment(wire.since)
    if since > opened + rule.within:
        needs_schema()
    tolerance = None if wire.tolerance is None else _tolerance_of(wire.tolerance)
    exposures, attributes = inherited(wire.exposures, wire.attributes)
    wait_id = wire.wait_id or fact_id("wait", wire.run_id, wire.step_id or "", wire.name, wire.subject)
    # By position: with 17 fields named, msgspec takes 1.0 µs for a struct instead of 0.08 µs.
    return DecodedWait(
        folded(wire.subject),
        wait_id,
        wire.run_id,
        wire.step_id,
        wire.name,
        wire.agent,
        opened,
        since,
        opened + rule.within,
        rule,
        exposures,
        attributes,
        wire.reply_to,
        _width(wire.opened_at),
        tolerance,
        revision=wire.revision,
        after=() if wire.after is None else _sure_after(wire.after),
    )


def _slow_wait(record: Record) -> DecodedWait:
    wait = decode_opened(record)
    event = parse(record.value)
    opened = micros(wait.opened_at or recorded_at(record))
    rule = _checked(wait.rule)
    return DecodedWait(
        subject=folded(wait.subject),
        wait_id=wait.wait_id or "",
        run_id=wait.run_id,
        step_id=wait.step_id,
        name=wait.name,
        agent=wait.agent,
        opened_at=opened,
        since=opened if wait.since is None else micros(wait.since),
        deadline=opened + rule.within,
        rule=rule,
        exposures=exposures_of(wait.exposures),
        attributes=Raw(_encode(wait.attributes)),
        reply_to=wait.reply_to,
        width=_width(event.get("opened_at")),
        tolerance=None if wait.tolerance is None else wait.tolerance // MICROSECOND,
        revision=wait.revision,
        after=tuple(map(_preceding, wait.after)),
    )


def _preceding(after: After) -> Preceding:
    recorded = 0 if after.recorded_at is None else micros(after.recorded_at) // 1000
    at, types = micros(after.time), tuple(after.types)
    return Preceding(types, at, after.id, after.source, after.sequence, recorded)


def _sure_after(after: Any) -> tuple[Preceding, ...]:
    """Waits of follow-ups listening to an event after another have these: few enough for the schema."""
    try:
        return tuple(_preceding(After.model_validate(one)) for one in after)
    except (ValueError, TypeError):
        needs_schema()


def exposures_of(exposures: Iterable[Assignment]) -> Raw:
    """The exposures read by the schema, as JSON."""
    return Raw(_encode([fast(Assignment, e.model_dump()) for e in exposures]))


def inherited(exposures: Raw | UnsetType, attributes: Raw | UnsetType) -> tuple[Raw, Raw]:
    """The parts inherited by scores, checked: exposures with absent fields filled in, and attributes as they
    came.
    """
    if attributes is UNSET:
        attributes = _NOTHING
    else:
        _attributes_on_wire(attributes)
    if exposures is UNSET:
        return _NONE, attributes
    _anything(exposures)
    return Raw(_encode(fast_assignments(exposures))), attributes


def _read_rule(text: bytes) -> CheckedRule:
    try:
        return _checked(Rule.model_validate(_anything(text)))
    except ValueError:
        needs_schema()


@lru_cache(maxsize=256)
def _tolerance_of(text: str) -> Micros:
    try:
        return _tolerance(text) // MICROSECOND
    except ValueError:
        needs_schema()


#: The rule behind its JSON: a program sends the same one again and again.
_rule_of = lru_cache(maxsize=4096)(_read_rule)
_large_rule_of = lru_cache(maxsize=16)(_read_rule)


def _checked(rule: Rule) -> CheckedRule:
    rule_json = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return CheckedRule(rule, _encode(rule_json), rule.within // MICROSECOND)


def _with_more(decode: Callable[[bytes], W], value: bytes) -> W:
    """The event on the wire. Skipped fields have to be JSON all the same, and aren't looked at by the
    decoder.
    """
    _anything(value)
    return decode(value)


def bytes_of(record: Record, largest: int = MAX_EVENT_BYTES) -> bytes:
    """The record's value. Raises NeedsSchema for a value empty, too long or nested too deeply."""
    value = record.value
    if not value or len(value) > largest or is_deep(value):
        needs_schema()
    return value


def near_record(text: str, record: Record) -> Micros:
    """An instant of the contract, at most a day after the record's."""
    at = moment(text)
    if at > recorded_moment(record) + _TOLERANCE:
        needs_schema()
    return at


def needs_schema() -> NoReturn:
    """Leave the record to the schema."""
    raise NeedsSchema


__all__ = [
    "LONGEST_OF_MANY",
    "REFUSED",
    "bytes_of",
    "exposures_of",
    "inherited",
    "near_record",
    "needs_schema",
    "plain_wait",
    "read_outcome",
    "read_wait",
]
