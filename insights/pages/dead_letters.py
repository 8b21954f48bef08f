"""Dead letters: a list without payloads, and one of them with its bytes."""

from __future__ import annotations

from datetime import datetime

from upshot.insights.pages.query import Conditions, PageQuery, Row
from upshot.insights.reader import Reader

#: Bytes of a dead letter that can be mended on the page.
LETTER_SHOWN = 1024 * 1024


def dead_letters_query(
    reason: str = "", topic: str = "", after: tuple[datetime, str] | None = None
) -> PageQuery:
    """Dead letters, the latest first."""
    conditions = Conditions()
    if reason:
        conditions.add("reason = {reason:String}", reason=reason)
    if topic:
        conditions.add("topic = {topic:String}", topic=topic)
    conditions.add_before("recorded_at", "dead_letter_id", after)
    return PageQuery(
        "SELECT recorded_at, reason, topic, partition, offset, substring(detail, 1, 500) AS detail, "
        f"dead_letter_id\nFROM dead_letters{conditions.where()}\nORDER BY recorded_at DESC, dead_letter_id "
        "DESC",
        conditions.parameters,
    )


def dead_letter_reasons() -> PageQuery:
    """The number of dead letters of each reason and topic."""
    return PageQuery(
        "SELECT reason, topic, count() AS letters, min(recorded_at) AS first_at, max(recorded_at) AS "
        "last_at\n"
        "FROM dead_letters\nGROUP BY reason, topic\nORDER BY letters DESC, reason, topic"
    )


def dead_letter(reader: Reader, ident: str) -> Row | None:
    """One dead letter. `payload` and `key` are hexadecimal, since they may be any bytes.

    Columns are named with their table: a bare `payload` would be the column of the answer, in hexadecimal.
    """
    rows = reader.query(
        "SELECT dead_letter_id, reason, detail, topic, partition, offset, recorded_at, "
        f"hex(letter.key) AS key, hex(substring(letter.payload, 1, {LETTER_SHOWN})) AS payload, "
        "length(letter.payload) AS payload_bytes, "
        "arrayMap(one -> (one.1, hex(one.2)), letter.headers) AS headers "
        "FROM dead_letters AS letter WHERE dead_letter_id = {id:String}",
        {"id": ident},
    ).objects()
    return rows[0] if rows else None


__all__ = ["LETTER_SHOWN", "dead_letter", "dead_letter_reasons", "dead_letters_query"]
