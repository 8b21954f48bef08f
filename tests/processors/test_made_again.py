"""The same place in a topic and in the one that was made again in its stead.

Two facts, in the join and in the store.
"""

from __future__ import annotations

import json
from typing import Any

from tests.room import MemoryRoom, processed
from upshot.errors import InvalidEvent
from upshot.processors.correlate.handler import Join
from upshot.processors.correlate.state import StoredOutcome, decode_subject
from upshot.processors.store.packed import unpack
from upshot.processors.store.rows import Row, letter_row, row_of
from upshot.schemas.ids import fact_id
from upshot.settings import Settings
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import Output

AT = 1_795_500_000_000
VIEWED = {"type": "viewed", "subject": "cnt:1"}
ASKED = {
    "run_id": "r",
    "name": "views",
    "subject": "cnt:1",
    "opened_at": "2026-11-24T00:00:00Z",
    "rule": {"on": {"viewed": {"score": "data.n"}}, "mode": "sum", "within": "P30D"},
}


def record(topic: str, event: Any, made: str, offset: int = 0) -> Fetched:
    return Fetched(topic, 0, offset, AT, b"", json.dumps(event).encode(), (), made)


def values(outputs: list[Output], topic: str) -> list[dict[str, Any]]:
    return [json.loads(output.value or b"") for output in outputs if output.topic == topic]


def joined(*records: Fetched) -> list[Output]:
    room = MemoryRoom(partitions=1)
    return processed(room, Join(room, Settings(), lambda: AT * 1000), *records)


def test_outcomes_without_an_id_count_once_for_each_topic_that_they_lie_in() -> None:
    asked = record("upshot.waits", ASKED, "")
    told = [
        record("upshot.outcomes", VIEWED | {"data": {"n": 1}}, made) for made in ("", "AAAAAAAA", "AAAAAAAA")
    ]
    scores = values(joined(asked, *told), "upshot.scores")
    assert [score["value"] for score in scores] == [1.0, 2.0]
    assert {score["outcome_id"] for score in scores} <= {
        "upshot.outcomes-0-0",
        "upshot.outcomes-0-0-AAAAAAAA",
    }


def test_what_is_refused_is_a_dead_letter_for_each_topic_that_it_lies_in() -> None:
    garbage = [Fetched("upshot.outcomes", 0, 0, AT, b"", b"bad", (), made) for made in ("", "AAAAAAAA")]
    unusable = [
        record("upshot.outcomes", VIEWED | {"id": str(n), "data": {}}, made, 1)
        for n, made in enumerate(("", "A" * 8))
    ]
    letters = values(joined(record("upshot.waits", ASKED, ""), *garbage, *unusable), "upshot.dead-letters")
    assert [letter["reason"] for letter in letters] == ["not_json"] * 2 + ["unusable_outcome"] * 2
    assert len({letter["dead_letter_id"] for letter in letters}) == 4
    assert {letter["offset"] for letter in letters} == {0, 1}


def test_rows_of_the_store_have_the_same_names() -> None:
    rows = [row_of("outcomes", record("upshot.outcomes", VIEWED, made)) for made in ("", "AAAAAAAA")]
    assert [_of(row, "raw_outcomes")["id"] for row in rows] == [
        "upshot.outcomes-0-0",
        "upshot.outcomes-0-0-AAAAAAAA",
    ]
    error = InvalidEvent("not_json", "")
    letters = [letter_row(record("upshot.runs", {}, made), error) for made in ("", "AAAAAAAA")]
    ids = [_of(row, "raw_dead_letters")["dead_letter_id"] for row in letters]
    assert ids == [
        fact_id("dead-letter", "upshot.runs/0/0", "not_json", ""),
        fact_id("dead-letter", "upshot.runs/0/0/AAAAAAAA", "not_json", ""),
    ]


def test_the_state_of_earlier_versions_is_read() -> None:
    subject = decode_subject(b'[{"s\\n1":["1","viewed",5,6,2,7,"s",{"n":1}]},{}]')
    [outcome] = subject.outcomes.values()
    assert isinstance(outcome, StoredOutcome)
    assert (outcome.partition, outcome.offset, outcome.made) == (2, 7, "")


def _of(row: Any, table: str) -> dict[str, Any]:
    from upshot.processors.store.columns import COLUMNS

    assert isinstance(row, Row)
    return dict(zip(COLUMNS[table], unpack(row.packed, table), strict=True))
