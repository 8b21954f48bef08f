"""A repository's name is joined whatever its letter case.

What was asked before under one spelling is answered by it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.processors.test_join_records import MERGED, NOON, SETTINGS, a_record, emitted
from tests.room import MemoryRoom
from upshot.processors.correlate.decide import step
from upshot.processors.correlate.facts import WaitReceived
from upshot.processors.correlate.handler import Join
from upshot.processors.correlate.state import as_stored_wait, encode_subject
from upshot.schemas.subjects import folded
from upshot.streams.events.decode import read_wait
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.runtime import Change


@pytest.mark.parametrize(
    ("subject", "joined"),
    [
        ("pr:Acme/Web#12", "pr:acme/web#12"),
        ("commit:Acme/Web@ABC", "commit:acme/web@ABC"),
        ("repo:Acme/Web", "repo:acme/web"),
        ("issue:acme/Cafe\u0301#1", "issue:acme/caf\u00e9#1"),
        ("charge:ch_1AbC", "charge:ch_1AbC"),
        ("ticket:A", "ticket:A"),
        ("pr:A", "pr:A"),
        ("repo:Group/Sub/Project", "repo:Group/Sub/Project"),
        ("pr:", "pr:"),
    ],
)
def test_spellings(subject: str, joined: str) -> None:
    assert folded(subject) == joined == folded(joined)


def sent(topic: str, event: dict[str, Any], offset: int = 0) -> Fetched:
    return a_record(topic, event, offset, partition=partition_for(event["subject"].encode(), 2))


def wait(subject: str) -> dict[str, Any]:
    return {"run_id": "r1", "name": "merged", "subject": subject, "rule": MERGED}


def closed(subject: str) -> dict[str, Any]:
    return {"type": "pr.closed", "subject": subject, "id": "d", "source": "s", "data": {"merged": True}}


async def played(room: MemoryRoom, *records: Fetched) -> list[dict[str, Any]]:
    """The scores once all that is sent on has arrived, too."""
    handler = Join(room, SETTINGS, lambda: NOON * 1000)
    await room.begin(handler)
    scores: list[dict[str, Any]] = []
    todo = list(records)
    while todo:
        outputs = await room.process(handler, *todo)
        scores += emitted(outputs, "scores")
        todo = [
            Fetched(o.topic, o.partition, 100, NOON, o.key, o.value, tuple(o.headers))
            for o in outputs
            if o.partition is not None
        ]
    return scores


@pytest.mark.parametrize("asked", ["pr:Acme/Web#78", "pr:acme/web#78", "pr:ACME/WEB#78"])
@pytest.mark.parametrize("told", ["pr:Acme/Web#78", "pr:acme/web#78"])
def test_the_case_of_a_repositorys_name_makes_no_difference(asked: str, told: str) -> None:
    records = sent("waits", wait(asked)), sent("outcomes", closed(told), 1)
    for order in (records, records[::-1]):
        [score] = asyncio.run(played(MemoryRoom(), *order))
        assert (score["value"], score["subject"]) == (True, "pr:acme/web#78")


def test_a_wait_from_before_is_answered_where_it_was_opened() -> None:
    """Its subject is in the table under the spelling that it was asked with."""
    old = "pr:Acme/Web#78"
    record = sent("waits", wait(old))
    states = step({}, [WaitReceived(old, as_stored_wait(read_wait(record)))], NOON * 1000).subjects
    room = MemoryRoom()
    room.table.apply({record.partition: {old.encode(): Change(encode_subject(states[old]) or b"", None, 1)}})
    [score] = asyncio.run(played(room, sent("outcomes", closed(old), 1)))
    assert (score["value"], score["subject"]) == (True, old)
    assert json.loads(record.value or b"")["subject"] == old
