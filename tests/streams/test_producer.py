"""What is sent is stored where its receipt says, in order, or its receipt says why not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import ConsumerRecord, TopicPartition

from tests.parts import running, started
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka import producer as producing
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.kafka.producer import delivered, event_producer, settled

pytestmark = pytest.mark.stack
PATIENCE = 60.0


@pytest.fixture
async def settings(kafka: KafkaServer) -> AsyncIterator[Settings]:
    """Topics of its own."""
    made = Settings(kafka_url=kafka.bootstrap, topic_prefix=f"p{uuid4().hex[:8]}.")
    await ensure_topics(made)
    yield made


async def stored(settings: Settings, topic: str) -> dict[tuple[int, int], ConsumerRecord]:
    """Every record of a topic by its place."""
    async with started(
        AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_url, enable_auto_commit=False, auto_offset_reset="earliest"
        )
    ) as consumer:
        tps = [TopicPartition(settings.topic(topic), p) for p in range(settings.partitions)]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        found: dict[tuple[int, int], ConsumerRecord] = {}
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found |= {(record.partition, record.offset): record for record in records}
        return found


async def test_each_receipt_tells_where_the_event_is(settings: Settings) -> None:
    async with event_producer(settings) as producer:
        sent = [
            await producer.send(
                "runs",
                str(number).encode(),
                key=f"run-{number % 50}",
                headers=[("h", b"\xff")],
                timestamp_ms=7,
            )
            for number in range(5_000)
        ]
        places = await delivered(sent)
        one = await sent[4_321]
    found = await stored(settings, "runs")
    assert len(found) == len(places) == 5_000
    assert one == places[4_321]
    by_key = defaultdict(list)
    for number, place in enumerate(places):
        record = found[place.partition, place.offset]
        assert (record.value, record.key) == (str(number).encode(), f"run-{number % 50}".encode())
        assert (record.timestamp, list(record.headers)) == (7, [("h", b"\xff")])
        assert record.partition == partition_for(record.key, settings.partitions)
        by_key[record.key].append(record.offset)
    assert all(offsets == sorted(offsets) for offsets in by_key.values())


async def test_events_without_a_key_go_to_all_partitions(settings: Settings) -> None:
    async with event_producer(settings) as producer:
        places = await delivered([await producer.send("runs", b"{}") for _ in range(8)])
    assert {place.partition for place in places} == set(range(settings.partitions))


async def test_what_was_queued_is_stored_at_the_end_though_nobody_waited(settings: Settings) -> None:
    async with event_producer(settings) as producer:
        for number in range(100):
            await producer.send("runs", b"{}", key=str(number))
    assert len(await stored(settings, "runs")) == 100


async def test_an_event_that_the_broker_refuses_says_so_and_so_does_nobody_else(settings: Settings) -> None:
    async with event_producer(settings) as producer:
        good = await producer.send("runs", b"{}", key="1")
        await good
        bad = await producer.send("runs", bytes(10_000_000), key="2")
        with pytest.raises(MessageSizeTooLargeError):
            await bad
        assert [type(error) for error in await settled([good, bad])] == [type(None), MessageSizeTooLargeError]
        with pytest.raises(MessageSizeTooLargeError):
            await delivered([good, bad])
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send("runs", bytes(17_000_000))
    assert len(await stored(settings, "runs")) == 1


async def test_who_gives_up_waiting_takes_nothing_from_the_others(settings: Settings) -> None:
    async with event_producer(settings) as producer:
        first, second = [await producer.send("runs", b"{}", key="same") for _ in range(2)]
        impatient = asyncio.ensure_future(asyncio.wait_for(first, 0))
        with pytest.raises(TimeoutError):
            await impatient
        assert (await second).offset == (await first).offset + 1


async def test_senders_wait_while_too_much_is_on_its_way(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producing, "MAX_WAITING_BYTES", 200_000)
    most = 0
    async with event_producer(settings) as producer:
        for number in range(2_000):
            await producer.send("runs", bytes(1_000), key=str(number))
            most = max(most, producer.waiting)
        await producer.flush()
        assert producer.waiting == 0
    assert 200_000 <= most < 202_000
    assert len(await stored(settings, "runs")) == 2_000


async def test_a_broker_that_is_gone_fails_every_event_that_it_does_not_have(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path)
    server.start()
    try:
        await asyncio.to_thread(server.wait_ready, PATIENCE)
        settings = Settings(kafka_url=server.bootstrap)
        await ensure_topics(settings)
        manager = event_producer(settings)
        producer = await manager.__aenter__()
        await (await producer.send("runs", b"{}", key="1"))
        await asyncio.to_thread(server.kill)
        lost = [await producer.send("runs", b"{}", key=str(number)) for number in range(10)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(manager.__aexit__(None, None, None), 0.2)
        errors = await asyncio.wait_for(settled(lost), PATIENCE)
        assert all(isinstance(error, KafkaError) for error in errors)
    finally:
        server.stop()


async def test_a_producer_given_up_without_a_broker_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its events can't be flushed any more: neither its sender nor its connections go on."""
    with running(KafkaServer(tmp_path)) as server:
        settings = Settings(kafka_url=server.bootstrap, topic_prefix="left.")
        await ensure_topics(settings)
        before = asyncio.all_tasks()
        connected, given_up = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            async with event_producer(settings) as producer:
                await delivered([await producer.send("runs", b"{}", key="r")])
                connected.set()
                await given_up.wait()
                await producer.send("runs", b"{}", key="r")

        working = asyncio.create_task(work())
        await asyncio.wait_for(connected.wait(), PATIENCE)
    given_up.set()
    await asyncio.sleep(0.5)
    assert not working.done()
    working.cancel()
    await asyncio.wait({working}, timeout=PATIENCE)
    assert working.cancelled()
    assert asyncio.all_tasks() - before == set()
