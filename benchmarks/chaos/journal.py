"""Reads topics back as they lie in Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from time import monotonic
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from upshot.settings import Settings
from upshot.streams.kafka.connection import client_options

#: What the world writes.
INPUTS = ("runs", "waits", "outcomes", "scores", "deferrals")
#: Seconds.
_ANSWERS_WITHIN = 60.0


class Entry(NamedTuple):
    """A record; `topic` is without the prefix, `timestamp` in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    forwarded: bool = False


async def read_back(settings: Settings, topics: Iterable[str] = INPUTS) -> AsyncIterator[Entry]:
    """Every record of `topics`, from their beginning to where they end now."""
    consumer = await _connected(settings)
    try:
        tps = [
            TopicPartition(settings.topic(topic), partition)
            for topic in topics
            for partition in range(settings.partitions)
        ]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                name = tp.topic.removeprefix(settings.topic_prefix)
                for record in records:
                    forwarded = any(header == "upshot-forwarded-from" for header, _ in record.headers)
                    yield Entry(name, tp.partition, record.offset, record.timestamp, record.value, forwarded)
    finally:
        await consumer.stop()


async def _connected(settings: Settings) -> AIOKafkaConsumer:
    """A consumer, once the broker answers: it may have been killed a moment ago."""
    deadline = monotonic() + _ANSWERS_WITHIN
    while True:
        consumer = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest")
        try:
            await consumer.start()
        except KafkaConnectionError:
            await consumer.stop()
            if monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
        else:
            return consumer


__all__ = ["INPUTS", "Entry", "read_back"]
