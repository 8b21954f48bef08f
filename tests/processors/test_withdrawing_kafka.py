"""What is cancelled and what is erased, on real Kafka.

Records, state on disk, changelogs, and what follows from them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from tests.processors.bench import Bench
from tests.processors.scripted import Script
from tests.processors.test_followups_kafka import WEEK, are, stands, working
from upshot.processors.correlate.handler import ROLE
from upshot.processors.followups.handler import ROLE as FOLLOWUPS

pytestmark = pytest.mark.stack


def at(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


async def test_a_cancelled_wait_ends_whatever_comes_first(bench: Bench) -> None:
    cancel = {"wait_id": "w", "cancelled_at": at(seconds=10)}
    opened = {"wait_id": "w", "opened_at": at(minutes=1)}
    async with bench.worker():
        await bench.wait("pr:1", **opened)
        await bench.send("waits", cancel | {"subject": "pr:1"})
        await bench.send("waits", cancel | {"subject": "pr:1"})
        await bench.send("waits", cancel | {"subject": "pr:2"})
        await bench.wait("pr:2", **opened)
        await bench.scores(2)
        await bench.outcome("pr:1", merged=True)
        await bench.wait("pr:3", **opened)
        await bench.outcome("pr:3", merged=True, time=at(seconds=30))
        await bench.scores(3)
        await bench.send("waits", cancel | {"subject": "pr:3"})
        await bench.wait("pr:4")
        await bench.outcome("pr:4", merged=True)
        found = await bench.scores(4)
    assert set(found) == {
        ("pr:1", None, "cancelled", 1),
        ("pr:2", None, "cancelled", 1),
        ("pr:3", True, "outcome", 1),
        ("pr:4", True, "outcome", 1),
    }


async def test_what_was_erased_is_neither_told_nor_kept(bench: Bench) -> None:
    person = {"attributes": {"email": "jo@example.org"}}
    async with bench.worker():
        await bench.wait("user:1", run_id="gdpr1", **person)
        await bench.wait("pr:7", run_id="gdpr1", wait_id="theirs", opened_at=at(seconds=5), **person)
        await bench.wait("pr:7", run_id="other", wait_id="others")
        await bench.outcome("user:2", merged=True, data={"email": "jo@example.org"})
        await bench.erase("waits", "user:1")
        await bench.erase("outcomes", "user:2")
        await bench.send("waits", {"subject": "pr:7", "run_id": "gdpr1", "erased_at": at(seconds=0)})
        await bench.wait("pr:8")
        await bench.outcome("pr:8", merged=True)
        await bench.scores(1)
        for subject in ("user:1", "pr:7"):
            await bench.outcome(subject, merged=True)
        await bench.outcome("pr:9", merged=True)
        await bench.wait("pr:9")
        scores = await bench.read("scores", lambda found: {s["subject"] for s in found} >= {"pr:7", "pr:8"})
    assert {s["run_id"] for s in scores} == {"r1", "other"}
    last = await changelog(bench, ROLE, "subjects")
    assert set(last) >= {b"user:1", b"user:2", b"pr:7"}
    assert not [value for value in last.values() if b"gdpr1" in value or b"example.org" in value]


async def test_an_erased_follow_up_is_forgotten_and_gives_nothing_any_more(bench: Bench) -> None:
    def asks(script: Script) -> None:
        script.score("closed", script.wait("ticket.closed", "ticket:1", WEEK).event is not None)

    async with working(bench, asks=asks):
        await bench.defer("f1", "asks", "jo@example.org")
        await bench.defer("f2", "asks", "nothing")
        await stands(bench, are("waiting", "f1", "f2"))
        await bench.erase("deferrals", "f1")
        await bench.defer("f1", "asks", "jo@example.org")
        await bench.defer("f3", "asks", "nothing")
        await stands(bench, are("waiting", "f3"))
        await bench.send("outcomes", {"type": "ticket.closed", "subject": "ticket:1", "id": "e1"})
        found = await stands(bench, are("done", "f2", "f3"))
    assert found["f1"]["status"] == "waiting"
    assert b"example.org" not in (await changelog(bench, FOLLOWUPS, "followups"))[b"f1"]


async def test_a_follow_up_that_nobody_defers_any_more_is_withdrawn_and_may_come_back(bench: Bench) -> None:
    def first(script: Script) -> None:
        if script.wait("ticket.closed", "ticket:1", WEEK).event is not None:
            script.defer("second", 1)

    def second(script: Script) -> None:
        script.score("deferred", True)
        script.wait("ticket.reopened", "ticket:2", WEEK)

    closed, lately = {"type": "ticket.closed", "subject": "ticket:1"}, at(seconds=1)

    def revised(to: int) -> Any:
        return lambda found: max([s["revision"] for s in found], default=0) >= to

    async with working(bench, first=first, second=second):
        await bench.defer("f1", "first", since=at(days=1))
        await stands(bench, are("waiting", "f1"))
        await bench.send("outcomes", closed | {"id": "e1", "time": lately})
        await bench.read("scores", revised(1))
        await bench.send("outcomes", closed | {"id": "e1", "time": at(days=2)})
        await bench.read("scores", revised(2))
        await bench.send("outcomes", closed | {"id": "e2", "time": lately})
        scores = await bench.read("scores", revised(3))
        waits = await bench.read("waits", lambda found: sum(w["subject"] == "ticket:2" for w in found) >= 3)
        await stands(bench, lambda found: {one["status"] for one in found.values()} == {"done", "waiting"})
    assert [(s["value"], s["reason"]) for s in sorted(scores, key=lambda s: s["revision"])] == [
        (True, "followup"),
        (None, "cancelled"),
        (True, "followup"),
    ]
    about = [w for w in waits if w["subject"] == "ticket:2"]
    assert [("cancelled_at" in w, w.get("revision", 0)) for w in about] == [(False, 0), (True, 1), (False, 2)]


async def changelog(bench: Bench, role: str, table: str) -> dict[bytes, bytes]:
    """What a table's changelog holds once it's compacted: of each key the last value."""
    consumer = AIOKafkaConsumer(
        f"{bench.settings.app_id(role)}-{table}-changelog",
        bootstrap_servers=bench.settings.kafka_url,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    last: dict[bytes, bytes] = {}
    try:
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                last |= {record.key: record.value or b"" for record in records}
    finally:
        await consumer.stop()
    return last
