"""Topics of one measurement: made, filled, watched, read back and removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import ConsumerRecord
from events import Events, Message

from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import admin_client, ensure_topics
from upshot.streams.kafka.connection import client_options
from upshot.streams.kafka.sender import BATCH_BYTES, BatchSender
from upshot.streams.runtime import Output

INPUTS = ("waits", "outcomes")
PARTITIONS = 4
#: Records of one topic that are written at a time: both grow side by side.
CHUNK = 20_000
#: Seconds without an answer of the broker.
AWAY = 60.0

Ends = Mapping[TopicPartition, int]


async def prepare(settings: Settings, events: Events, changelog: str | None) -> Ends:
    """Make the topics, fill the inputs, and say where each of their partitions ends.

    `changelog` is the full name of a compacted topic to be made as well.
    """
    await ensure_topics(settings, [TOPICS[name] for name in (*INPUTS, "scores", "dead-letters")])
    if changelog:
        async with admin_client(settings) as admin:
            compact = {"cleanup.policy": "compact"}
            await admin.create_topics([NewTopic(changelog, PARTITIONS, 1, topic_configs=compact)])
    producer = AIOKafkaProducer(**client_options(settings), acks="all", max_batch_size=BATCH_BYTES)
    await producer.start()
    sender = BatchSender(lambda: producer, AWAY)
    for begin in range(0, max(len(events.waits), len(events.outcomes)), CHUNK):
        for name, messages in zip(INPUTS, (events.waits, events.outcomes), strict=True):
            await _fill(sender, settings.topic(name), messages[begin : begin + CHUNK])
    await producer.stop()
    return await _ends(settings, [settings.topic(name) for name in INPUTS])


async def _fill(sender: BatchSender, topic: str, messages: Sequence[Message]) -> None:
    await sender.outputs([Output(topic, None, key, value, (), at) for key, value, at in messages])
    await sender.flush()


async def is_committed(admin: AIOKafkaAdminClient, group: str, ends: Ends) -> bool:
    """Whether the group has committed everything up to the ends."""
    committed = await admin.list_consumer_group_offsets(group)
    return all(tp in committed and committed[tp].offset >= end for tp, end in ends.items())


async def read_values(settings: Settings, topic: str) -> list[bytes]:
    """Every value of a topic."""
    return [record.value async for record in _records(settings, topic)]


async def count_keys(settings: Settings, topic: str) -> int:
    """How many keys of a changelog have a value in the end."""
    present: dict[tuple[int, bytes], bool] = {}
    async for record in _records(settings, topic):
        present[record.partition, record.key] = record.value is not None
    return sum(present.values())


async def remove_topics(settings: Settings) -> None:
    """Remove every topic with the prefix."""
    async with admin_client(settings) as admin:
        names = [name for name in await admin.list_topics() if settings.topic_prefix.rstrip(".") in name]
        await admin.delete_topics(names)


async def _ends(settings: Settings, topics: Sequence[str]) -> Ends:
    async with AIOKafkaConsumer(**client_options(settings)) as consumer:
        tps = [TopicPartition(topic, n) for topic in topics for n in range(PARTITIONS)]
        ends: Ends = await consumer.end_offsets(tps)
        return ends


async def _records(settings: Settings, topic: str) -> AsyncIterator[ConsumerRecord]:
    async with AIOKafkaConsumer(
        topic, **client_options(settings), auto_offset_reset="earliest", max_partition_fetch_bytes=BATCH_BYTES
    ) as consumer:
        tps = consumer.assignment()
        while not tps:
            await asyncio.sleep(0.01)
            tps = consumer.assignment()
        ends = await consumer.end_offsets(tps)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield record
