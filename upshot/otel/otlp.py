"""OTLP's two encodings of spans, protobuf and JSON, as neutral records."""

from __future__ import annotations

from upshot.errors import InvalidEvent
from upshot.otel.json_spans import read_json
from upshot.otel.protobuf_spans import read_protobuf
from upshot.otel.request_reading import MAX_SPANS, Spans

#: The first byte of a request in protobuf; JSON may begin with this byte as well, a line's end.
_FIRST_FIELD = b"\x0a"


def read_request(value: bytes, most_spans: int = MAX_SPANS) -> Spans:
    """The spans in either encoding, recognised by the first bytes. Raises InvalidEvent."""
    if value.lstrip(b" \t\r\n")[:1] != b"{":
        return read_protobuf(value, most_spans)
    try:
        return read_json(value, most_spans)
    except InvalidEvent as error:
        if error.reason != "not_json" or not value.startswith(_FIRST_FIELD):
            raise
        return read_protobuf(value, most_spans)


__all__ = ["Spans", "read_json", "read_protobuf", "read_request"]
