"""Spans in OTLP's JSON, each read separately, so that a bad span costs only itself."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from upshot.errors import InvalidEvent
from upshot.otel import SpanEvent, SpanRecord
from upshot.otel.json_values import (
    Object,
    WrongType,
    enumeration,
    field,
    is_text,
    items,
    nanoseconds,
    number,
    objects,
    text,
    whole,
)
from upshot.otel.misplaced import LOGS, METRICS, misplaced
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

_TRACE_ID = re.compile("[0-9a-fA-F]{32}")
_SPAN_ID = re.compile("[0-9a-fA-F]{16}")
_KIND_NAMES = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_NAMES = ("UNSET", "OK", "ERROR")
#: A text whole or unfinished, or what ends a value: always a step forward, so that the scan is linear.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+|[\[{,]', re.DOTALL)
_MISPLACED = {LOGS: ("resourceLogs", "resource_logs"), METRICS: ("resourceMetrics", "resource_metrics")}
_BAD_RESOURCE = "of a resource or scope that can't be read"

T = TypeVar("T")


def read_json(value: bytes, most_spans: int = MAX_SPANS) -> Spans:
    """The spans of an ExportTraceServiceRequest in JSON. Raises InvalidEvent."""
    _refuse_many_values(value)
    request, needs_schema = _decoded(value)
    if not isinstance(request, dict):
        raise InvalidEvent("not_otlp", f"no OTLP in JSON: {NO_SPANS}")
    reading = Reading(most_spans)
    try:
        found = items(request, "resourceSpans", "resource_spans")
    except WrongType as error:
        raise InvalidEvent("not_otlp", f"no OTLP in JSON ({error}): {NO_SPANS}") from None
    if not found:
        _refuse_misplaced(request)
    reading.container(len(found))
    for of_resource in found:
        _read_resource(of_resource, reading, needs_schema)
    return reading.result()


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


def _read_resource(of_resource: Any, reading: Reading, needs_schema: bool) -> None:
    try:
        scopes = items(_object(of_resource), "scopeSpans", "scope_spans")
    except WrongType:
        reading.left_out[_BAD_RESOURCE] += 1
        return
    resource = _or_none(partial(_resource, of_resource, reading, needs_schema))
    reading.container(len(scopes))
    for of_scope in scopes:
        try:
            spans = items(_object(of_scope), "spans", "spans")
        except WrongType:
            reading.left_out[_BAD_RESOURCE] += 1
            continue
        scope = _or_none(partial(_scope, of_scope, needs_schema))
        reading.span(len(spans))
        for span in spans:
            try:
                if resource is None or scope is None:
                    raise BadSpan(_BAD_RESOURCE)
                reading.spans.append(_record(span, resource, scope, reading, needs_schema))
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
    return _attributes(_object(resource), reading)


def _scope(of_scope: Object, needs_schema: bool) -> str:
    scope = field(of_scope, "scope", "scope") or {}
    _check_texts(scope, needs_schema)
    return text(_object(scope), "name", "name")


def _object(value: Any) -> Object:
    if not isinstance(value, dict):
        raise WrongType("an object is something else")
    return value


def _check_texts(value: Any, needs_schema: bool) -> None:
    if needs_schema and not is_text(value):
        raise BadSpan("with text that is not Unicode, such as half an emoji")


def _record(
    span: Any, resource: dict[str, Any], scope: str, reading: Reading, needs_schema: bool
) -> SpanRecord:
    _check_texts(span, needs_schema)
    try:
        return _read(_object(span), resource, scope, reading)
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
    status = _object(field(span, "status", "status") or {})
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
        attributes=_attributes(span, reading),
        events=[
            SpanEvent(
                text(event, "name", "name"),
                nanoseconds(event, "timeUnixNano", "time_unix_nano"),
                _attributes(event, reading),
            )
            for event in events
        ],
        scope=scope,
        resource=resource,
    )


def _is_id(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value)) and bool(value.strip("0"))


def _attributes(holder: Object, reading: Reading) -> dict[str, Any]:
    return _pairs(objects(holder, "attributes", "attributes"), reading, 0)


def _pairs(pairs: list[Object], reading: Reading, level: int) -> dict[str, Any]:
    reading.values(len(pairs))
    return {
        text(pair, "key", "key"): _value(_object(field(pair, "value", "value") or {}), reading, level)
        for pair in pairs
    }


def _value(value: Object, reading: Reading, level: int) -> Any:
    kinds = [(name, content) for name, content in value.items() if content is not None and name in _READERS]
    if not kinds:
        return None
    if len(kinds) > 1:
        raise WrongType("a value is of two types at once")
    [(name, content)] = kinds
    return _READERS[name](content, reading, level)


def _text(content: Any, reading: Reading, level: int) -> str:
    return text({"stringValue": content}, "stringValue", "stringValue")


def _truth(content: Any, reading: Reading, level: int) -> bool:
    if not isinstance(content, bool):
        raise WrongType("boolValue is neither true nor false")
    return content


def _whole(content: Any, reading: Reading, level: int) -> int:
    return whole("intValue", content, -(2**63), 2**63 - 1)


def _number(content: Any, reading: Reading, level: int) -> float:
    return number("doubleValue", content)


def _bytes(content: Any, reading: Reading, level: int) -> str:
    try:
        plain = content.replace("-", "+").replace("_", "/").rstrip("=")
        return b64encode(b64decode(plain + "=" * (-len(plain) % 4), validate=True)).decode()
    except (ValueError, AttributeError, TypeError):
        raise WrongType("bytesValue is no base64") from None


def _array(content: Any, reading: Reading, level: int) -> list[Any]:
    values = objects(_object(content), "values", "values")
    reading.values(len(values))
    return [_value(item, reading, _deeper(level)) for item in values]


def _kvlist(content: Any, reading: Reading, level: int) -> dict[str, Any]:
    return _pairs(objects(_object(content), "values", "values"), reading, _deeper(level))


def _deeper(level: int) -> int:
    if level >= MAX_LEVELS:
        raise BadSpan(f"with attributes deeper than {MAX_LEVELS} levels")
    return level + 1


_READERS = {
    "stringValue": _text,
    "boolValue": _truth,
    "intValue": _whole,
    "doubleValue": _number,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _kvlist,
    "string_value": _text,
    "bool_value": _truth,
    "int_value": _whole,
    "double_value": _number,
    "bytes_value": _bytes,
    "array_value": _array,
    "kvlist_value": _kvlist,
}


def _refuse_misplaced(request: Object) -> None:
    for signal, names in _MISPLACED.items():
        if any(request.get(name) for name in names):
            raise misplaced(signal)


__all__ = ["read_json"]
