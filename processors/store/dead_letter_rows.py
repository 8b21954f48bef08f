"""Rows of dead letters: those read from their topic, and those of records refused by the store itself."""

from __future__ import annotations

from base64 import b64decode

from upshot.errors import InvalidEvent
from upshot.processors.store.packed import Row, Values, earlier_wins, pack_version
from upshot.schemas.dead_letters import DeadLetter
from upshot.schemas.ids import fact_id
from upshot.streams.events.fast import moment, recorded_moment
from upshot.streams.events.records import Record, place_of


def letter_row(record: Record, error: InvalidEvent) -> Row:
    """The row of a dead letter about `record` itself."""
    place = place_of(record)
    return _letter(
        (
            fact_id("dead-letter", str(place), error.reason, ""),
            error.reason,
            error.detail,
            place.topic,
            place.partition,
            place.offset,
            record.key or b"",
            record.value or b"",
            [(name.encode("utf-8", "replace"), value or b"") for name, value in record.headers],
            recorded_moment(record),
        )
    )


def dead_letter_row(letter: DeadLetter, record: Record) -> Row:
    """The row of a dead letter. Raises InvalidEvent where its bytes are no base64."""
    try:
        key, payload = b64decode(letter.key or ""), b64decode(letter.value or "")
        headers = [(name.encode(), b64decode(value)) for name, value in letter.headers]
    except ValueError as error:
        raise InvalidEvent("invalid_value", f"key, value or headers are no base64: {error}") from None
    return _letter(
        (
            letter.dead_letter_id,
            letter.reason,
            letter.detail,
            letter.topic,
            letter.partition,
            letter.offset,
            key,
            payload,
            headers,
            moment(letter.recorded_at),
        )
    )


def _letter(values: Values) -> Row:
    return pack_version("raw_dead_letters", values, earlier_wins(values[-1]))


__all__ = ["dead_letter_row", "letter_row"]
