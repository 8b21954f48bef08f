"""Topics that are deleted, made again, grown, cut off.

Noticed within seconds, read whole, and never mistaken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.records_to_delete import RecordsToDelete

from upshot.streams.kafka.offset_metadata import OffsetMetadata, read_metadata
from upshot.streams.kafka.topic_ids import Described
from upshot.streams.kafka.topic_watch import TopicWatch, change_of
from upshot.streams.runtime import TP, Unsettled
from upshot.streams.runtime.poison import ALONE, Note, read_note, write_note

OLD, NEW = b"o" * 16, b"n" * 16


def watch(*topics: str) -> TopicWatch:
    return TopicWatch(topics, now=lambda: 0.0)


@pytest.mark.parametrize(
    ("known", "found", "change"),
    [
        (Described(OLD, 2), Described(OLD, 2), None),
        (Described(OLD, 2), None, "gone"),
        (None, None, "gone"),
        (None, Described(OLD, 2), "made"),
        (Described(OLD, 2), Described(NEW, 2), "made"),
        (Described(OLD, 2), Described(OLD, 4), "resized"),
    ],
)
def test_what_has_happened_to_a_topic(known: Any, found: Any, change: Any) -> None:
    assert change_of(known, found) == change


def test_a_topic_that_is_gone_is_said_once_and_asks_once(caplog: pytest.LogCaptureFixture) -> None:
    looking = watch("a", "b")
    looking.settle({"a": Described(OLD, 2), "b": Described(OLD, 2)})
    assert [looking.look({"b": Described(OLD, 2)}) for _ in range(3)] == [True, False, False]
    assert not looking.holds("a") and looking.holds("b")
    looking.settle({"b": Described(OLD, 2)})
    assert not looking.look({"b": Described(OLD, 2)}), "there is nothing to share out"
    assert looking.changes({"b": Described(OLD, 2)}) == {"a": "gone"}
    assert looking.look({"a": Described(NEW, 2), "b": Described(OLD, 2)})
    looking.settle({"a": Described(NEW, 2), "b": Described(OLD, 2)})
    assert looking.holds("a") and looking.since == {}
    assert looking.happened == {("a", "gone"): 1, ("a", "made"): 1}
    assert len(caplog.messages) == 2


def test_positions_in_a_topic_that_has_grown_are_still_its_own() -> None:
    looking = watch("a")
    looking.settle({"a": Described(OLD, 2)})
    assert looking.look({"a": Described(OLD, 4)}) and looking.holds("a") and "a" in looking.since
    looking.look({})
    assert not looking.holds("a"), "it is gone meanwhile"
    assert looking.happened == {("a", "resized"): 1, ("a", "gone"): 1}


def test_brokers_that_tell_no_ids_are_believed() -> None:
    looking = watch("a")
    looking.settle(None)
    assert not looking.look(None)
    assert looking.holds("a") and not looking.changes(None)


@asynccontextmanager
async def admin_of(bench: Any) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bench.kafka.bootstrap)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def delete(bench: Any, topic: str) -> None:
    async with admin_of(bench) as admin:
        await admin.delete_topics([topic])


async def unsettled(context: Any, topic: str) -> bool:
    try:
        await context.end_offsets([tp for tp in context.assignment() if tp.topic == topic])
    except Unsettled:
        return True
    return False


@pytest.mark.stack
@pytest.mark.parametrize("table", ["state", None])
async def test_a_topic_that_was_made_again_is_read_from_its_beginning(
    bench: Any, until: Callable[..., Any], table: str | None
) -> None:
    source, other = await bench.topic(), await bench.topic("other")
    group = bench.name("app")
    async with bench.worker(group, [source, other], table=table) as worker:
        context, records = worker.handler.context, worker.handler.records
        await bench.fill(source, [(n % 2, None, b"old") for n in range(6)])
        await until(lambda: len(records) == 6)
        await until(lambda: bench.committed(group, source))
        await delete(bench, source)
        await until(lambda: unsettled(context, source))
        await bench.fill(other, [(0, None, b"meanwhile")])
        await until(lambda: len(records) == 7)
        assert await unsettled(context, source), "no deadline may be judged while the topic is gone"
        await bench.topic_named(source, 2, {})
        # More than were read of the one before: an offset of that one lies in the middle of this one.
        await bench.fill(source, [(n % 2, None, b"new") for n in range(10)])
        await until(lambda: len(records) == 17, patience=20)
        news = [(r.partition, r.offset) for r in records if r.value == b"new"]
        assert sorted(news) == [(p, n) for p in (0, 1) for n in range(5)]
        made = {r.value: r.made for r in records}
        assert made[b"old"] and made[b"new"] and made[b"old"] != made[b"new"]
        assert not await unsettled(context, source)
        assert worker.app.watch.happened[source, "made"] == 1
    async with bench.worker(group, [source, other], table=table) as worker:
        await until(lambda: worker.handler.count("assigned"))
        await bench.fill(source, [(0, None, b"later")])
        await until(lambda: worker.handler.records)
        assert [r.value for r in worker.handler.records] == [b"later"], "what was committed is of this topic"


@pytest.mark.stack
async def test_what_was_committed_in_the_topic_before_says_nothing_of_this_one(
    bench: Any, until: Callable[..., Any]
) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    async with bench.worker(group, [source]) as worker:
        await bench.fill(source, [(0, None, b"old")] * 3)
        await until(lambda: len(worker.handler.records) == 3)
        stale = worker.app.watch.token(source)
    await delete(bench, source)
    await bench.topic_named(source, 1, {})
    await bench.fill(source, [(0, None, b"new")] * 5)
    async with bench._reader(group_id=group) as reader:
        from aiokafka.structs import OffsetAndMetadata

        # As a worker that had not heard of it would have committed, and blamed the record that was the first
        # there.
        note = write_note(Note(1, 1, 1, ALONE))
        reader.assign([TopicPartition(source, 0)])
        metadata = str(OffsetMetadata(stale, "recovering 7", note))
        await reader.commit({TopicPartition(source, 0): OffsetAndMetadata(3, metadata)})
    async with bench.worker(group, [source]) as worker:
        await until(lambda: len(worker.handler.records) == 5)
        assert [r.offset for r in worker.handler.records] == list(range(5))
        assert worker.app.processing_loop._guard.is_calm(TP(source, 0))


@pytest.mark.stack
async def test_a_sign_of_life_keeps_the_note_and_the_topic(bench: Any, until: Callable[..., Any]) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    tp = TopicPartition(source, 0)

    async def metadata() -> OffsetMetadata:
        async with bench._reader(group_id=group) as reader:
            return read_metadata((await reader._coordinator.fetch_committed_offsets([tp]))[tp].metadata)

    async with bench.worker(group, [source]) as worker:
        await bench.fill(source, [(0, None, b"x")] * 3)
        await until(lambda: bench.committed(group, source))
        await until(lambda: len(worker.handler.records) == 3)
        token = worker.app.watch.token(source)
        await worker.app.processing_loop.mark({TP(source, 0): Note(1, 3, 3)})
        await worker.app.consumer.sign("recovering 7")
        found = await metadata()
        assert token and found[:2] == (token, "recovering 7")
        assert read_note(found.note) == Note(1, 3, 3)
    assert await metadata() == (token, "", ""), "it has ended in peace"


@pytest.mark.stack
async def test_partitions_beyond_the_tables_are_read_too(bench: Any, until: Callable[..., Any]) -> None:
    source, group = await bench.topic(partitions=2), bench.name("app")
    async with bench.worker(group, [source]) as worker:
        await until(lambda: worker.handler.count("assigned"))
        async with admin_of(bench) as admin:
            await admin.create_partitions({source: NewPartitions(5)})
        await bench.fill(source, [(n, None, b"x") for n in range(5)])
        await until(lambda: len(worker.handler.records) == 5, patience=20)
        assert worker.handler.context.units() == 2
        assert not await unsettled(worker.handler.context, source)
    async with bench.worker(group, [source]) as worker:
        await bench.fill(source, [(4, None, b"y")])
        await until(lambda: [r.value for r in worker.handler.records] == [b"y"])


@pytest.mark.stack
async def test_a_topic_with_fewer_partitions_than_its_table_is_given_them(
    bench: Any, until: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    source, group = await bench.topic(partitions=3), bench.name("app")
    async with bench.worker(group, [source]) as worker:
        await until(lambda: worker.handler.count("assigned"))
    await delete(bench, source)
    await bench.topic_named(source, 1, {})
    await bench.fill(source, [(0, None, b"x")])
    async with bench.worker(group, [source]) as worker:
        await until(lambda: worker.handler.records)
        assert len(worker.handler.context.assignment()) == 3
    assert "has 1 partitions, its table 3" in caplog.text


@pytest.mark.stack
async def test_what_was_removed_before_it_was_read_is_told(
    bench: Any, until: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    await bench.fill(source, [(0, None, b"%d" % n) for n in range(10)])
    async with bench.worker(group, [source]) as worker:
        await until(lambda: len(worker.handler.records) == 10)
    await bench.fill(source, [(0, None, b"%d" % n) for n in range(10)])
    async with admin_of(bench) as admin:
        await admin.delete_records({TopicPartition(source, 0): RecordsToDelete(before_offset=14)})
    with caplog.at_level(logging.ERROR):
        async with bench.worker(group, [source]) as worker:
            await until(lambda: [r.offset for r in worker.handler.records] == list(range(14, 20)))
            await until(lambda: worker.app.engine_metrics.lost[source] == 4)
    assert f"4 records of {source}/0 were removed before they were read" in caplog.text
    await asyncio.sleep(0)


def test_places_of_topics_made_anew_differ() -> None:
    from upshot.streams.events.records import FORWARDED_FROM, Place, place_of
    from upshot.streams.kafka.fetch import Fetched

    first = Fetched("t", 1, 2, 0, None, None, (), "AAAA-_1z")
    assert place_of(first) == Place("t", 1, 2, "AAAA-_1z")
    assert (str(place_of(first)), place_of(first).ident) == ("t/1/2/AAAA-_1z", "t-1-2-AAAA-_1z")
    moved = Fetched("t", 0, 9, 0, None, None, ((FORWARDED_FROM, str(place_of(first)).encode()),), "AAAA-_1z")
    assert place_of(moved) == place_of(first)
    plain = Fetched("t", 1, 2, 0, None, None, ())
    assert (str(place_of(plain)), place_of(plain).ident) == ("t/1/2", "t-1-2")
    assert TP("t", 1) == place_of(plain)[:2]
