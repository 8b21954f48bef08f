"""Workers of the batch engine over real topics: in this process, and as processes of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, BatchApp, BatchContext, BatchHandler, Effects, Timing, batch_app
from upshot.streams.runtime.runner import run

PATIENCE = 60.0
"""Seconds until a condition counts as never met: far above what it takes."""

QUICK = Timing(
    tick_interval=0.05, poll_timeout=0.02, session_timeout=2.0, rebalance_within=5.0, stop_within=2.0
)
"""For tests: what is waited for comes soon."""


class Recorder:
    """A handler that notes what happens to it, and does what a test puts in its hooks."""

    def __init__(self, context: BatchContext, topics: Sequence[str], name: str = "") -> None:
        self.context = context
        self.topics = topics
        self.name = name
        self.events: list[tuple[str, Any]] = []
        self.records: list[Record] = []
        self.ticks = 0
        self.on_process: Callable[[Mapping[TP, Sequence[Record]]], Awaitable[Effects]] | None = None
        self.on_tick: Callable[[], Awaitable[Effects]] | None = None
        self.on_flush: Callable[[], Awaitable[None]] | None = None
        self.on_assigned: Callable[[frozenset[TP]], Awaitable[None]] | None = None

    async def assigned(self, tps: frozenset[TP]) -> None:
        self.events.append(("assigned", tps))
        if self.on_assigned:
            await self.on_assigned(tps)

    async def revoked(self, tps: frozenset[TP]) -> None:
        self.events.append(("revoked", tps))

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        self.events.append(("process", {tp: [record.offset for record in b] for tp, b in batches.items()}))
        effects = await self.on_process(batches) if self.on_process else Effects()
        for batch in batches.values():
            self.records.extend(batch)
        return effects

    async def tick(self) -> Effects:
        self.ticks += 1
        return await self.on_tick() if self.on_tick else Effects()

    async def flush(self) -> None:
        self.events.append(("flush", len(self.records)))
        if self.on_flush:
            await self.on_flush()

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.events)


class Worker:
    """A batch app that runs in this process."""

    def __init__(self, app: BatchApp, handler: Recorder) -> None:
        self.app = app
        self.handler = handler
        self.stop = asyncio.Event()
        self.ended = asyncio.create_task(run(app, self.stop))

    @property
    def processed(self) -> int:
        """Records, counted by positions, whose unit of work is done."""
        context = self.handler.context
        return sum(context.position(tp) for tp in context.assignment())

    async def ends(self) -> int:
        return await asyncio.wait_for(self.ended, PATIENCE)

    async def stops(self) -> int:
        self.stop.set()
        return await self.ends()


class Bench:
    """Topics, records and workers on one broker; every name is new."""

    def __init__(self, kafka: KafkaServer, folder: Path) -> None:
        self.kafka = kafka
        self.settings = Settings(kafka_url=kafka.bootstrap, commit_interval=0.1, data_dir=folder)

    def name(self, stem: str) -> str:
        return f"{stem}-{uuid.uuid4().hex[:8]}"

    async def topic(self, stem: str = "in", partitions: int = 2, **config: str) -> str:
        name = self.name(stem)
        await self.topic_named(
            name, partitions, {key.replace("_", "."): value for key, value in config.items()}
        )
        return name

    async def shared_topic(self, name: str) -> None:
        """A topic that another test on this broker may have made before,
        with partitions of its own number.
        """
        await self.topic_named(name, None, {})

    async def topic_named(self, name: str, partitions: int | None, config: Mapping[str, str]) -> None:
        """A topic with this number of partitions; None: whatever the topic has already, 1 if it is new."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        try:
            await admin.start()
            await admin.create_topics([NewTopic(name, partitions or 1, 1, topic_configs=dict(config))])
            await until(lambda: self._visible(admin, name, partitions))
        finally:
            await admin.close()

    async def _visible(self, admin: AIOKafkaAdminClient, name: str, partitions: int | None) -> bool:
        described = await admin.describe_topics([name])
        found = len(described[0]["partitions"])
        return found > 0 if partitions is None else found == partitions

    async def fill(self, topic: str, records: Iterable[tuple[int, bytes | None, bytes | None]]) -> None:
        """Write (partition, key, value) and wait until the broker has them."""
        async with self.producer() as producer:
            futures = [
                await producer.send(topic, value=value, key=key, partition=partition)
                for partition, key, value in records
            ]
            await asyncio.gather(*futures)

    @asynccontextmanager
    async def producer(self, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka.bootstrap, linger_ms=2, **options)
        try:
            await producer.start()
            yield producer
        finally:
            await producer.stop()

    async def read(self, topic: str) -> list[Record]:
        """All that the topic holds now, in order within each partition."""
        async with self._reader() as reader:
            tps = await self._partitions(reader, topic)
            ends = await reader.end_offsets(tps)
            reader.assign(tps)
            await reader.seek_to_beginning(*tps)
            found: list[Record] = []
            while any([await reader.position(tp) < end for tp, end in ends.items()]):
                for batch in (await reader.getmany(timeout_ms=200)).values():
                    found.extend(batch)
        return found

    async def committed(self, group: str, topic: str) -> dict[int, int | None]:
        """The group's committed offset of each partition; None where no record is committed."""
        async with self._reader(group_id=group) as reader:
            tps = await self._partitions(reader, topic)
            return {tp.partition: await reader.committed(tp) or None for tp in tps}

    async def ends(self, topic: str) -> dict[int, int]:
        async with self._reader() as reader:
            offsets = await reader.end_offsets(await self._partitions(reader, topic))
            return {tp.partition: offset for tp, offset in offsets.items()}

    @asynccontextmanager
    async def _reader(self, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
        reader = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap, enable_auto_commit=False, **options)
        try:
            await reader.start()
            yield reader
        finally:
            await reader.stop()

    async def _partitions(self, reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
        await reader._client._wait_on_metadata(topic)
        return [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic))]

    @asynccontextmanager
    async def worker(
        self,
        app_id: str,
        topics: Sequence[str],
        *,
        table: str | None = "state",
        timing: Timing = QUICK,
        name: str = "",
        prepare: Callable[[Recorder], None] = lambda handler: None,
        settings: Settings | None = None,
    ) -> AsyncIterator[Worker]:
        """A running worker; stopped at the end, if it still runs."""
        made: list[Recorder] = []

        def make(context: BatchContext) -> BatchHandler:
            made.append(Recorder(context, topics, name))
            prepare(made[0])
            return made[0]

        app = batch_app(app_id, settings or self.settings, make, table_name=table, timing=timing)
        worker = Worker(app, made[0])
        try:
            yield worker
        finally:
            await worker.stops()

    def spawn(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """The tallying worker as a process."""
        script = Path(__file__).with_name("tally_worker.py")
        with log.open("ab") as out:
            return subprocess.Popen(
                [sys.executable, str(script), self.kafka.bootstrap, str(self.settings.data_dir), *arguments],
                stdout=out,
                stderr=out,
            )


async def until(condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Return once the condition holds; it may be a coroutine function."""
    deadline = time.monotonic() + patience
    while True:
        held = condition()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)


@pytest.fixture
def bench(kafka: KafkaServer, tmp_path: Path) -> Bench:
    return Bench(kafka, tmp_path)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
def fast() -> Timing:
    return QUICK
