"""Whatever a record holds, its dead letter can be written, and its topic takes it."""

from __future__ import annotations

import json
from typing import Any

from upshot.errors import InvalidEvent
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.topics import MAX_DEAD_LETTER_BYTES
from upshot.streams.kafka.fetch import Fetched

NO = InvalidEvent("not_json", "no")


def letter(error: InvalidEvent = NO, **changed: Any) -> dict[str, Any]:
    said = {"key": None, "value": b"x", "headers": ()} | changed
    value = dead_letter(Settings(), Fetched("orders", 0, 7, -1, **said), error).value or b""
    assert len(value) < MAX_DEAD_LETTER_BYTES
    found: dict[str, Any] = json.loads(value)
    return found


def test_headers_that_are_too_large_are_left_out() -> None:
    headers = tuple(("\0" * 1_000, b"x") for _ in range(4_000))
    found = letter(headers=headers)
    assert (found["headers"], found["value"]) == ([], "eA==")
    assert found["detail"] == "no; too large to be kept here: headers. Read them where the record lies"


def test_a_record_that_is_too_large_is_told_of() -> None:
    found = letter(value=b"x" * 20_000_000, key=b"k", headers=(("h", b"v"),))
    assert (found["headers"], found["key"], found["value"]) == ([], None, None)
    assert (found["topic"], found["offset"]) == ("orders", 7)
    assert "headers, key, value" in found["detail"]


def test_a_detail_that_repeats_much_of_an_event_is_cut() -> None:
    assert letter(InvalidEvent("unmapped", "\0" * 3_000_000))["detail"] == "\0" * 2_000
    assert letter(InvalidEvent("unmapped", "a\ud800b"))["detail"] == "a?b"
