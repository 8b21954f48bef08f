"""Records that are made the short way say what aiokafka's say."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from upshot.streams.batch.fetch import Fetched, hasten


async def read(bench: Any, topic: str, count: int, *, hastened: bool, at_once: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bench.settings.kafka_url, enable_auto_commit=False)
    await consumer.start()
    try:
        if hastened:
            hasten(consumer._fetcher)
        tp = TopicPartition(topic, 0)
        consumer.assign([tp])
        consumer.seek(tp, 1)
        records: list[Any] = []
        while len(records) < count:
            found = await consumer.getmany(timeout_ms=1_000, max_records=at_once)
            records += [record for batch in found.values() for record in batch]
        assert await consumer.position(tp) == count + 1
        return records
    finally:
        await consumer.stop()


async def test_the_short_way_says_the_same(bench: Any) -> None:
    topic = await bench.topic(partitions=1)
    await bench.fill(topic, [(0, b"k%d" % n, b"v%d" % n if n % 3 else None) for n in range(100)])
    stock = await read(bench, topic, 99, hastened=False, at_once=1_000)
    for at_once in (7, 1_000):
        ours = await read(bench, topic, 99, hastened=True, at_once=at_once)
        assert {type(record) for record in ours} == {Fetched}
        for mine, theirs in zip(ours, stock, strict=True):
            assert {name: getattr(theirs, name) for name in Fetched.__struct_fields__} == {
                name: getattr(mine, name) for name in Fetched.__struct_fields__
            }
