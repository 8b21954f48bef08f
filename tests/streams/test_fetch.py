"""Records that are made the short way say what aiokafka's say."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from upshot.streams.kafka.fetch import FastRecords, Fetched, install_fast_records

ODD, ODD_READ = b"n\xff\xe9!", "n\ufffd\ufffd!"


def batch_of(*headers: list[tuple[str, bytes | None]], first: int = 0, codec: int = 0) -> bytes:
    """A batch on the wire: a record for each list of headers."""
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    for number, named in enumerate(headers):
        builder.append(number, timestamp=7, key=None, value=b"%d" % (first + number), headers=named)
    return first.to_bytes(8, "big") + bytes(builder.build())[8:]


def fetched(batches: bytes) -> list[Fetched]:
    tp = TopicPartition("in", 0)
    records = FastRecords(tp, MemoryRecords(batches), [], 0, None, None, True, READ_COMMITTED)
    records.read_again(batches)
    return list(records)


def renamed(batch: bytes, name: bytes, odd: bytes) -> bytes:
    """The batch with another name of a header, as long as before."""
    body = batch[21:].replace(name, odd)
    return batch[:17] + calc_crc32c(body).to_bytes(4, "big") + body


def test_a_header_without_a_value_has_an_empty_one() -> None:
    plain, odd = fetched(batch_of([], [("a", None), ("b", b"x"), ("a", b"")]))
    assert plain.headers == ()
    assert odd.headers == (("a", b""), ("b", b"x"), ("a", b""))


def test_a_header_may_have_any_name() -> None:
    odd = [
        renamed(batch_of([("a", b"1")], [("b", b"2"), ("name", b"3")], [("c", b"4")], first=n), b"name", ODD)
        for n in (2, 5)
    ]
    batches = b"".join([batch_of([], []), *odd, batch_of([("d", None)], first=8)])
    found = fetched(batches)
    assert [record.offset for record in found] == list(range(9))
    assert found[3].headers == found[6].headers == (("b", b"2"), (ODD_READ, b"3"))
    assert [record.headers for record in found[4:6]] == [(("c", b"4"),), (("a", b"1"),)]
    assert found[8].headers == (("d", b""),)


@pytest.mark.parametrize("codec", [1, 2, 3, 4], ids=["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_of_kafka_is_read(codec: int) -> None:
    headers = [("a", b"x" * 100)]
    assert [r.headers for r in fetched(batch_of(headers, headers, codec=codec))] == [tuple(headers)] * 2


async def read(bench: Any, topic: str, count: int, *, hastened: bool, at_once: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bench.settings.kafka_url, enable_auto_commit=False)
    try:
        await consumer.start()
        if hastened:
            install_fast_records(consumer._fetcher)
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
            names = [name for name in Fetched.__struct_fields__ if name != "made"]
            assert [getattr(mine, name) for name in names] == [getattr(theirs, name) for name in names]


async def test_a_header_may_have_any_name_on_the_way_through_kafka(bench: Any) -> None:
    topic = await bench.topic(partitions=1)
    await bench.fill(topic, [(0, b"k", b"first")])
    async with bench.producer() as producer:
        batch = producer.create_batch()
        for number in range(3):
            batch.append(timestamp=None, key=None, value=b"%d" % number, headers=[("name", b"x")])
        batch.close()
        batch._buffer = renamed(bytes(batch._build()), b"name", ODD)
        await (await producer.send_batch(batch, topic, partition=0))
    await bench.fill(topic, [(0, b"k", b"last")])
    for at_once in (1, 1_000):
        found = await read(bench, topic, 4, hastened=True, at_once=at_once)
        assert [record.value for record in found] == [b"0", b"1", b"2", b"last"]
        assert found[2].headers == ((ODD_READ, b"x"),)
