"""Saved queries, on the topic `saved-queries`: read whole once, then what is new before each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from upshot.errors import InvalidEvent, KafkaUnavailable
from upshot.schemas.saved_queries import SavedQuery
from upshot.settings import Settings
from upshot.streams.events.records import decode
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.connection import client_options, started
from upshot.streams.kafka.producer import event_producer

_TOPIC = "saved-queries"
#: Seconds for Kafka until a page does without.
_PATIENCE = 5.0


class SavedQueries:
    """Every server reads and writes the same ones. All methods raise KafkaUnavailable."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._open = AsyncExitStack()
        self._consumer: AIOKafkaConsumer | None = None
        self._known: dict[str, SavedQuery] = {}

    async def all(self) -> Mapping[str, SavedQuery]:
        """Those that are there, by their names."""
        async with self._turn:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self._read_on()
            except (KafkaError, TimeoutError) as error:
                await self._forget()
                raise KafkaUnavailable(f"Kafka gives no saved queries ({error!r})") from None
            except BaseException:  # the request was given up: its half-read client isn't left behind
                await self._forget()
                raise
            return dict(self._known)

    async def save(self, query: SavedQuery) -> None:
        """Save a query in place of one of its name."""
        await self._write(query.name, query.model_dump_json(exclude_unset=True).encode())

    async def delete(self, name: str) -> None:
        """Remove the name: a record without a value, which compaction takes for the end of the key."""
        await self._write(name, None)

    async def close(self) -> None:
        """Let go of the connection."""
        async with self._turn:
            await self._forget()

    async def _write(self, name: str, value: bytes | None) -> None:
        try:
            async with asyncio.timeout(2 * _PATIENCE), event_producer(self._settings) as producer:
                await (await producer.send(_TOPIC, value, key=name))
        except (KafkaError, TimeoutError) as error:
            raise KafkaUnavailable(
                f"Kafka did not take the query {name} ({error!r}); it may be there all the same: look, and "
                "try again"
            ) from None

    async def _forget(self) -> None:
        self._consumer, self._known = None, {}
        await self._open.aclose()

    async def _read_on(self) -> None:
        consumer = self._consumer or await self._connected()
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        if all([await consumer.position(each) >= end for each, end in ends.items()]):
            return
        consumer.resume(*partitions)
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    self._learn(record)
        # A fetch that waits for records holds up the next question about ends, for half a second.
        consumer.pause(*partitions)

    def _learn(self, record: Any) -> None:
        name = (record.key or b"").decode("utf-8", "replace")
        if record.value is None:
            self._known.pop(name, None)
            return
        try:
            query = decode(SavedQuery, record)
        except InvalidEvent:
            return  # not ours: nobody else writes here
        self._known[query.name] = query

    async def _connected(self) -> AIOKafkaConsumer:
        await ensure_topics(self._settings, [TOPICS[_TOPIC]])
        client = AIOKafkaConsumer(
            **client_options(self._settings), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        consumer = await self._open.enter_async_context(started(self._settings, client))
        topic = self._settings.topic(_TOPIC)
        cluster = await consumer._client.fetch_all_metadata()
        partitions = cluster.partitions_for_topic(topic)
        if not partitions:
            raise KafkaError(f"{topic} isn't there")
        consumer.assign([TopicPartition(topic, number) for number in sorted(partitions)])
        consumer.pause(*consumer.assignment())
        await consumer.seek_to_beginning()
        self._consumer = consumer
        return consumer


__all__ = ["SavedQueries"]
