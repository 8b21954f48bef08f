"""Causes of loss in stock Faust, one by one: each shown to be there, and shown to be closed in our path.

A stock half that fails after an upgrade is good news: streams/runtime/README.md says what may then go.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.transport.producer import ProducerBuffer
from faust.types import TP as FaustTP

from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, Change, Effects, Output
from upshot.streams.runtime.recovery import BatchRecovery

pytestmark = pytest.mark.stack

TP0 = FaustTP("in", 0)


class TestFlushWaitsForWhatWasTaken:
    """1: `ProducerBuffer.flush` returns although a message taken from its queue is not yet sent."""

    async def test_stock(self) -> None:
        taken, sent = asyncio.Event(), asyncio.Event()

        class Slow(ProducerBuffer):  # type: ignore[misc]
            async def _send_pending(self, fut: Any) -> None:
                taken.set()
                await sent.wait()

        buffer = Slow()
        buffer.app = SimpleNamespace(conf=SimpleNamespace(producer_threaded=False))
        await buffer.start()
        buffer.put(object())
        await taken.wait()
        await buffer.flush()
        assert not sent.is_set(), "flushed, and yet nothing was sent"
        sent.set()
        await buffer.stop()

    async def test_ours(self, bench: Any, until: Any) -> None:
        """With the broker frozen nothing is acknowledged, so flush does not return."""
        source, out = await bench.topic(partitions=1), await bench.topic("out", 1)
        async with bench.worker(bench.name("app"), [source], table=None) as worker:
            await until(lambda: worker.handler.count("assigned"))
            sender = worker.app.sender
            await sender.partition_count(out)
            in_flight = worker.app.producer._ensure_producer()._sender._in_flight
            os.kill(bench.kafka.pid, signal.SIGSTOP)
            try:
                await sender.outputs([Output(out, 0, b"k", b"v")])
                await until(lambda: in_flight)
                flushing = asyncio.create_task(worker.handler.context.flush_outputs())
                done, _ = await asyncio.wait({flushing}, timeout=0.5)
                assert not done
            finally:
                os.kill(bench.kafka.pid, signal.SIGCONT)
            await asyncio.wait_for(flushing, 60)
        assert [r.value for r in await bench.read(out)] == [b"v"]


class TestCommitStaysBehindWhatIsInFlight:
    """2: `Consumer._new_offset` commits past the lowest message still in flight."""

    async def test_stock(self) -> None:
        consumer = SimpleNamespace(
            _acked={TP0: [1, 2]},  # offset 0 is still being handled
            _acked_index={TP0: {1, 2}},
            _gap={TP0: None},
            _committed_offset={TP0: None},
        )
        assert Consumer._new_offset(consumer, TP0) == 3

    async def test_ours(self, bench: Any, until: Any) -> None:
        """Positions move only with a finished unit, for all its partitions at once."""
        source, group = await bench.topic(), bench.name("app")
        await bench.fill(source, [(0, b"first", b"")])
        blocked, release = asyncio.Event(), asyncio.Event()

        def hold(handler: Any) -> None:
            async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
                if any(record.key == b"hold" for batch in batches.values() for record in batch):
                    blocked.set()
                    await release.wait()
                return Effects()

            handler.on_process = process

        async with bench.worker(group, [source], prepare=hold) as worker:
            await until(lambda: worker.processed == 1)
            await bench.fill(source, [(0, b"hold", b""), (0, b"after", b""), (1, b"beside", b"")])
            await asyncio.wait_for(blocked.wait(), 30)
            assert worker.handler.context.position(TP(source, 0)) == 1
            assert (await bench.committed(group, source))[0] in (None, 1)
            release.set()
            await until(lambda: worker.processed == 4)
        assert await bench.committed(group, source) == {0: 3, 1: 1}


class Steps:
    """Stands in for the app and the consumer around a Recovery, and notes the order of what it does."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.consumer_generation_id = 1
        self.consumer = self
        self.tables = self
        self._fetcher = self
        self.flow_control = SimpleNamespace(resume=lambda: None)
        self.on_rebalance_complete = SimpleNamespace(send=self._nothing)
        self.conf = SimpleNamespace(stream_recovery_delay=0.0, broker_request_timeout=5.0)
        self.assignor = SimpleNamespace(assigned_standbys=set, share=None)
        self.standby_replicas = SimpleNamespace(start=lambda share: None)
        self.changelog_topics: set[str] = set()
        self.in_recovery = False

    async def _nothing(self) -> None: ...

    maybe_start = _nothing

    def values(self) -> list[Any]:
        return []

    def assignment(self) -> set[FaustTP]:
        return {TP0}

    def resume_partitions(self, tps: set[FaustTP]) -> None:
        self.taken.append("resume")

    def resume_flow(self) -> None:
        self.taken.append("flow")

    async def perform_seek(self) -> None:
        self.taken.append("seek")

    async def begin(self, epoch: int) -> None:
        self.taken.append("seek and open")

    def on_actives_ready(self) -> None: ...

    on_standbys_ready = on_rebalance_end = on_actives_ready


