"""Waits with their outcomes, evenly over the partitions: all at once, or steadily."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer

from upshot.settings import Settings
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.kafka.producer import EventProducer, event_producer

_RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}


def subjects(partitions: int) -> Iterator[tuple[int, str]]:
    """Subjects without end, of partition 0, 1, 2, … in turn, each with its partition."""
    kept: dict[int, list[str]] = defaultdict(list)
    number = 0
    turn = 0
    while True:
        while not kept[turn]:
            subject = f"pr:acme/web#{number}"
            kept[partition_for(subject.encode(), partitions)].append(subject)
            number += 1
        yield turn, kept[turn].pop(0)
        turn = (turn + 1) % partitions


async def send_pair(producer: EventProducer, partition: int, subject: str) -> None:
    """A wait and its outcome. The run id names the partition, for readers of the score."""
    now = datetime.now(UTC).isoformat()
    wait = {"run_id": f"{partition}/{subject}", "name": "merged", "subject": subject, "rule": _RULE}
    outcome = {"type": "pr.closed", "subject": subject, "time": now, "data": {"merged": True}}
    await producer.send("waits", json.dumps(wait | {"opened_at": now}).encode(), key=subject)
    await producer.send("outcomes", json.dumps(outcome).encode(), key=subject)


async def fill(settings: Settings, events: int) -> float:
    """Send a backlog; seconds from its first event until its last score."""
    topic = settings.topic("scores")
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=settings.kafka_url, auto_offset_reset="earliest", enable_auto_commit=False
    ) as reader:
        scored = asyncio.create_task(_count(reader, events // 2))
        began = time.perf_counter()
        async with event_producer(settings) as producer:
            source = subjects(settings.partitions)
            for _ in range(events // 2):
                await send_pair(producer, *next(source))
        await scored
        return time.perf_counter() - began


async def _count(reader: AIOKafkaConsumer, scores: int) -> None:
    while scores > 0:
        for records in (await reader.getmany(timeout_ms=500)).values():
            scores -= len(records)


__all__ = ["fill", "send_pair", "subjects"]
