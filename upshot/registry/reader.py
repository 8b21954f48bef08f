"""Follows the topic `experiments` in a thread, however often Kafka goes away and comes back."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any
from weakref import WeakSet

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from upshot.errors import InvalidEvent
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings
from upshot.streams.events.records import decode
from upshot.streams.kafka.connection import client_options
from upshot.streams.kafka.quiet import quieten

logger = logging.getLogger("upshot")

#: The name of the thread.
THREAD_NAME = "upshot-experiments"
#: Seconds between attempts while Kafka, or the topic, is away; and between two looks for records.
_BACKOFF, _LOOK = 1.0, 1.0
#: Seconds without an answer of the broker after which the connection is made anew.
_SILENT = 3.0
_STOP_WITHIN = 2.0
_running: WeakSet[RegistryReader] = WeakSet()


class RegistryReader:
    """See `registry.definitions.RecordReader`. An unreadable record leaves the last known one in force."""

    def __init__(self, settings: Settings, take: Callable[[Mapping[str, Experiment]], None]) -> None:
        self._settings = settings
        self._take = take
        self._records: dict[str, Experiment] = {}
        #: Experiments whose last record isn't readable, and why.
        self.unreadable: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)

    def start(self) -> None:
        """See RecordReader."""
        quieten(THREAD_NAME)
        _running.add(self)
        self._thread.start()

    def close(self) -> None:
        """See RecordReader."""
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_STOP_WITHIN)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._follow())
        finally:
            # A client whose broker is away may leave tasks behind.
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()

    async def _follow(self) -> None:
        ending = asyncio.ensure_future(self._end.wait())
        while not self._end.is_set():
            reading = asyncio.ensure_future(self._read())
            await asyncio.wait((ending, reading), return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, KafkaError, OSError, TimeoutError):
                await reading
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ending), _BACKOFF)

    async def _read(self) -> None:
        """Read the topic from its beginning, then on. Raises KafkaError, TimeoutError."""
        consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=500,
        )
        try:
            await asyncio.wait_for(consumer.start(), _SILENT)
            tps = await self._partitions(consumer)
            consumer.assign(tps)
            await self._from_the_beginning(consumer, tps)
            while True:
                before = monotonic()
                if self._learn(self._records, await consumer.getmany(timeout_ms=int(_LOOK * 1000))):
                    self._take(dict(self._records))
                elif monotonic() - before < _LOOK:
                    await asyncio.sleep(_LOOK)
                # A broker that went away is told from one without news by asking.
                await asyncio.wait_for(consumer.end_offsets(tps), _SILENT)
        finally:
            with contextlib.suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(consumer.stop(), _STOP_WITHIN)

    async def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        topic = self._settings.topic("experiments")
        # The consumer's own metadata have the topics that it is assigned already.
        cluster = await asyncio.wait_for(consumer._client.fetch_all_metadata(), _SILENT)
        found = cluster.partitions_for_topic(topic)
        if not found:
            raise KafkaError(f"{topic} isn't there")
        return [TopicPartition(topic, number) for number in sorted(found)]

    async def _from_the_beginning(self, consumer: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        """All at once: records that later ones replaced never count."""
        records: dict[str, Experiment] = {}
        ends = await asyncio.wait_for(consumer.end_offsets(tps), _SILENT)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            self._learn(records, await consumer.getmany(timeout_ms=int(_LOOK * 1000)))
        self._records = records
        self._take(dict(records))

    def _learn(self, records: dict[str, Experiment], found: Mapping[Any, Any]) -> bool:
        """Take the records in; whether there were any."""
        for record in (record for batch in found.values() for record in batch):
            key = (record.key or b"").decode("utf-8", "replace")
            self.unreadable.pop(key, None)
            if record.value is None:
                records.pop(key, None)
                continue
            try:
                experiment = decode(Experiment, record)
            except InvalidEvent as error:
                self.unreadable[key] = error.detail
                logger.warning(
                    "the record at %s/%s/%s of the registry isn't used, what was known before goes on: %s",
                    record.topic,
                    record.partition,
                    record.offset,
                    error.detail,
                )
                continue
            records[experiment.experiment] = experiment
        return bool(found)


def _close_all() -> None:
    for reader in list(_running):
        reader.close()


# As for deliveries: the functions of atexit run when executors have ended already.
getattr(threading, "_register_atexit", atexit.register)(_close_all)

__all__ = ["THREAD_NAME", "RegistryReader"]
