"""OTLP's log records, read as events of spans known by their ids alone; a bad record costs only itself.

The wire has one form for spans and for log records: resources, scopes, records. An evaluation of a feature
flag is such an event in either signal, so a log record is read as a span with this one event.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from upshot.errors import InvalidEvent
from upshot.otel import SpanEvent, SpanRecord, json_spans, protobuf_spans
from upshot.otel.json_attributes import attributes_of, value_of
from upshot.otel.json_spans import SignalNames, is_trace_id
from upshot.otel.json_values import Object, field, nanoseconds, text
from upshot.otel.misplaced import LOGS, METRICS, SPANS, Misplaced
from upshot.otel.protobuf_wire import Malformed, Shape, has_more_messages
from upshot.otel.request_reading import MAX_SPANS, MAX_VALUES, BadSpan, Reading, Spans, too_many_values

#: The body's value of an evaluation, beside its attributes: before the attribute there was this place.
_BODY_VALUE = "feature_flag.evaluation.value.body"
#: The attribute with an event's name, before log records had a field for the name.
_EVENT_NAME = "event.name"
_LOGS = SignalNames(
    ("resourceLogs", "resource_logs"), ("scopeLogs", "scope_logs"), ("logRecords", "log_records")
)
_VALUE: dict[int, Shape] = {}
_PAIR: Shape = {2: _VALUE}
_VALUE |= {5: {1: _VALUE}, 6: {1: _PAIR}}
_RECORD: Shape = {5: _VALUE, 6: _PAIR}
_BAD_TRACE = "with a trace id that is none"


def read_logs_protobuf(value: bytes, most: int = MAX_SPANS) -> Spans:
    """The log records of an ExportLogsServiceRequest in protobuf. Raises InvalidEvent."""
    reading = protobuf_spans.read_records(value, Reading(most), _of_bytes)
    if not any(record.start_ns for record in reading.spans):
        protobuf_spans.refuse_misplaced(value, _signal_of)
    return reading.result()


def read_logs_json(value: bytes, most: int = MAX_SPANS) -> Spans:
    """The log records of an ExportLogsServiceRequest in JSON. Raises InvalidEvent."""
    request, needs_schema = json_spans.decoded(value)
    reading = Reading(most)
    if not json_spans.read_records(request, _LOGS, reading, needs_schema, _of_object):
        json_spans.refuse_misplaced(request, LOGS)
    return reading.result()


def read_logs(value: bytes) -> Spans:
    """The log records in either encoding, recognised by the first bytes. Raises InvalidEvent."""
    if value.lstrip(b" \t\r\n")[:1] != b"{":
        return read_logs_protobuf(value)
    try:
        return read_logs_json(value)
    except InvalidEvent as error:
        if error.reason != "not_json":
            raise
        return read_logs_protobuf(value)


def _signal_of(data: bytes) -> Misplaced | None:
    """Spans and metrics have text in the field where log records have their time."""
    try:
        span = Span.FromString(data)
        if len(span.trace_id) == 16 and len(span.span_id) == 8:
            return Misplaced(SPANS, LOGS)
    except DecodeError:
        pass
    try:
        metric = Metric.FromString(data)
        return Misplaced(METRICS, LOGS) if metric.name and metric.WhichOneof("data") else None
    except DecodeError:
        return None


def _of_bytes(data: bytes, resource: dict[str, Any], scope: str, reading: Reading) -> SpanRecord:
    try:
        if has_more_messages(data, _RECORD, MAX_VALUES):
            raise too_many_values()
        record = LogRecord.FromString(data)
    except (DecodeError, Malformed):
        raise BadSpan("that are no log records in protobuf, or hold text that is not UTF-8") from None
    if len(record.trace_id) not in (0, 16):
        raise BadSpan(_BAD_TRACE)
    attributes = protobuf_spans.attributes_of(record.attributes, reading)
    body = protobuf_spans.value_of(record.body, reading, 0) if record.HasField("body") else None
    trace_id = record.trace_id.hex() if any(record.trace_id) else ""
    at = record.time_unix_nano or record.observed_time_unix_nano
    return _record(trace_id, record.event_name, at, attributes, body, resource, scope)


def _of_object(record: Object, resource: dict[str, Any], scope: str, reading: Reading) -> SpanRecord:
    trace_id = field(record, "traceId", "trace_id")
    if trace_id and not is_trace_id(trace_id) and not (isinstance(trace_id, str) and not trace_id.strip("0")):
        raise BadSpan(_BAD_TRACE)
    attributes = attributes_of(record, reading)
    body = field(record, "body", "body")
    value = value_of(body, reading, 0) if isinstance(body, dict) else None
    at = nanoseconds(record, "timeUnixNano", "time_unix_nano") or nanoseconds(
        record, "observedTimeUnixNano", "observed_time_unix_nano"
    )
    name = text(record, "eventName", "event_name")
    known = trace_id.lower() if is_trace_id(trace_id) else ""
    return _record(known, name, at, attributes, value, resource, scope)


def _record(
    trace_id: str,
    name: str,
    at: int,
    attributes: dict[str, Any],
    body: Any,
    resource: dict[str, Any],
    scope: str,
) -> SpanRecord:
    """A span with the record as its event; `upshot.run_id` may stand on the record itself."""
    stated = attributes.get(_EVENT_NAME)
    named = name or (stated if isinstance(stated, str) else "")
    if isinstance(body, dict) and body.get("value") is not None:
        attributes.setdefault(_BODY_VALUE, body["value"])
    event = SpanEvent(named, at, attributes)
    return SpanRecord(
        trace_id, "", named, at, at, attributes=attributes, events=[event], scope=scope, resource=resource
    )


__all__ = ["read_logs", "read_logs_json", "read_logs_protobuf"]
