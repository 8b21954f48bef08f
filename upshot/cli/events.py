"""Reading events from text that people and programs write: JSON lines, an array, one object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from upshot.errors import InvalidEvent
from upshot.schemas.outcomes import Outcome
from upshot.schemas.scores import Score
from upshot.schemas.waits import Wait
from upshot.streams.codec import decode, decode_outcome, decode_score, decode_wait
from upshot.streams.topics import Topic


class Entry(NamedTuple):
    """One event as it was written, and where."""

    where: str
    value: bytes


class Refusal(NamedTuple):
    """Why an event would be dead-lettered."""

    where: str
    reason: str
    detail: str


class _Unsent(NamedTuple):
    """A record as the processors would see it, had it been sent."""

    value: bytes
    timestamp: int
    topic: str
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def read_events(raw: bytes) -> list[Entry]:
    """The events in `raw`, each with its line or its place in the array; nothing is checked yet."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    whole = _whole(raw)
    if isinstance(whole, list):
        return [Entry(f"item {number}", encoded(item)) for number, item in enumerate(whole, 1)]
    if isinstance(whole, dict):
        return [Entry("the event", raw.strip())]
    lines = enumerate(raw.split(b"\n"), 1)
    return [Entry(f"line {number}", line.strip()) for number, line in lines if line.strip()]


def _whole(raw: bytes) -> object:
    """The one array or object that all of `raw` is, else nothing: JSON lines stop being JSON at line 2."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def encoded(item: object) -> bytes:
    """An array's item as a record of its own."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def refusals(topic: Topic, events: Sequence[Entry]) -> list[Refusal]:
    """Those that the processors would dead-letter, by their own decoding."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    wrong = []
    for event in events:
        try:
            _decode(topic, _Unsent(event.value, now, topic.name))
        except InvalidEvent as error:
            wrong.append(Refusal(event.where, error.reason, error.detail))
    return wrong


def _decode(topic: Topic, record: _Unsent) -> None:
    if topic.schema is Outcome:
        decode_outcome(record)
    elif topic.schema is Wait:
        decode_wait(record)
    elif topic.schema is Score:
        decode_score(record)
    else:
        decode(topic.schema, record)


def key_of(event: Entry, field: str) -> str | None:
    """The value of `field` as the record's key; None where it isn't there."""
    try:
        value = msgspec.json.decode(event.value)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    key = value.get(field) if isinstance(value, dict) else None
    return key if isinstance(key, str) or key is None else encoded(key).decode()


__all__ = ["Entry", "Refusal", "key_of", "read_events", "refusals"]
