"""The table comes back in bulk, whole, and before the first record is handled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, Change, Effects
from upshot.streams.state import frame, payload

pytestmark = pytest.mark.stack

COMPACTED = {"cleanup.policy": "compact"}


def following(handler: Any) -> None:
    """State is the last value of each key."""

    async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
        effects = Effects()
        for tp, batch in batches.items():
            effects.changes[tp.partition] = {
                record.key: None if record.value is None else Change(record.value) for record in batch
            }
        return effects

    handler.on_process = process


async def test_a_hundred_thousand_keys(bench: Any, until: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "upshot.streams.runtime.recovery")
    source, group = await bench.topic(), bench.name("app")
    changelog = f"{group}-state-changelog"
    await bench.topic_named(changelog, 2, COMPACTED)
    # Each key twice, and a tenth of them deleted.
    changes = [(n % 2, b"%d" % n, frame(b"%d" % round_, None)) for round_ in (1, 2) for n in range(100_000)]
    await bench.fill(changelog, changes + [(n % 2, b"%d" % n, None) for n in range(0, 100_000, 10)])
    await bench.fill(source, [(0, b"k", b"v")])
    at_first: list[tuple[int, int]] = []

    def look(handler: Any) -> None:
        following(handler)
        process = handler.on_process

        async def first(batches: Any) -> Effects:
            table = handler.context.table
            at_first.append((table.size(0), table.size(1)))
            result: Effects = await process(batches)
            return result

        handler.on_process = first

    async with bench.worker(group, [source], prepare=look) as worker:
        await until(lambda: worker.processed == 1)
        table = worker.handler.context.table
        assert at_first == [(40_000, 50_000)]
        assert dict(table.items(1)) == {b"%d" % n: b"2" for n in range(1, 100_000, 2)}
        assert table.get(0, b"10") is None
        # Faust's own recovery, record by record, had nothing to do.
        assert not worker.app.tables.recovery.need_recovery()
        assert worker.app.tables.changelog_queue.empty()
        assert sum(worker.app.tables.recovery._active_events_received_at.values()) == 0
    assert "recovered state: 90000 keys from 210000 records" in caplog.text


async def test_a_partition_that_stays_is_not_read_again(
    bench: Any, until: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upshot.streams.runtime.store.HANDED_OVER_WITHIN", 60.0)
    caplog.set_level(logging.INFO, "upshot.streams.runtime.recovery")
    source, group = await bench.topic(), bench.name("app")
    await bench.fill(source, [(n % 2, b"%d" % n, b"v") for n in range(1000)])
    async with bench.worker(group, [source], prepare=following) as first:
        await until(lambda: first.processed == 1000)
        async with bench.worker(group, [source], prepare=following) as second:
            await until(lambda: second.handler.count("assigned"))
            await until(lambda: first.handler.count("assigned") == 2)
            table = second.handler.context.table
            (mine,) = (tp.partition for tp in second.handler.context.assignment())
            assert (table.size(mine), table.size(1 - mine)) == (500, 0)
            assert (first.app.table.size(mine), first.app.table.size(1 - mine)) == (0, 500)
            await second.stops()
        await until(lambda: first.handler.count("assigned") == 3)
        assert first.app.table.size(0) + first.app.table.size(1) == 1000
    assert "recovered state" not in caplog.text, "what was on disk was read again"


async def test_a_changelog_with_gaps_and_control_records(bench: Any, until: Any) -> None:
    """Aborted records are read too here; what counts is that the end, which is no record, is reached."""
    source, group = await bench.topic(partitions=1), bench.name("app")
    changelog = f"{group}-state-changelog"
    await bench.topic_named(changelog, 1, COMPACTED)
    async with bench.producer(transactional_id=bench.name("tx")) as producer:
        for n in range(3):
            async with producer.transaction():
                await producer.send(changelog, key=b"k", value=frame(b"%d" % n, None), partition=0)
    async with bench.worker(group, [source]) as worker:
        await until(lambda: worker.handler.count("assigned"))
        assert dict(worker.handler.context.table.items(0)) == {b"k": b"2"}


async def test_another_rebalance_during_recovery(bench: Any, until: Any) -> None:
    """A recovery that is interrupted goes on with what the next generation gives it."""
    source, group = await bench.topic(), bench.name("app")
    changelog = f"{group}-state-changelog"
    await bench.topic_named(changelog, 2, COMPACTED)
    await bench.fill(changelog, [(n % 2, b"%d" % n, frame(b"v", None)) for n in range(100_000)])
    async with bench.worker(group, [source]) as first, bench.worker(group, [source]) as second:
        await until(lambda: len(owned(first)) == 1 and len(owned(second)) == 1)
        for worker in (first, second):
            (partition,) = owned(worker)
            assert worker.app.table.size(partition) == 50_000
            assert worker.app.table.size(1 - partition) == 0


LATE = [(0, key, frame(b"stale", None)) for key in (b"a", b"gone", b"c")]


async def last_values(bench: Any, changelog: str) -> dict[bytes, bytes | None]:
    values = {record.key: record.value for record in await bench.read(changelog)}
    return {key: None if value is None else payload(value) for key, value in values.items()}


async def test_a_former_owner_s_late_write_does_not_outlive_us(bench: Any, until: Any) -> None:
    """Also where we write nothing to the partition ourselves: each commit looks."""
    source, group = await bench.topic(partitions=2), bench.name("app")
    await bench.fill(source, [(0, b"a", b"ours"), (0, b"b", b"ours")])
    async with bench.worker(group, [source], prepare=following) as worker:
        await until(lambda: worker.processed == 2)
        changelog = worker.app.table.changelog_topic_name
        await bench.fill(changelog, LATE)
        ours = {b"a": b"ours", b"b": b"ours", b"gone": None, b"c": None}

        async def restored() -> bool:
            return await last_values(bench, changelog) == ours

        await until(restored)
        # Nothing is written in answer to what we have written ourselves.
        ends = await bench.ends(changelog)
        flushed = worker.handler.count("flush")
        await bench.fill(source, [(1, b"other", b"ours")])
        await until(lambda: worker.handler.count("flush") > flushed)
        assert (await bench.ends(changelog))[0] == ends[0]
    async with bench.worker(group, [source]) as worker:
        await until(lambda: worker.handler.count("assigned"))
        assert dict(worker.handler.context.table.items(0)) == {b"a": b"ours", b"b": b"ours"}


async def test_our_next_write_finds_a_late_write_too(
    bench: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Before a commit does, which is a minute away here."""
    source, group = await bench.topic(partitions=1), bench.name("app")
    await bench.fill(source, [(0, b"a", b"ours"), (0, b"b", b"ours")])
    settings = bench.settings.model_copy(update={"commit_interval": 60.0})
    async with bench.worker(group, [source], prepare=following, settings=settings) as worker:
        await until(lambda: worker.processed == 2)
        await bench.fill(worker.app.table.changelog_topic_name, LATE)
        await bench.fill(source, [(0, b"c", b"ours")])
        await until(lambda: caplog.text.count("a former owner wrote 3 keys") == 1)
        await bench.fill(source, [(0, b"d", b"ours")])
        ours = {**dict.fromkeys([b"a", b"b", b"c", b"d"], b"ours"), b"gone": None}

        async def restored() -> bool:
            return await last_values(bench, worker.app.table.changelog_topic_name) == ours

        await until(restored)
    assert caplog.text.count("a former owner wrote") == 1


