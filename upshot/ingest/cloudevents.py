"""CloudEvents 1.0 over HTTP: structured, binary and batched, as records for the topic of outcomes."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from upshot.errors import InvalidEvent
from upshot.streams.events.reading import InputEvent, encoded, items_of
from upshot.streams.events.topics import MAX_EVENT_BYTES

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_STRUCTURED_HEADERS = (("content-type", STRUCTURED.encode()),)
#: Attributes in binary mode are headers with this in front.
_ATTRIBUTE = "ce-"
#: Larger ones are refused anyway, with less work.
_MAX_BASE64 = 2 * MAX_EVENT_BYTES
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_cloudevents(
    content_type: str, headers: Mapping[str, str], body: bytes, most: int | None = None
) -> list[InputEvent] | None:
    """The events of a request, in the form of Kafka's binding; None where type and headers name none.

    `content_type` is the bare type, in lower case. Raises InvalidEvent where a batch is no array, or has more
    than `most` events.
    """
    if content_type == STRUCTURED:
        return [InputEvent("the event", _with_data(body), _STRUCTURED_HEADERS)]
    if content_type == BATCH:
        return _batch(body, most)
    if any(name.lower() in ("ce-type", "ce-specversion") for name in headers):
        return [InputEvent("the event", body, _attributes(content_type, headers))]
    return None


def _batch(body: bytes, most: int | None) -> list[InputEvent]:
    try:
        items = items_of(body, most)
    except msgspec.ValidationError:
        raise InvalidEvent("wrong_type", f"a batch is a JSON array; send one event as {STRUCTURED}") from None
    except _UNREADABLE as error:
        raise InvalidEvent("not_json", f"not UTF-8 JSON: {error}") from None
    return [InputEvent(where, _with_data(value), _STRUCTURED_HEADERS) for where, value, _ in items]


def _with_data(value: bytes) -> bytes:
    """Data sent in base64 as `data`, where a rule can look inside: JSON, or else text."""
    if b'"data_base64"' not in value or len(value) > _MAX_BASE64:
        return value
    try:
        event: Any = msgspec.json.decode(value)
        data = b64decode(event.pop("data_base64"), validate=True)
    except (*_UNREADABLE, ValueError, TypeError, AttributeError, LookupError):
        return value  # the codec says what is wrong with it
    try:
        event["data"] = msgspec.json.decode(data)
    except _UNREADABLE:
        event["data"] = data.decode("utf-8", "replace")
    return encoded(event)


def _attributes(content_type: str, headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    message = [
        ("ce_" + name[len(_ATTRIBUTE) :].lower(), unquote(_unquoted(text)).encode("utf-8", "replace"))
        for name, text in headers.items()
        if name.lower().startswith(_ATTRIBUTE)
    ]
    return [*message, ("content-type", content_type.encode())] if content_type else message


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return text


__all__ = ["BATCH", "STRUCTURED", "read_cloudevents"]
