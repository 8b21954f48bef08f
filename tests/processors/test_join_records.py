"""The join's handler by itself: whatever one record holds, the others are joined."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.room import MemoryRoom, processed
from upshot.processors.correlate import handler as join
from upshot.processors.correlate.handler import Join
from upshot.settings import Settings
from upshot.streams.events.records import FORWARDED_FROM
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.runtime import Output

SETTINGS = Settings()
NOON = 1_767_268_800_000
MERGED = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
WAIT = {"run_id": "r1", "name": "merged", "subject": "pr:1", "rule": MERGED}
OUTCOME = {"type": "pr.closed", "subject": "pr:1", "data": {"merged": True}}
HOME = partition_for(b"pr:1", 2)


def a_record(topic: str, event: dict[str, Any] | bytes | None, offset: int = 0, **changed: Any) -> Fetched:
    value = json.dumps(event).encode() if isinstance(event, dict) else event
    emitted = {"partition": HOME, "timestamp": NOON, "key": None, "headers": ()} | changed
    return Fetched(topic=f"upshot.{topic}", offset=offset, value=value, **emitted)


def joined(*records: Fetched) -> list[Output]:
    room = MemoryRoom()
    return processed(room, Join(room, SETTINGS, lambda: NOON * 1000), *records)


def emitted(outputs: list[Output], topic: str) -> list[dict[str, Any]]:
    return [json.loads(o.value or b"") for o in outputs if o.topic == f"upshot.{topic}"]


@pytest.mark.parametrize("header", [b"rubbish", b"\xff", b"", b"upshot.outcomes/1/" + b"9" * 5_000])
def test_an_outcome_with_a_malformed_place_is_joined_as_its_own(header: bytes) -> None:
    odd = a_record("outcomes", OUTCOME, 7, headers=((FORWARDED_FROM, header),))
    [score] = emitted(joined(a_record("waits", WAIT), odd), "scores")
    assert (score["value"], score["outcome_id"]) == (True, f"upshot.outcomes-{HOME}-7")


def test_a_misplaced_record_with_a_malformed_place_is_forwarded_with_a_good_one() -> None:
    headers = ((FORWARDED_FROM, b"rubbish"), ("kept", b"yes"))
    odd = a_record("outcomes", OUTCOME, 7, partition=1 - HOME, headers=headers)
    [forwarded] = joined(odd)
    assert forwarded.partition == HOME
    assert dict(forwarded.headers) == {
        "kept": b"yes",
        FORWARDED_FROM: f"upshot.outcomes/{1 - HOME}/7".encode(),
    }


def test_a_refused_record_with_a_malformed_place_is_a_dead_letter_about_its_own() -> None:
    odd = a_record("outcomes", b"{", 7, headers=((FORWARDED_FROM, b"rubbish"),))
    outputs = joined(a_record("waits", WAIT), odd, a_record("outcomes", OUTCOME, 8))
    [letter], [score] = emitted(outputs, "dead-letters"), emitted(outputs, "scores")
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("upshot.outcomes", HOME, 7)
    assert score["value"] is True


def test_what_would_make_a_subject_too_large_is_a_dead_letter_and_the_rest_is_joined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(join, "LARGEST_SUBJECT", 5_000)
    room = MemoryRoom()
    handler = Join(room, SETTINGS, lambda: NOON * 1000)
    other = next(f"pr:{n}" for n in range(2, 100) if partition_for(b"pr:%d" % n, 2) == HOME)

    async def work() -> None:
        await room.begin(handler)
        await room.process(handler, a_record("waits", WAIT), a_record("waits", WAIT | {"subject": other}, 1))
        noise = {"type": "pr.labeled", "subject": "pr:1", "data": {"text": "x" * 3_000}}
        await room.process(
            handler, a_record("outcomes", noise, 0), a_record("outcomes", {**noise, "id": "2"}, 1)
        )
        assert not emitted(room.outputs, "scores")
        await room.process(
            handler, a_record("outcomes", OUTCOME, 2), a_record("outcomes", noise | {"subject": other}, 3)
        )

    asyncio.run(work())
    letters = emitted(room.outputs, "dead-letters")
    assert [(letter["reason"], letter["offset"]) for letter in letters] == [
        ("too_large", 0),
        ("too_large", 1),
    ]
    assert "its subject's state" in letters[0]["detail"]
    assert [score["value"] for score in emitted(room.outputs, "scores")] == [True]
    assert handler.counts["dead_lettered"] == 2
