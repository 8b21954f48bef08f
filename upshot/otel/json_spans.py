"""Spans in OTLP's JSON, each read separately, so that a bad span costs only itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import msgspec

from upshot.errors import InvalidEvent
from upshot.otel import SpanEvent, SpanRecord, misplaced
from upshot.otel.json_attributes import as_object, attributes_of
from upshot.otel.json_values import (
    Object,
    WrongType,
    enumeration,
    field,
    is_text,
    items,
    nanoseconds,
    objects,
    text,
)
from upshot.otel.misplaced import LOGS, METRICS, Misplaced
from upshot.otel.request_reading import (
    KINDS,
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

_TRACE_ID = re.compile("[0-9a-fA-F]{32}")
_SPAN_ID = re.compile("[0-9a-fA-F]{16}")
_KIND_NAMES = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_NAMES = ("UNSET", "OK", "ERROR")
#: A text whole or unfinished, or what ends a value: always a step forward, so that the scan is linear.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+|[\[{,]', re.DOTALL)
_RESOURCES = {
    misplaced.SPANS: ("resourceSpans", "resource_spans"),
    LOGS: ("resourceLogs", "resource_logs"),
    METRICS: ("resourceMetrics", "resource_metrics"),
}
_BAD_RESOURCE = "of a resource or scope that can't be read"

T = TypeVar("T")
#: Reads a record from its object, the attributes of its resource and the name of its scope. Raises BadSpan,
#: WrongType.
ReadObject = Callable[[Object, dict[str, Any], str, Reading], SpanRecord]


class SignalNames(NamedTuple):
    """The names of a request's lists, in both spellings."""

    resources: tuple[str, str]
    scopes: tuple[str, str]
    records: tuple[str, str]


SPANS = SignalNames(("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans", "spans"))


def read_json(value: bytes, most_spans: int = MAX_SPANS) -> Spans:
    """The spans of an ExportTraceServiceRequest in JSON. Raises InvalidEvent."""
    request, needs_schema = decoded(value)
    reading = Reading(most_spans)
    if not read_records(request, SPANS, reading, needs_schema, _read):
        refuse_misplaced(request, misplaced.SPANS)
    return reading.result()


def decoded(value: bytes) -> tuple[Object, bool]:
    """The request, and whether its texts and numbers may be impossible in JSON. Raises InvalidEvent."""
    _refuse_many_values(value)
    request, needs_schema = _decoded(value)
    if not isinstance(request, dict):
        raise InvalidEvent("not_otlp", f"no OTLP in JSON: {NO_SPANS}")
    return request, needs_schema


def read_records(
    request: Object, signal: SignalNames, reading: Reading, needs_schema: bool, read: ReadObject
) -> bool:
    """Read every record of a request for spans or for logs; whether there was anything to read.

    Raises InvalidEvent.
    """
    try:
        found = items(request, *signal.resources)
    except WrongType as error:
        raise InvalidEvent("not_otlp", f"no OTLP in JSON ({error}): {NO_SPANS}") from None
    reading.container(len(found))
    for of_resource in found:
        _read_resource(of_resource, signal, reading, needs_schema, read)
    return bool(found)


def _refuse_many_values(value: bytes) -> None:
    """Raises InvalidEvent for a request too large in memory, before anything is made of the request."""
    if sum(map(value.count, (b",", b"{", b"["))) <= 2 * MAX_VALUES:
        return
    found = 0
    for token in _TOKEN.finditer(value):
        found += token[0][0] != b'"'[0]
        if found > 2 * MAX_VALUES:
            raise too_many_values()


def _decoded(value: bytes) -> tuple[Any, bool]:
    """The request, and whether its texts and numbers may be impossible in JSON.

    A span with half a character or with NaN must not cost all others.
    """
    try:
        return msgspec.json.decode(value), False
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        trouble = str(error)
    try:
        return json.loads(value.decode("utf-8", "surrogateescape"), parse_int=_whole_or_not), True
    except (ValueError, RecursionError):
        raise InvalidEvent("not_json", f"not UTF-8 JSON: {trouble}") from None


def _whole_or_not(digits: str) -> int | float:
    """Long numbers are whole numbers for no reader, and take long to read."""
    return int(digits) if len(digits) <= 20 else float("nan")


