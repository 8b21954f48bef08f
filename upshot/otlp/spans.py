"""OTLP's two encodings of spans, protobuf and JSON, as neutral records."""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as NoHex
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from upshot.errors import InvalidEvent
from upshot.traces import SpanEvent, SpanRecord
from upshot.traces.span import SpanKind, SpanStatus

_KINDS: dict[int, SpanKind] = {
    Span.SPAN_KIND_SERVER: "server",
    Span.SPAN_KIND_CLIENT: "client",
    Span.SPAN_KIND_PRODUCER: "producer",
    Span.SPAN_KIND_CONSUMER: "consumer",
}
_STATUSES: dict[int, SpanStatus] = {Status.STATUS_CODE_OK: "ok", Status.STATUS_CODE_ERROR: "error"}
#: Bytes in JSON are base64 by protobuf's rules, but these are hexadecimal by OTLP's.
_HEXADECIMAL = ("traceId", "trace_id", "spanId", "span_id", "parentSpanId", "parent_span_id")
_NO_SPANS = "send an ExportTraceServiceRequest, as an OpenTelemetry exporter or Collector does"


class Spans(NamedTuple):
    """The spans of a request, and how many there were that can't be told apart from others: without valid ids."""

    spans: list[SpanRecord]
    nameless: int


def read_request(value: bytes) -> Spans:
    """The spans in either encoding, told apart by the first byte. Raises InvalidEvent."""
    return read_json(value) if value.lstrip()[:1] == b"{" else read_protobuf(value)


def read_protobuf(value: bytes) -> Spans:
    """The spans of an ExportTraceServiceRequest in protobuf. Raises InvalidEvent."""
    try:
        return _spans(ExportTraceServiceRequest.FromString(value))
    except DecodeError:
        raise InvalidEvent("not_otlp", f"no OTLP in protobuf: {_NO_SPANS}") from None


def read_json(value: bytes) -> Spans:
    """The spans of an ExportTraceServiceRequest in JSON. Raises InvalidEvent."""
    try:
        request = msgspec.json.decode(value)
        for span in _json_spans(request):
            _rewrite_ids(span)
        return _spans(ParseDict(request, ExportTraceServiceRequest(), ignore_unknown_fields=True))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent("not_json", f"not UTF-8 JSON: {error}") from None
    except (ParseError, NoHex, ValueError, TypeError, AttributeError) as error:
        raise InvalidEvent("not_otlp", f"no OTLP in JSON ({error}): {_NO_SPANS}") from None


def _json_spans(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for of_resource in request.get("resourceSpans") or request.get("resource_spans") or ():
        for of_scope in of_resource.get("scopeSpans") or of_resource.get("scope_spans") or ():
            yield from of_scope.get("spans") or ()


def _rewrite_ids(span: dict[str, Any]) -> None:
    span.pop("links", None)  # their ids are hexadecimal, too, and nobody reads them
    for name in _HEXADECIMAL:
        if name in span:
            span[name] = b64encode(bytes.fromhex(span[name])).decode()


def _spans(request: ExportTraceServiceRequest) -> Spans:
    found: list[SpanRecord] = []
    nameless = 0
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                if _is_id(span.trace_id, 16) and _is_id(span.span_id, 8):
                    found.append(_record(span, resource, of_scope.scope.name))
                else:
                    nameless += 1
    return Spans(found, nameless)


def _is_id(value: bytes, length: int) -> bool:
    return len(value) == length and any(value)


def _record(span: Span, resource: dict[str, Any], scope: str) -> SpanRecord:
    return SpanRecord(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        parent_span_id=span.parent_span_id.hex() if _is_id(span.parent_span_id, 8) else None,
        kind=_KINDS.get(span.kind, "internal"),
        status=_STATUSES.get(span.status.code, "unset"),
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        events=[
            SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        ],
        scope=scope,
        resource=resource,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return b64encode(value.bytes_value).decode()
        case None:
            return None
        case name:
            return getattr(value, name)


__all__ = ["Spans", "read_json", "read_protobuf", "read_request"]
