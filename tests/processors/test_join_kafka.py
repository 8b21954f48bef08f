"""The join on real Kafka: deadlines, backlogs, restarts, misplaced records, bad input."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions
from aiokafka.errors import KafkaError

from tests.processors.bench import MERGED, Bench
from upshot.streams.kafka.admin import admin_client, ensure_topics
from upshot.streams.kafka.partitioner import partition_for

pytestmark = pytest.mark.stack


async def test_an_outcome_becomes_a_score_in_either_order(bench: Bench) -> None:
    async with bench.worker():
        await bench.wait("pr:1")
        await bench.outcome("pr:1", merged=True)
        await bench.outcome("pr:2", merged=False)
        now = datetime.now(UTC).isoformat()
        await bench.wait("pr:2", opened_at=now, since=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
        scores = await bench.scores(2)
    assert sorted(scores) == [("pr:1", True, "outcome", 1), ("pr:2", False, "outcome", 1)]


async def test_a_deadline_is_kept_on_a_silent_topic(bench: Bench) -> None:
    async with bench.worker():
        await bench.wait("pr:1", rule=MERGED | {"within": "PT0.5S"})
        assert await bench.scores(1) == [("pr:1", False, "deadline", 1)]


async def test_a_deadline_that_passed_while_nobody_worked_is_judged_after_a_restart(bench: Bench) -> None:
    async with bench.worker():
        await bench.wait("pr:1", rule=MERGED | {"within": "PT3S"})
        await bench.wait("pr:2")
        await bench.outcome("pr:2", merged=True)
        await bench.scores(1)
    async with bench.worker():
        assert (await bench.scores(2))[1] == ("pr:1", False, "deadline", 1)


async def test_a_backlog_cannot_expire_what_it_holds_the_answer_to(bench: Bench) -> None:
    opened = datetime.now(UTC) - timedelta(days=30)
    subjects = [f"pr:{n}" for n in range(200)]
    for subject in subjects:
        await bench.wait(subject, opened_at=opened.isoformat())
    for subject in subjects:
        await bench.outcome(subject, merged=True, time=(opened + timedelta(days=13)).isoformat())
    async with bench.worker():
        scores = await bench.scores(200)
    assert sorted(scores) == sorted((subject, True, "outcome", 1) for subject in subjects)


async def test_an_open_transaction_cannot_expire_what_it_holds_the_answer_to(bench: Bench) -> None:
    """The answer stands behind it, written in time; and an answer that is aborted is none."""
    topic = bench.settings.topic("outcomes")
    opened = datetime.now(UTC) - timedelta(days=30)
    in_time = (opened + timedelta(days=13)).isoformat()
    transactions = AIOKafkaProducer(
        bootstrap_servers=bench.settings.kafka_url, transactional_id=bench.settings.topic_prefix
    )
    try:
        await transactions.start()
        await transactions.begin_transaction()
        other = {"type": "pr.closed", "subject": "pr:2", "data": {"merged": True}, "time": in_time}
        for partition in range(bench.settings.partitions):
            await transactions.send_and_wait(topic, json.dumps(other).encode(), b"pr:2", partition)
        async with bench.worker():
            for subject in ("pr:1", "pr:2"):
                await bench.wait(subject, opened_at=opened.isoformat())
            await bench.outcome("pr:1", merged=True, time=in_time)
            await bench.worked_through("waits")
            await transactions.abort_transaction()
            scores = await bench.scores(2)
    finally:
        await transactions.stop()
    assert sorted(scores) == [("pr:1", True, "outcome", 1), ("pr:2", False, "deadline", 1)]


async def test_late_is_not_lost(bench: Bench) -> None:
    opened = datetime.now(UTC) - timedelta(days=30)
    async with bench.worker():
        await bench.wait("pr:1", opened_at=opened.isoformat())
        await bench.scores(1)
        await bench.outcome("pr:1", merged=True, time=(opened + timedelta(days=1)).isoformat())
        scores = await bench.read("scores", lambda found: len(found) >= 2)
    assert [(s["value"], s["reason"], s["revision"], s["supersedes"], s["late"]) for s in scores] == [
        (False, "deadline", 1, None, False),
        (True, "outcome", 2, 1, True),
    ]


async def test_a_misplaced_record_goes_to_its_subjects_partition_once(bench: Bench) -> None:
    right = partition_for(b"pr:1", bench.settings.partitions)
    async with bench.worker():
        await bench.wait("pr:1")
        await bench.outcome("pr:1", merged=True, partition=(right + 1) % bench.settings.partitions)
        assert await bench.scores(1) == [("pr:1", True, "outcome", 1)]
        outcomes = await bench.read("outcomes", lambda found: len(found) >= 2)
    assert len(outcomes) == 2


async def test_what_comes_again_is_said_again_with_the_same_identity(bench: Bench) -> None:
    async with bench.worker():
        for times in (1, 2, 3):
            await bench.wait("pr:1", opened_at="2026-10-31T00:00:00Z")
            await bench.outcome("pr:1", merged=True, id="e1", source="github", time="2026-11-01T00:00:00Z")
            scores = await bench.read("scores", lambda found: len(found) >= times)  # noqa: B023 - awaited here
    assert len({json.dumps(score) for score in scores if score["value"]}) == 1


async def test_bad_input_is_kept_and_what_follows_is_not_lost(bench: Bench) -> None:
    bad = [
        b"no json",
        b'{"type":"pr.closed"}',
        b'{"type":"x","subject":"s","data":NaN}',
        b"[1]",
        b"x" * 1_500_000,
    ]
    async with bench.worker():
        for value in bad:
            await bench.send("outcomes", value, partition=0)
        await bench.send(
            "waits", {"run_id": "r", "name": "n", "subject": "s", "rule": {"on": {}, "within": "P1D"}}
        )
        await bench.wait("pr:1")
        await bench.outcome("pr:1", merged=True)
        assert await bench.scores(1) == [("pr:1", True, "outcome", 1)]
        letters = await bench.read("dead-letters", lambda found: len(found) >= 6)
    reasons = sorted(letter["reason"] for letter in letters)
    assert reasons == ["invalid_rule", "no_subject", "not_an_object", "not_finite", "not_json", "too_large"]
    assert {letter["offset"] for letter in letters if letter["topic"].endswith("outcomes")} == {0, 1, 2, 3, 4}


async def test_an_outcome_that_gives_no_score_is_dead_lettered_and_leaves_the_wait_open(bench: Bench) -> None:
    async with bench.worker():
        await bench.wait("pr:1")
        await bench.outcome("pr:1", merged=True, data={"merged": "maybe"})
        await bench.outcome("pr:1", merged=True)
        (letter,) = await bench.read("dead-letters", lambda found: len(found) >= 1)
        assert await bench.scores(1) == [("pr:1", True, "outcome", 1)]
    assert letter["reason"] == "unusable_outcome"
    assert "data.merged" in letter["detail"]


async def test_partitions_that_a_topic_gets_later_are_read_and_forwarded(bench: Bench) -> None:
    """The state stays in the partitions that it's in.

    Without the forwarding the wait would never hear of it.
    """
    async with bench.worker():
        await bench.wait("pr:1")
        await bench.outcome("pr:1", merged=True)
        await bench.scores(1)
        async with admin_client(bench.settings) as admin:
            await admin.create_partitions({bench.settings.topic("outcomes"): NewPartitions(6)})
        await bench.wait("pr:2")
        deadline = monotonic() + 60
        while True:
            try:
                await bench.outcome("pr:2", merged=True, partition=5)
                break
            except (AssertionError, KafkaError):  # the producer hasn't heard of it yet
                assert monotonic() < deadline
                await bench._producer.client.force_metadata_update()
        assert ("pr:2", True, "outcome", 1) in await bench.scores(2)
    async with bench.worker():
        await bench.wait("pr:3", rule=MERGED | {"within": "PT0.5S"})
        assert ("pr:3", False, "deadline", 1) in await bench.scores(3)


async def test_no_deadline_is_judged_while_its_topic_is_gone(bench: Bench) -> None:
    outcomes = bench.settings.topic("outcomes")
    async with bench.worker():
        await bench.wait("pr:1")
        await bench.outcome("pr:1", merged=True)
        await bench.scores(1)
        async with admin_client(bench.settings) as admin:
            await admin.delete_topics([outcomes])
        await bench.wait("pr:2", rule=MERGED | {"within": "PT3S"})
        await asyncio.sleep(5)
        assert await ensure_topics(bench.settings) == [outcomes]
        now = datetime.now(UTC) - timedelta(seconds=4)
        await bench.outcome("pr:2", merged=True, time=now.isoformat())
        # The first may be announced again where the topic's end cut its batch short.
        found = await bench.read("scores", lambda scores: {s["subject"] for s in scores} >= {"pr:1", "pr:2"})
        told = {(s["subject"], s["value"], s["reason"], s["revision"]) for s in found}
        assert told == {("pr:1", True, "outcome", 1), ("pr:2", True, "outcome", 1)}
