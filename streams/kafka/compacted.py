"""Follows a compacted topic: the latest record of each key, however often Kafka goes away and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from upshot.errors import InvalidEvent
from upshot.settings import Settings
from upshot.streams.events.records import Record
from upshot.streams.kafka.connection import client_options

log = logging.getLogger(__name__)

#: Seconds between attempts while Kafka, or the topic, is away.
_BACKOFF = 1.0
#: Milliseconds between two looks for records.
_LOOK = 200

T = TypeVar("T")


class CompactedTopic(Generic[T]):
    """The records of a topic by key, read without a group: every process has all of them.

    An unreadable record leaves the last known one of its key in force, and is named in the log.
    """

    def __init__(self, settings: Settings, topic: str, decode: Callable[[Record], T]) -> None:
        self._settings = settings
        self._topic = settings.topic(topic)
        self._decode = decode
        self._task: asyncio.Task[None] | None = None
        self._read = asyncio.Event()
        #: The present records.
        self.records: Mapping[str, T] = {}
        #: One more with each change of `records`.
        self.changes = 0

    async def start(self) -> None:
        """Begin to follow; returns once the topic was read to its end, or isn't there."""
        if self._task is None:
            self._read.clear()
            self._task = asyncio.create_task(self._follow())
        await self._read.wait()

    async def stop(self) -> None:
        """End. `start` begins anew."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _follow(self) -> None:
        while True:
            try:
                await self._consume()
            except (KafkaError, OSError, TimeoutError) as error:
                log.debug("%s is away: %s", self._topic, error)
            await asyncio.sleep(_BACKOFF)

    async def _consume(self) -> None:
        """Read from the beginning, then on. Raises KafkaError."""
        consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=_LOOK,
        )
        try:
            await consumer.start()
            cluster = await consumer._client.fetch_all_metadata()
            numbers = cluster.partitions_for_topic(self._topic)
            if not numbers:
                self._read.set()  # nobody has written a record yet
                return
            tps = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            consumer.assign(tps)
            await self._take_all(consumer, tps)
            while True:
                self._take(dict(self.records), await consumer.getmany(timeout_ms=_LOOK))
        finally:
            with contextlib.suppress(KafkaError):
                await consumer.stop()

    async def _take_all(self, consumer: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        """All at once: records that later ones replaced never count."""
        found: dict[str, T] = {}
        ends = await consumer.end_offsets(tps)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            self._learn(found, await consumer.getmany(timeout_ms=_LOOK))
        self.records, self.changes = found, self.changes + 1
        self._read.set()

    def _take(self, records: dict[str, T], found: Mapping[TopicPartition, list[Record]]) -> None:
        if found:
            self._learn(records, found)
            self.records, self.changes = records, self.changes + 1

    def _learn(self, records: dict[str, T], found: Mapping[TopicPartition, list[Record]]) -> None:
        for record in (record for batch in found.values() for record in batch):
            key = (record.key or b"").decode("utf-8", "replace")
            if record.value is None:
                records.pop(key, None)
                continue
            try:
                records[key] = self._decode(record)
            except InvalidEvent as error:
                log.warning(
                    "the record at %s/%s/%s isn't used, the one before it of %r goes on: %s",
                    record.topic,
                    record.partition,
                    record.offset,
                    key,
                    error.detail,
                )


__all__ = ["CompactedTopic"]
