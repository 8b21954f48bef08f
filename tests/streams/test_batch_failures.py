"""What fails, or takes too long: nothing is committed past it, nothing hangs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from upshot.errors import ConfigurationError
from upshot.streams.events.records import Record
from upshot.streams.kafka.logs import OneLine
from upshot.streams.runtime import TP, Change, Effects, Output

pytestmark = pytest.mark.stack

LARGE = b"x" * 5_000
"""More than the topics of these tests take."""


def answering(effects: Any) -> Any:
    """A handler whose `process` returns `effects(records)`."""

    def prepare(handler: Any) -> None:
        async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            result: Effects = effects([record for batch in batches.values() for record in batch])
            return result

        handler.on_process = process

    return prepare


async def test_a_refused_changelog_write_sends_and_commits_nothing(
    bench: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source, out = await bench.topic(partitions=1), await bench.topic("out")
    group = bench.name("app")
    await bench.topic_named(
        f"{group}-state-changelog", 1, {"cleanup.policy": "compact", "max.message.bytes": "1000"}
    )
    await bench.fill(source, [(0, b"k", b"")])
    both = answering(lambda records: Effects({0: {b"k": Change(LARGE)}}, [Output(out, 0, b"k", b"v")]))
    async with bench.worker(group, [source], prepare=both) as worker:
        assert await worker.ends() == 75
    assert await bench.read(out) == []
    assert await bench.committed(group, source) == {0: None}
    assert "the broker refused a batch" in caplog.text
    assert "Nothing is lost" in caplog.text


async def test_a_refused_output_commits_nothing(bench: Any, until: Any) -> None:
    source, out = await bench.topic(partitions=1), await bench.topic("out", max_message_bytes="1000")
    group = bench.name("app")
    await bench.fill(source, [(0, b"k", b"")])
    async with bench.worker(
        group, [source], prepare=answering(lambda records: Effects(outputs=[Output(out, 0, b"k", LARGE)]))
    ) as worker:
        assert await worker.ends() == 75
        assert worker.handler.count("flush") == 0
    assert await bench.committed(group, source) == {0: None}
    # Once it's put right, the same records come again.
    async with bench.worker(group, [source]) as worker:
        await until(lambda: worker.processed == 1)
    assert await bench.committed(group, source) == {0: 1}


async def test_an_output_for_a_topic_that_is_missing_commits_nothing(bench: Any, fast: Any) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    await bench.fill(source, [(0, b"k", b"")])
    nowhere = answering(lambda records: Effects(outputs=[Output("nowhere-at-all", 3, b"k", b"v")]))
    timing = replace(fast, request_timeout=2.0)
    async with bench.worker(group, [source], prepare=nowhere, timing=timing) as worker:
        assert await worker.ends() == 75
    assert await bench.committed(group, source) == {0: None}


async def test_an_exception_in_a_handler_commits_nothing_after_it(
    bench: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")

    def fail(records: list[Record]) -> Effects:
        if any(record.value == b"bad" for record in records):
            raise ValueError("can't work with this")
        return Effects()

    await bench.fill(source, [(0, b"k", b"good")])
    async with bench.worker(group, [source], prepare=answering(fail)) as worker:
        await until(lambda: worker.processed == 1)
        await bench.fill(source, [(0, b"k", b"bad")])
        assert await worker.ends() == 75
        flushes = [taken for name, taken in worker.handler.events if name == "flush"]
        assert set(flushes) <= {1}
    assert (await bench.committed(group, source))[0] in (None, 1)
    assert "ValueError: can't work with this" in caplog.text


@pytest.mark.parametrize("where", ["on_flush", "on_tick", "on_assigned"])
async def test_an_exception_anywhere_in_a_handler_stops_the_worker(bench: Any, where: str) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")

    async def fail(*_: Any) -> Any:
        raise ValueError(where)

    await bench.fill(source, [(0, b"k", b"")])
    async with bench.worker(group, [source], prepare=lambda h: setattr(h, where, fail)) as worker:
        assert await worker.ends() == 75
    assert await bench.committed(group, source) == {0: None}


async def test_a_flush_that_waits_does_not_hold_up_a_stop(
    bench: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def for_ever() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await bench.fill(source, [(0, b"k", b"")])
    async with bench.worker(group, [source], prepare=lambda h: setattr(h, "on_flush", for_ever)) as worker:
        await asyncio.wait_for(entered.wait(), 30)
        assert await worker.stops() == 0
        assert cancelled.is_set()
    assert await bench.committed(group, source) == {0: None}
    assert "dropped, its records come again" in caplog.text


async def test_a_flush_that_waits_is_dropped_at_a_rebalance_and_done_again(
    bench: Any, until: Any, fast: Any
) -> None:
    source, group = await bench.topic(), bench.name("app")
    entered = asyncio.Event()

    async def wait_first() -> None:
        if not entered.is_set():
            entered.set()
            await asyncio.Event().wait()

    await bench.fill(source, [(n % 2, b"k", b"") for n in range(10)])
    timing = replace(fast, rebalance_within=0.5)
    stuck = bench.worker(group, [source], timing=timing, prepare=lambda h: setattr(h, "on_flush", wait_first))
    async with stuck as first:
        await asyncio.wait_for(entered.wait(), 30)
        async with bench.worker(group, [source], timing=timing) as second:
            await until(lambda: second.handler.count("assigned"))
            await until(lambda: first.handler.count("assigned") == 2)
            await until(lambda: done(bench, group, source))
            # Each of the two has read its half from the start.
            assert len(second.handler.records) == 5
            assert len(first.handler.records) == 15
            assert first.handler.count("revoked") == 1


async def done(bench: Any, group: str, source: str) -> bool:
    return bool(await bench.committed(group, source) == await bench.ends(source))


async def test_a_rebalance_finishes_and_commits_what_is_in_flight(bench: Any, until: Any) -> None:
    source, group = await bench.topic(), bench.name("app")
    settings = bench.settings.model_copy(update={"commit_interval": 50.0})
    await bench.fill(source, [(n % 2, b"k", b"") for n in range(10)])
    async with bench.worker(group, [source], settings=settings) as first:
        await until(lambda: first.processed == 10)
        assert await bench.committed(group, source) == {0: None, 1: None}
        async with bench.worker(group, [source], settings=settings) as second:
            await until(lambda: second.handler.count("assigned"))
            await until(lambda: first.handler.count("assigned") == 2)
            assert await bench.committed(group, source) == {0: 5, 1: 5}
            await bench.fill(source, [(n % 2, b"k", b"") for n in range(4)])
            await until(lambda: len(second.handler.records) == 2)
            await until(lambda: len(first.handler.records) == 12)


async def test_a_flush_that_fails_at_a_rebalance_stops_the_worker(bench: Any, until: Any) -> None:
    source, group = await bench.topic(), bench.name("app")
    settings = bench.settings.model_copy(update={"commit_interval": 50.0})

    async def fail() -> None:
        raise ValueError("not now")

    await bench.fill(source, [(n % 2, b"k", b"") for n in range(10)])
    async with bench.worker(
        group, [source], settings=settings, prepare=lambda h: setattr(h, "on_flush", fail)
    ) as first:
        await until(lambda: first.processed == 10)
        async with bench.worker(group, [source]) as second:
            assert await first.ends() == 75
            await until(lambda: len(second.handler.records) == 10)


async def test_a_flush_that_fails_at_a_stop_commits_nothing(bench: Any, until: Any) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    settings = bench.settings.model_copy(update={"commit_interval": 50.0})

    async def fail() -> None:
        raise ValueError("not now")

    await bench.fill(source, [(0, b"k", b"")])
    async with bench.worker(
        group, [source], settings=settings, prepare=lambda h: setattr(h, "on_flush", fail)
    ) as worker:
        await until(lambda: worker.processed == 1)
        assert await worker.stops() == 75
    assert await bench.committed(group, source) == {0: None}


async def test_a_group_that_the_broker_refuses(
    bench: Any, fast: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source = await bench.topic()
    async with bench.worker(bench.name("app"), [source], timing=replace(fast, session_timeout=0.2)) as worker:
        assert await worker.ends() == 75
    assert "the broker refuses the group" in caplog.text


async def test_no_two_workers_own_a_partition(bench: Any, until: Any) -> None:
    """Workers come and go while records flow: each is processed once, by the owner of its partition."""
    source, group = await bench.topic(partitions=6), bench.name("app")
    owners: dict[TP, str] = {}
    seen: list[tuple[int, int]] = []

    def watch(handler: Any) -> None:
        async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
            for tp, batch in batches.items():
                assert owners[tp] == handler.name, (tp, owners[tp], handler.name)
                seen.extend((tp.partition, record.offset) for record in batch)
            return Effects(
                {tp.partition: {b"last": Change(b"%d" % b[-1].offset)} for tp, b in batches.items()}
            )

        async def assigned(tps: frozenset[TP]) -> None:
            for tp in tps:
                assert tp not in owners, (tp, owners[tp], handler.name)
                owners[tp] = handler.name

        async def revoked(tps: frozenset[TP]) -> None:
            for tp in tps:
                assert owners.pop(tp) == handler.name

        handler.on_process, handler.on_assigned, handler.revoked = process, assigned, revoked

    async def feed() -> None:
        for n in range(60):
            await bench.fill(source, [(p, b"k", b"%d" % n) for p in range(6) for _ in range(5)])

    feeding = asyncio.create_task(feed())
    async with bench.worker(group, [source], prepare=watch, name="a") as a:
        await until(lambda: len(seen) > 20)
        async with bench.worker(group, [source], prepare=watch, name="b") as b:
            await until(lambda: set(owners.values()) == {"a", "b"})
            async with bench.worker(group, [source], prepare=watch, name="c"):
                await until(lambda: set(owners.values()) == {"a", "b", "c"})
            await until(lambda: len(owners) == 6 and set(owners.values()) == {"a", "b"})
            assert await a.stops() == 0
            await until(lambda: list(owners.values()) == ["b"] * 6)
            await feeding
            await until(lambda: b.processed == 1800)
    assert sorted(seen) == [(p, offset) for p in range(6) for offset in range(300)]


@pytest.mark.parametrize("committed", [0, 1])
async def test_a_late_poll_takes_nothing(bench: Any, until: Any, committed: int) -> None:
    """A poll from before a rebalance ends after it.

    What it took would be lost, so nothing is fetched before the seek.
    """
    source, group = await bench.topic(), bench.name("app")
    held, release = asyncio.Event(), asyncio.Event()
    async with bench.worker(group, [source]) as first:
        await bench.fill(source, [(n % 2, b"k", b"") for n in range(2 * committed)])
        await until(lambda: first.handler.count("assigned") and first.processed == 2 * committed)
        await until(lambda: done(bench, group, source) if committed else True)
        consumer = first.app.consumer
        before, poll = consumer.generation, consumer.poll

        async def late(tps: frozenset[TP], timeout: float, max_records: int) -> Any:
            held.set()
            await release.wait()
            polled = await poll(tps, 1.0, max_records)
            assert not polled.records
            return polled

        consumer.poll = late
        await asyncio.wait_for(held.wait(), 30)
        await bench.fill(source, [(n % 2, b"k", b"") for n in range(10)])
        async with bench.worker(group, [source]) as second:
            await until(lambda: second.processed == 5 + committed)
            await until(lambda: consumer.generation > before and not first.app.processing_loop.is_open)
            consumer.poll = poll
            release.set()
            await until(lambda: len(first.handler.records) == 5 + 2 * committed)
            assert {r.partition for r in first.handler.records + second.handler.records} == {0, 1}


async def test_a_worker_too_many_waits_and_takes_over(bench: Any, until: Any) -> None:
    source, group = await bench.topic(partitions=1), bench.name("app")
    async with bench.worker(group, [source]) as first:
        await until(lambda: first.handler.count("assigned"))
        async with bench.worker(group, [source]) as second:
            await until(lambda: second.handler.count("assigned"))
            await bench.fill(source, [(0, b"k", b"")])
            await until(lambda: first.handler.records or second.handler.records)
            owner, other = (first, second) if first.handler.records else (second, first)
            assert other.handler.context.assignment() == frozenset()
            assert await owner.stops() == 0
            await bench.fill(source, [(0, b"k", b"")])
            await until(lambda: [r.offset for r in other.handler.records] == [1])


async def test_missing_topics_are_named(bench: Any) -> None:
    present = await bench.topic()
    async with bench.worker(bench.name("app"), ["not-here", present]) as worker:
        with pytest.raises(ConfigurationError, match=r"don't exist at .*: not-here; create them first"):
            await worker.ends()
        worker.ended = asyncio.create_task(asyncio.sleep(0, 0))


async def test_topics_of_a_table_need_as_many_partitions(bench: Any) -> None:
    two, three = await bench.topic("two", 2), await bench.topic("three", 3)
    async with bench.worker(bench.name("app"), [two, three]) as worker:
        with pytest.raises(ConfigurationError, match="as many partitions each"):
            await worker.ends()
        worker.ended = asyncio.create_task(asyncio.sleep(0, 0))
    async with bench.worker(bench.name("app"), [two, three], table=None) as worker:
        await bench.fill(three, [(2, None, b"")])
        assert await worker.stops() == 0


def test_what_goes_wrong_is_said_in_a_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "it said %s", "args": (error,), "exc_info": (ValueError, error, None)}
        )
    assert OneLine().format(record).endswith("it said first")
