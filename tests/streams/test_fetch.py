"""Records that are made the short way say what aiokafka's say."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from upshot.streams.batch.fetch import Fetched, QuickRecords, hasten


def batch_of(*headers: list[tuple[str, bytes | None]]) -> bytes:
    """A batch on the wire: a record for each list of headers."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 20)
    for offset, named in enumerate(headers):
        builder.append(offset, timestamp=7, key=None, value=b"%d" % offset, headers=named)
    return bytes(builder.build())


def fetched(batches: bytes) -> list[Fetched]:
    records = QuickRecords(
        TopicPartition("in", 0), MemoryRecords(batches), [], 0, None, None, True, READ_COMMITTED
    )
    return list(records)


def test_a_header_without_a_value_has_an_empty_one() -> None:
    plain, odd = fetched(batch_of([], [("a", None), ("b", b"x"), ("a", b"")]))
    assert plain.headers == ()
    assert odd.headers == (("a", b""), ("b", b"x"), ("a", b""))


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