class TestSeekBeforeResume:
    """3: `Recovery.on_recovery_completed` resumes partitions before it seeks."""

    async def test_stock(self) -> None:
        steps = Steps()
        recovery = Recovery(steps, steps)
        await recovery.on_recovery_completed(1)
        assert steps.taken == ["resume", "seek", "flow"]

    async def test_ours(self) -> None:
        steps = Steps()
        recovery = BatchRecovery(steps, steps)
        recovery._epoch = 0
        for complete in (recovery.on_recovery_completed, recovery._resume_streams):
            steps.taken.clear()
            await complete(1)
            assert steps.taken == ["seek and open", "flow"]

    async def test_ours_handles_nothing_twice(self, bench: Any, until: Any) -> None:
        """Much is prefetched when a rebalance comes; what was committed is not handled again."""
        source, group = await bench.topic(), bench.name("app")
        await bench.fill(source, [(n % 2, b"k", b"%d" % n) for n in range(20_000)])
        async with bench.worker(group, [source]) as first:
            await until(lambda: first.handler.records)
            async with bench.worker(group, [source]) as second:
                await until(lambda: second.handler.count("assigned"))
                await until(lambda: len(first.handler.records) + len(second.handler.records) >= 20_000)
                handled = Counter((r.partition, r.offset) for w in (first, second) for r in w.handler.records)
        assert len(handled) == 20_000
        assert set(handled.values()) == {1}


class TestNoCommitInTheMiddle:
    """4: a commit can fall in the middle of a handler: stock commits by a timer of its own."""

    async def test_stock(self) -> None:
        committed: list[str] = []

        async def sleep(interval: float) -> None: ...

        async def itertimer(interval: float, name: str) -> AsyncIterator[float]:
            yield interval

        async def commit() -> None:
            committed.append("whatever the handlers are at")

        consumer = SimpleNamespace(commit_interval=1.0, sleep=sleep, itertimer=itertimer, commit=commit)
        await Consumer._commit_handler.fun(consumer)
        assert committed

    async def test_ours(self, bench: Any, until: Any) -> None:
        """While a handler works nothing is committed, however often it would be time."""
        source, group = await bench.topic(partitions=1), bench.name("app")
        working = asyncio.Event()
        settings = bench.settings.model_copy(update={"commit_interval": 0.01})
        seen: list[Any] = []

        def slow(handler: Any) -> None:
            async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
                working.set()
                for _ in range(10):
                    seen.append(await bench.committed(group, source))
                return Effects()

            handler.on_process = process

        await bench.fill(source, [(0, b"k", b"")])
        async with bench.worker(group, [source], prepare=slow, settings=settings) as worker:
            await asyncio.wait_for(working.wait(), 30)
            await until(lambda: worker.processed == 1)
        assert seen == [{0: None}] * 10
        assert await bench.committed(group, source) == {0: 1}


