"""How exact an instant is follows from how it's written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.odd_records import NOON, a_record
from upshot.errors import InvalidEvent
from upshot.streams.events.decode import read_outcome, read_wait
from upshot.streams.events.instants import micros
from upshot.streams.events.resolution import width_of, written

OUTCOME = {"type": "pr.closed", "subject": "pr:1"}
WAIT = {
    "run_id": "r1",
    "name": "merged",
    "subject": "pr:1",
    "rule": {"on": {"pr.closed": {"score": True}}, "within": "P14D"},
}


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("2026-01-01T12:00:00Z", 999_999),
        ("2026-01-01T12:00:00+00:00", 999_999),
        ("2026-01-01t12:00:00z", 999_999),
        ("2026-01-01T12:00:00.0Z", 99_999),
        ("2026-01-01T12:00:00.00Z", 9_999),
        ("2026-01-01T12:00:00.000Z", 999),
        ("2026-01-01T12:00:00.000-05:00", 999),
        ("2026-01-01T12:00:00.000+0530", 999),
        ("2026-01-01T12:00:00.0000Z", 99),
        ("2026-01-01T12:00:00.00000Z", 9),
        ("2026-01-01T12:00:00.000000Z", 0),
        ("2026-01-01T12:00:00.000000000Z", 0),
        ("2026-01-01T12:00:00.000000000000Z", 0),
        ("2026-01-01T12:00Z", 59_999_999),
        ("1767268800", 999_999),
        ("1767268800.25", 9_999),
        ("1767268800000", 999),
    ],
)
def test_an_instant_covers_what_its_digits_leave_open(text: str, width: int) -> None:
    assert width_of(text) == width
    assert read_outcome(a_record("outcomes", OUTCOME | {"time": text})).width == width
    assert read_wait(a_record("waits", WAIT | {"opened_at": text})).width == width


def test_a_records_timestamp_covers_its_millisecond() -> None:
    outcome, wait = read_outcome(a_record("outcomes", OUTCOME)), read_wait(a_record("waits", WAIT))
    assert (outcome.time, outcome.width, outcome.recorded) == (NOON * 1000, 999, NOON)
    assert (wait.opened_at, wait.width) == (NOON * 1000, 999)


@pytest.mark.parametrize(
    "text", ["2026-01-01T12:00:00Z", "2026-01-01T12:00:00.120Z", "2026-01-01T12:00:00.123456Z"]
)
def test_what_is_written_again_says_as_much(text: str) -> None:
    outcome = read_outcome(a_record("outcomes", OUTCOME | {"time": text}))
    assert written(outcome.time, outcome.width) == text


def test_a_leap_second_is_the_first_of_the_next_day() -> None:
    event = OUTCOME | {"time": "2016-12-31T23:59:60Z"}
    outcome = read_outcome(a_record("outcomes", event))
    assert (outcome.time, outcome.width) == (micros(datetime(2017, 1, 1, tzinfo=UTC)), 999_999)
    beside = read_outcome(a_record("outcomes", event | {"time": "2017-01-01T00:59:60.250+01:00"}))
    assert (beside.time, beside.width) == (micros(datetime(2017, 1, 1, 0, 0, 0, 250_000, UTC)), 999)


@pytest.mark.parametrize(
    ("changed", "reason", "detail"),
    [
        ({"time": "2026-01-01T12:00:00"}, "invalid_value", "offset"),
        ({"time": "2025-06-29T23:59:60Z"}, "invalid_value", "60th second"),
        ({"time": "1969-12-31T23:59:59Z"}, "absurd_time", "2000 to 2099"),
        ({"sequence": ""}, "invalid_value", "1 to 200 characters"),
        ({"sequence": 1.5}, "invalid_value", "integer"),
        ({"sequence": "ten", "sequencetype": "Integer"}, "invalid_value", "sequencetype is Integer"),
    ],
)
def test_what_is_no_instant_or_no_sequence_says_why(
    changed: dict[str, Any], reason: str, detail: str
) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read_outcome(a_record("outcomes", OUTCOME | changed))
    assert refused.value.reason == reason
    assert detail in refused.value.detail


@pytest.mark.parametrize(
    ("said", "sequence"),
    [
        ({"sequence": "10"}, "10"),
        ({"sequence": "10", "sequencetype": "Integer"}, 10),
        ({"sequence": 10}, 10),
        ({"sequence": None}, None),
        ({}, None),
    ],
)
def test_a_sequence_is_a_number_where_its_type_says_so(
    said: dict[str, Any], sequence: int | str | None
) -> None:
    assert read_outcome(a_record("outcomes", OUTCOME | said)).sequence == sequence
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in said.items() if value is not None)
    binary = a_record(
        "outcomes", json.dumps({}).encode(), headers=(("ce_type", b"a"), ("ce_subject", b"pr:1"), *headers)
    )
    in_text = str(sequence) if isinstance(said.get("sequence"), int) else sequence
    assert read_outcome(binary).sequence == in_text


@pytest.mark.parametrize(("tolerance", "kept"), [("PT2S", 2_000_000), ("PT0S", 0), (None, None)])
def test_a_wait_may_say_its_tolerance(tolerance: str | None, kept: int | None) -> None:
    assert read_wait(a_record("waits", WAIT | {"tolerance": tolerance})).tolerance == kept
