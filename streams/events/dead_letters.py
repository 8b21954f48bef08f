"""Dead letters: unusable records go to a topic of their own, with the reason and the original bytes."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from upshot.errors import InvalidEvent
from upshot.schemas.ids import fact_id
from upshot.settings import Settings
from upshot.streams.events.effects import Output
from upshot.streams.events.records import Record, place_of, recorded_at
from upshot.streams.events.topics import MAX_DEAD_LETTER_BYTES

#: What Kafka adds to a value, and the key, need room, too.
_LARGEST = MAX_DEAD_LETTER_BYTES - 1024
_HEADERS: dict[str, Any] = {"headers": []}
_ALL: dict[str, Any] = {**_HEADERS, "key": None, "value": None}


def dead_letter(settings: Settings, record: Record, error: InvalidEvent, *, about: str = "") -> Output:
    """The record as a dead letter (see `upshot.schemas.dead_letters.DeadLetter`).

    Its id is made from the place where the record was first written, the reason, and `about` where a record
    can be refused by several askers: refused again, a record gives the same dead letter. Parts too large for
    the topic are left out.
    """
    place = place_of(record)
    identity = fact_id("dead-letter", str(place), error.reason, about)
    event = {
        "dead_letter_id": identity,
        "reason": error.reason,
        "detail": error.detail,
        "topic": place.topic,
        "partition": place.partition,
        "offset": place.offset,
        "key": _base64(record.key),
        "value": _base64(record.value),
        "headers": [(name, _base64(value)) for name, value in record.headers],
        "recorded_at": recorded_at(record),
    }
    return Output(settings.topic("dead-letters"), None, identity.encode(), _fitting(event))


def _fitting(event: dict[str, Any]) -> bytes:
    """The dead letter as JSON: without parts exceeding the topic's limit, and saying so."""
    value = msgspec.json.encode(event)
    for left_out in (_HEADERS, _ALL):
        if len(value) > _LARGEST:
            why = f"; too large to be kept here: {', '.join(left_out)}. Read them where the record lies"
            value = msgspec.json.encode({**event, **left_out, "detail": event["detail"] + why})
    return value


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


__all__ = ["dead_letter"]