class TestTrueEndOffsets:
    """5: exactly once takes the last stable offset, None before the first fetch, for the end."""

    async def test_stock(self) -> None:
        """An unread changelog looks empty."""
        fresh = SimpleNamespace(last_stable_offset=lambda tp: None)
        thread = SimpleNamespace(
            consumer=SimpleNamespace(in_transaction=True), _ensure_consumer=lambda: fresh
        )
        highwaters = await AIOKafkaConsumerThread._highwaters(thread, [TP0])
        assert highwaters == {TP0: None}
        steps = Steps()
        recovery = Recovery(steps, steps)

        async def answer(*tps: FaustTP) -> dict[FaustTP, None]:
            return highwaters

        steps.highwaters = answer  # type: ignore[attr-defined]
        recovery.active_offsets[TP0] = -1
        await recovery._build_highwaters(steps, {TP0}, recovery.active_highwaters, "active")
        assert not recovery.need_recovery()

    # Ours: test_batch_recovery.py, where state comes back whole, also from a log that ends in no record.


class TestStateBeforeOutputs:
    """6 and 8: changelog writes are not awaited before a commit, and a failed one stops nobody.

    Ours, refused writes: test_batch_failures.py.
    """

    async def test_stock(self) -> None:
        """What the broker refuses stays in a future that nobody looks at: the worker goes on, and commits."""
        app = faust.App("stock", broker="kafka://127.0.0.1:1", store="memory://")
        changelog = app.Table("t", partitions=1).changelog_topic
        write = changelog.as_future_message(key="k", value="v", partition=0)
        answer = asyncio.get_running_loop().create_future()
        answer.set_exception(RuntimeError("refused"))
        changelog._on_published(answer, message=write, producer=None, state=None)
        assert str(write.exception()) == "refused"
        assert not app.should_stop

    async def test_ours(self, bench: Any, until: Any) -> None:
        """While the changelog's acknowledgement is out, no output has been handed to the producer."""
        source, out = await bench.topic(partitions=1), await bench.topic("out", 1)

        def both(handler: Any) -> None:
            async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
                return Effects({0: {b"k": Change(b"v")}}, [Output(out, 0, b"k", b"v")])

            handler.on_process = process

        async with bench.worker(bench.name("app"), [source], prepare=both) as worker:
            await until(lambda: worker.handler.count("assigned"))
            accumulator = worker.app.producer._ensure_producer()._message_accumulator
            touched: list[str] = []
            append = accumulator._append_batch

            def noting(builder: Any, tp: Any) -> Any:
                unacknowledged = {batch.tp.topic for batch in accumulator._pending_batches} | {
                    tp.topic for tp, batches in accumulator._batches.items() if batches
                }
                touched.append(tp.topic)
                assert not (tp.topic == out and unacknowledged - {out})
                return append(builder, tp)

            accumulator._append_batch = noting
            for n in range(20):
                await bench.fill(source, [(0, b"k", b"%d" % n)])
                await until(lambda: worker.processed == n + 1)  # noqa: B023
            changelog = worker.app.table.changelog_topic_name
            await until(lambda: len(touched) == 40)
            assert touched == [changelog, out] * 20


class TestStateDoesNotRunAheadOfItsLog:
    """7: with RocksDB the store's persisted offset runs ahead of the committed changelog."""

    async def test_ours(self, bench: Any, until: Any) -> None:
        """The table changes when its changelog has acknowledged, not before."""
        source = await bench.topic(partitions=1)

        def write(handler: Any) -> None:
            async def process(batches: Mapping[TP, Sequence[Record]]) -> Effects:
                return Effects({0: {r.key: Change(r.value) for batch in batches.values() for r in batch}})

            handler.on_process = process

        async with bench.worker(bench.name("app"), [source], prepare=write) as worker:
            await until(lambda: worker.handler.count("assigned"))
            table, changes = worker.app.table, worker.app.sender.changes
            sizes: list[tuple[int, int]] = []

            async def watched(topic: str, values: Any) -> Any:
                acks = await changes(topic, values)
                sizes.append((table.size(0), table.store.next_offset[0]))
                return acks

            worker.app.sender.changes = watched
            await bench.fill(source, [(0, b"a", b"1")])
            await until(lambda: worker.processed == 1)
            await bench.fill(source, [(0, b"b", b"2")])
            await until(lambda: worker.processed == 2)
            assert sizes == [(0, 0), (1, 1)]
            await until(lambda: (table.size(0), table.store.next_offset[0]) == (2, 2))