def _read_resource(
    of_resource: Any, signal: SignalNames, reading: Reading, needs_schema: bool, read: ReadObject
) -> None:
    try:
        scopes = items(as_object(of_resource), *signal.scopes)
    except WrongType:
        reading.left_out[_BAD_RESOURCE] += 1
        return
    resource = _or_none(partial(_resource, of_resource, reading, needs_schema))
    reading.container(len(scopes))
    for of_scope in scopes:
        try:
            spans = items(as_object(of_scope), *signal.records)
        except WrongType:
            reading.left_out[_BAD_RESOURCE] += 1
            continue
        scope = _or_none(partial(_scope, of_scope, needs_schema))
        reading.span(len(spans))
        for span in spans:
            try:
                if resource is None or scope is None:
                    raise BadSpan(_BAD_RESOURCE)
                reading.spans.append(_record(span, resource, scope, reading, needs_schema, read))
            except BadSpan as error:
                reading.left_out[str(error)] += 1


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (WrongType, BadSpan):
        return None


def _resource(of_resource: Object, reading: Reading, needs_schema: bool) -> dict[str, Any]:
    resource = field(of_resource, "resource", "resource") or {}
    _check_texts(resource, needs_schema)
    return attributes_of(as_object(resource), reading)


def _scope(of_scope: Object, needs_schema: bool) -> str:
    scope = field(of_scope, "scope", "scope") or {}
    _check_texts(scope, needs_schema)
    return text(as_object(scope), "name", "name")


def _check_texts(value: Any, needs_schema: bool) -> None:
    if needs_schema and not is_text(value):
        raise BadSpan("with text that is not Unicode, such as half an emoji")


def _record(
    span: Any, resource: dict[str, Any], scope: str, reading: Reading, needs_schema: bool, read: ReadObject
) -> SpanRecord:
    _check_texts(span, needs_schema)
    try:
        return read(as_object(span), resource, scope, reading)
    except WrongType as error:
        raise BadSpan(f"in which {error}") from None


def _read(span: Object, resource: dict[str, Any], scope: str, reading: Reading) -> SpanRecord:
    trace_id = field(span, "traceId", "trace_id")
    span_id = field(span, "spanId", "span_id")
    if not (_is_id(trace_id, _TRACE_ID) and _is_id(span_id, _SPAN_ID)):
        raise BadSpan(NO_ID)
    parent = field(span, "parentSpanId", "parent_span_id")
    if parent and not (isinstance(parent, str) and _SPAN_ID.fullmatch(parent)):
        raise BadSpan("with a parent's span id that is none")
    status = as_object(field(span, "status", "status") or {})
    events = objects(span, "events", "events")
    reading.values(len(events))
    return SpanRecord(
        trace_id=trace_id.lower(),
        span_id=span_id.lower(),
        name=text(span, "name", "name"),
        start_ns=nanoseconds(span, "startTimeUnixNano", "start_time_unix_nano"),
        end_ns=nanoseconds(span, "endTimeUnixNano", "end_time_unix_nano"),
        parent_span_id=parent.lower() if parent and parent.strip("0") else None,
        kind=KINDS.get(enumeration(span, "kind", "SPAN_KIND_", _KIND_NAMES), "internal"),
        status=STATUSES.get(enumeration(status, "code", "STATUS_CODE_", _STATUS_NAMES), "unset"),
        status_message=text(status, "message", "message"),
        attributes=attributes_of(span, reading),
        events=[
            SpanEvent(
                text(event, "name", "name"),
                nanoseconds(event, "timeUnixNano", "time_unix_nano"),
                attributes_of(event, reading),
            )
            for event in events
        ],
        scope=scope,
        resource=resource,
    )


def is_trace_id(value: Any) -> bool:
    """Whether a value is the id of a trace, in hexadecimal."""
    return _is_id(value, _TRACE_ID)


def _is_id(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value)) and bool(value.strip("0"))


def refuse_misplaced(request: Object, meant: str) -> None:
    """Raises InvalidEvent where the request, without the signal that was meant, holds another."""
    for signal, names in _RESOURCES.items():
        if signal != meant and any(request.get(name) for name in names):
            raise Misplaced(signal, meant)


__all__ = [
    "ReadObject",
    "SignalNames",
    "decoded",
    "is_trace_id",
    "read_json",
    "read_records",
    "refuse_misplaced",
]
