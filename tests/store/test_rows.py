"""Records to rows, one by one: pure."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from tests.store.conftest import NOON, record, unpack
from upshot.errors import InvalidEvent
from upshot.processors.store.rows import STORED, RefusedRow, Row, Skipped, row_of
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.records import FORWARDED_FROM
from upshot.streams.events.topics import MAX_EVENT_BYTES, TOPICS

RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
LEAST: dict[str, dict[str, Any]] = {
    "runs": {"run_id": "r1"},
    "steps": {"run_id": "r1", "step_id": "s1", "name": "draft"},
    "outcomes": {"type": "pr.closed", "subject": "pr:1"},
    "exposures": {"run_id": "r1", "experiment": "e", "variant": "v"},
    "waits": {"run_id": "r1", "name": "merged", "subject": "pr:1", "rule": RULE},
    "scores": {"run_id": "r1", "name": "helpful", "value": 0.8},
    "deferrals": {"run_id": "r1", "scorer": "stayed_closed"},
    "followups": {
        "followup_id": "f1",
        "run_id": "r1",
        "scorer": "stayed_closed",
        "status": "done",
        "deferred_at": "2026-01-01T00:00:00Z",
        "changed_at": "2026-01-01T00:00:00Z",
    },
    "alerts": {
        "alert_id": "a1",
        "name": "low",
        "run_id": "r1",
        "score_id": "s1",
        "value": False,
        "raised_at": "2026-01-01T00:00:00Z",
    },
    "alert-rules": {
        "name": "low",
        "kind": "score",
        "score": "helpful",
        "below": 0.3,
        "changed_at": "2026-01-01T00:00:00Z",
    },
    "notices": {
        "notice_id": "n1",
        "alert_id": "a1",
        "name": "low",
        "receiver": "ops",
        "state": "firing",
        "status": "pending",
        "raised_at": "2026-01-01T00:00:00Z",
        "changed_at": "2026-01-01T00:00:00Z",
    },
    "experiments": {"experiment": "e", "variants": {"v": 1}, "changed_at": "2026-01-01T00:00:00Z"},
    "dead-letters": {
        "dead_letter_id": "d1",
        "reason": "not_json",
        "detail": "no",
        "topic": "upshot.runs",
        "partition": 0,
        "offset": 1,
        "recorded_at": "2026-01-01T00:00:00Z",
    },
}


def values_of(topic: str, event: dict[str, Any] | bytes, **changed: Any) -> dict[str, Any]:
    row = row_of(topic, record(topic, event, **changed))
    assert isinstance(row, Row)
    return unpack(row)


def test_all_that_the_store_reads_becomes_a_row() -> None:
    stored = {name for name, topic in TOPICS.items() if "store" in topic.consumers}
    assert set(STORED) == stored == set(LEAST)


@pytest.mark.parametrize("topic", LEAST)
def test_the_least_event_is_a_row_of_its_table(topic: str) -> None:
    row = row_of(topic, record(topic, LEAST[topic]))
    assert isinstance(row, Row)
    assert row.table == "raw_" + topic.replace("-", "_")
    assert unpack(row)["recorded_at"] in (NOON * 1000, 1_767_225_600_000_000)


@pytest.mark.parametrize("topic", LEAST)
def test_a_record_gives_the_same_row_again(topic: str) -> None:
    assert row_of(topic, record(topic, LEAST[topic])) == row_of(topic, record(topic, LEAST[topic]))


@pytest.mark.parametrize("topic", LEAST)
@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", b"{}"])
def test_what_is_no_event_is_refused_or_skipped_or_kept_as_itself(topic: str, value: bytes | None) -> None:
    result = row_of(topic, record(topic, value))
    if topic in ("outcomes", "waits"):
        assert isinstance(result, Skipped)
    elif topic == "dead-letters":
        assert isinstance(result, Row)
        letter = unpack(result)
        assert (letter["payload"], letter["topic"]) == (value or b"", "upshot.dead-letters")
    else:
        assert isinstance(result, RefusedRow)


def test_a_run_that_says_nothing_of_a_field_leaves_it_alone() -> None:
    said = values_of("runs", {"run_id": "r1", "agent": None, "ended_at": "2026-01-01T00:00:00Z"})
    assert said["agent"] == said["origin"] == [0, ""]
    assert said["status"] == [0, 0, ""]
    assert said["ended_at"] == [1_767_225_600_000_000, 1_767_225_600_000_000]


@pytest.mark.parametrize(
    ("times", "at"),
    [
        ({}, NOON * 1000),
        ({"started_at": "2026-01-02T00:00:00Z"}, 1_767_312_000_000_000),
        ({"started_at": "2026-01-02T00:00:00Z", "ended_at": "2026-01-01T00:00:00Z"}, 1_767_225_600_000_000),
        (
            {"ended_at": "2026-01-02T00:00:00Z", "occurred_at": "2026-01-01T00:00:00.000001Z"},
            1_767_225_600_000_001,
        ),
    ],
)
def test_when_a_fact_about_a_run_came_about(times: dict[str, str], at: int) -> None:
    assert values_of("runs", {"run_id": "r1", "agent": "a"} | times)["agent"] == [at, "a"]


def test_free_facts_that_are_no_strings_are_json() -> None:
    facts = {"s": "x", "n": 1, "f": 0.5, "b": True, "null": None, "list": ["ü", 1], "big": 10**30}
    attributes = values_of("scores", LEAST["scores"] | {"attributes": facts})["attributes"]
    assert attributes == {
        "s": "x",
        "n": "1",
        "f": "0.5",
        "b": "true",
        "null": "null",
        "list": '["ü",1]',
        "big": "1" + "0" * 30,
    }


@pytest.mark.parametrize("depth", [100, 900, 2_000, 100_000])
def test_deep_nesting_is_stored_or_refused_but_never_fatal(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    event = json.dumps(LEAST["scores"])[:-1].encode() + b',"attributes":{"deep":' + deep + b"}}"
    assert isinstance(row_of("scores", record("scores", event)), Row | RefusedRow)


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_number_beyond_all_bounds_is_refused(value: int) -> None:
    result = row_of("scores", record("scores", LEAST["scores"] | {"value": value}))
    assert isinstance(result, RefusedRow)
    assert result.error.reason == "not_finite"


def test_a_dead_letter_has_the_very_bytes() -> None:
    raw = bytes(range(256))
    letter = LEAST["dead-letters"] | {
        "key": b64encode(b"\xffkey").decode(),
        "value": b64encode(raw).decode(),
        "headers": [["h", b64encode(b"\0\xfe").decode()]],
    }
    row = values_of("dead-letters", letter)
    assert (row["key"], row["payload"], row["headers"]) == (b"\xffkey", raw, [[b"h", b"\0\xfe"]])


def test_the_dead_letter_of_the_largest_record_is_stored() -> None:
    largest = record("outcomes", b"x" * TOPICS["outcomes"].max_bytes)
    refused = row_of("outcomes", largest)
    assert isinstance(refused, Skipped)
    letter = dead_letter(Settings(), largest, InvalidEvent("too_large", "too large"))
    row = values_of("dead-letters", json.loads(letter.value or b""))
    assert (row["reason"], row["topic"], row["payload"]) == ("too_large", "upshot.outcomes", largest.value)


def test_a_score_has_room_for_all_facts_of_its_wait() -> None:
    wait = LEAST["waits"] | {"attributes": {"a": "x" * (MAX_EVENT_BYTES - 300)}}
    assert isinstance(row_of("waits", record("waits", wait)), Row)
    score = LEAST["scores"] | {"attributes": wait["attributes"], "outcome_id": "o" * 500}
    assert isinstance(row_of("scores", record("scores", score)), Row)
    score |= {"comment": "c" * 70_000}
    assert isinstance(row_of("scores", record("scores", score)), RefusedRow)


@pytest.mark.parametrize("field", ["key", "value"])
def test_a_dead_letter_that_is_no_base64_is_kept_as_its_own_bytes(field: str) -> None:
    event = LEAST["dead-letters"] | {field: "a"}
    row = values_of("dead-letters", event, offset=7)
    assert (row["reason"], row["offset"]) == ("invalid_value", 7)
    assert json.loads(row["payload"]) == event


def test_a_forwarded_outcome_is_the_row_of_the_original() -> None:
    original = record("outcomes", LEAST["outcomes"], partition=1, offset=5)
    forwarded = record(
        "outcomes",
        LEAST["outcomes"],
        partition=3,
        offset=9,
        headers=[(FORWARDED_FROM, b"upshot.outcomes/1/5")],
    )
    assert row_of("outcomes", forwarded) == row_of("outcomes", original)


def test_a_corrected_score_outranks_every_decided_revision() -> None:
    decided = LEAST["scores"] | {"score_id": "x", "reason": "outcome", "revision": 2**62}
    given = LEAST["scores"] | {"score_id": "x", "decided_at": "2000-01-01T00:00:00Z"}
    assert values_of("scores", given)["precedence"] > values_of("scores", decided)["precedence"]
    assert values_of("scores", given)["precedence"] < 2**256
    assert values_of("scores", decided)["fact_id"] != values_of("scores", given)["fact_id"]