def owned(worker: Any) -> set[int]:
    return (
        {tp.partition for tp in worker.handler.context.assignment()}
        if worker.app.processing_loop.is_open
        else set()
    )


async def test_a_write_that_was_cut_off_is_found_at_the_next_recovery(
    bench: Any, until: Any, fast: Any
) -> None:
    """Dropped between the changelog's acknowledgement and the commit: the state is the changelog's."""
    source, group = await bench.topic(partitions=1), bench.name("app")
    held = asyncio.Event()

    def hold(handler: Any) -> None:
        following(handler)

        async def flush() -> None:
            if not held.is_set():
                held.set()
                await asyncio.Event().wait()

        handler.on_flush = flush

    await bench.fill(source, [(0, b"a", b"1"), (0, b"b", b"2")])
    timing = replace(fast, stop_within=0.5)
    async with bench.worker(group, [source], prepare=hold, timing=timing) as worker:
        await asyncio.wait_for(held.wait(), 30)
        assert await worker.stops() == 0
    assert await bench.committed(group, source) == {0: None}
    before: list[dict[bytes, bytes]] = []

    def look(handler: Any) -> None:
        following(handler)

        async def assigned(tps: frozenset[TP]) -> None:
            before.append(dict(handler.context.table.items(0)))

        handler.on_assigned = assigned

    async with bench.worker(group, [source], prepare=look) as worker:
        await until(lambda: worker.processed == 2)
    assert before == [{b"a": b"1", b"b": b"2"}]
    assert await bench.committed(group, source) == {0: 2}
