"""Spans in protobuf: found on the wire and parsed separately, so that a bad span costs only itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from upshot.errors import InvalidEvent
from upshot.otel import SpanEvent, SpanRecord
from upshot.otel.misplaced import LOGS, METRICS, Misplaced
from upshot.otel.protobuf_wire import LEN, Malformed, Shape, fields, has_more_messages
from upshot.otel.request_reading import (
    KINDS,
    MAX_LEVELS,
    MAX_SPANS,
    MAX_VALUES,
    NO_ID,
    NO_SPANS,
    STATUSES,
    BadSpan,
    Reading,
    Spans,
    too_many_values,
)

_VALUE: dict[int, Shape] = {}
_PAIR: Shape = {2: _VALUE}
_VALUE |= {5: {1: _VALUE}, 6: {1: _PAIR}}
_SPAN: Shape = {9: _PAIR, 11: {3: _PAIR}, 13: {4: _PAIR}, 15: {}}
_RESOURCE: Shape = {1: _PAIR, 3: {}}
_SCOPE: Shape = {3: _PAIR}
_UNREADABLE = "that are no spans in protobuf, or hold text that is not UTF-8"
_BAD_PARENT = "with a parent's span id that is none"
_BAD_RESOURCE = "of a resource or scope that can't be read"

#: The field of a scope with its spans.
_SPANS = 2
#: Where a message begins and ends.
_Place = tuple[int, int]
#: Reads a record from its bytes, the attributes of its resource and the name of its scope. Raises BadSpan.
ReadRecord = Callable[[bytes, dict[str, Any], str, Reading], SpanRecord]


def read_protobuf(value: bytes, most_spans: int = MAX_SPANS) -> Spans:
    """The spans of an ExportTraceServiceRequest in protobuf. Raises InvalidEvent."""
    reading = read_records(value, Reading(most_spans), _record)
    if not reading.spans and reading.left_out:
        refuse_misplaced(value, _signal_of)
    return reading.result()


def read_records(value: bytes, reading: Reading, read: ReadRecord) -> Reading:
    """Every record of a request for spans or logs, which have one form on the wire. Raises InvalidEvent."""
    try:
        for place in _messages(value, (0, len(value)), 1):
            reading.container()
            _read_resource(value, place, reading, read)
    except Malformed:
        raise InvalidEvent("not_otlp", f"no OTLP in protobuf: {NO_SPANS}") from None
    return reading


def _read_resource(value: bytes, place: _Place, reading: Reading, read: ReadRecord) -> None:
    try:
        resource = attributes_of(_merged(value, place, 1, Resource, _RESOURCE).attributes, reading)
    except (DecodeError, BadSpan, Malformed):
        resource = None
    for of_scope in _messages(value, place, 2):
        reading.container()
        try:
            scope = _merged(value, of_scope, 1, InstrumentationScope, _SCOPE).name
        except (DecodeError, Malformed):
            scope = None
        for number, kind, begin, end in fields(value, *of_scope):
            if number != _SPANS or kind != LEN:
                continue
            reading.span()
            try:
                if resource is None or scope is None:
                    raise BadSpan(_BAD_RESOURCE)
                reading.spans.append(read(value[begin:end], resource, scope, reading))
            except BadSpan as error:
                reading.left_out[str(error)] += 1


def _messages(value: bytes, place: _Place, number: int) -> Iterable[_Place]:
    """The places of the messages in field `number` of the message at `place`."""
    return (
        (begin, end) for found, kind, begin, end in fields(value, *place) if found == number and kind == LEN
    )


def _merged(value: bytes, place: _Place, number: int, kind: type[Message], shape: Shape) -> Any:
    """A message field, parsed; repeated occurrences are merged, as protobuf demands."""
    data = b"".join(value[begin:end] for begin, end in _messages(value, place, number))
    if has_more_messages(data, shape, MAX_VALUES):
        raise too_many_values()
    return kind.FromString(data)


def _record(data: bytes, resource: dict[str, Any], scope: str, reading: Reading) -> SpanRecord:
    try:
        if has_more_messages(data, _SPAN, MAX_VALUES):
            raise too_many_values()
        span = Span.FromString(data)
    except (DecodeError, Malformed):
        raise BadSpan(_UNREADABLE) from None
    if not (_is_id(span.trace_id, 16) and _is_id(span.span_id, 8)):
        raise BadSpan(NO_ID)
    if len(span.parent_span_id) not in (0, 8):
        raise BadSpan(_BAD_PARENT)
    reading.values(len(span.events))
    return SpanRecord(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        parent_span_id=span.parent_span_id.hex() if any(span.parent_span_id) else None,
        kind=KINDS.get(span.kind, "internal"),
        status=STATUSES.get(span.status.code, "unset"),
        status_message=span.status.message,
        attributes=attributes_of(span.attributes, reading),
        events=[
            SpanEvent(event.name, event.time_unix_nano, attributes_of(event.attributes, reading))
            for event in span.events
        ],
        scope=scope,
        resource=resource,
    )


def _is_id(value: bytes, length: int) -> bool:
    return len(value) == length and any(value)


def attributes_of(pairs: Any, reading: Reading, level: int = 0) -> dict[str, Any]:
    """Attributes as JSON. Raises BadSpan where these are too deep, InvalidEvent for too many."""
    reading.values(len(pairs))
    found: dict[str, Any] = {}
    pair: KeyValue
    for pair in pairs:
        found[pair.key] = value_of(pair.value, reading, level)
    return found


def value_of(value: AnyValue, reading: Reading, level: int) -> Any:
    """A value as JSON. Raises BadSpan, InvalidEvent."""
    match value.WhichOneof("value"):
        case "array_value":
            items = value.array_value.values
            reading.values(len(items))
            return [value_of(item, reading, _deeper(level)) for item in items]
        case "kvlist_value":
            return attributes_of(value.kvlist_value.values, reading, _deeper(level))
        case "bytes_value":
            return b64encode(value.bytes_value).decode()
        case None:
            return None
        case name:
            return getattr(value, name)


def _deeper(level: int) -> int:
    if level >= MAX_LEVELS:
        raise BadSpan(f"with attributes deeper than {MAX_LEVELS} levels")
    return level + 1


def refuse_misplaced(value: bytes, signal_of: Callable[[bytes], Misplaced | None]) -> None:
    """Raises InvalidEvent where a record of the request is of another signal: they look alike on the wire."""
    for of_resource in _messages(value, (0, len(value)), 1):
        for of_scope in _messages(value, of_resource, 2):
            for begin, end in _messages(value, of_scope, 2):
                if end - begin <= MAX_VALUES and (other := signal_of(value[begin:end])):
                    raise other


def _signal_of(data: bytes) -> Misplaced | None:
    try:
        record = LogRecord.FromString(data)
        if record.time_unix_nano or record.observed_time_unix_nano:
            return Misplaced(LOGS)
    except DecodeError:
        pass
    try:
        metric = Metric.FromString(data)
        return Misplaced(METRICS) if metric.name and metric.WhichOneof("data") else None
    except DecodeError:
        return None


__all__ = [
    "ReadRecord",
    "attributes_of",
    "read_protobuf",
    "read_records",
    "refuse_misplaced",
    "value_of",
]
