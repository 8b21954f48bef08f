"""Sending events, acknowledged by all replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata

from upshot.errors import ConfigurationError
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.records import Place
from upshot.streams.kafka.admin import admin_client
from upshot.streams.kafka.batcher import DeliveryFuture, PartitionBatcher, delivered, settled
from upshot.streams.kafka.connection import client_options, start
from upshot.streams.kafka.incarnations import Incarnations, remembered
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.kafka.topic_ids import describe

_MAX_REQUEST_BYTES = 16 * 1024 * 1024
#: Bytes on their way at the most; who sends more waits.
MAX_WAITING_BYTES = 32 * 1024 * 1024
#: What a batch says of itself, and a record besides its key and value.
_FRAME = 1024
_STOP_WITHIN = 0.1


class EventProducer:
    """Sends bytes to the topics of the contract. Made by `event_producer`."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._lanes: dict[tuple[str, int], PartitionBatcher] = {}
        self._turn = 0
        self._waiting = 0
        self._incarnations: Incarnations | None = None
        self._room = asyncio.Event()

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: str | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> DeliveryFuture:
        """Queue an event for `topic` (its short name); await the receipt for the acknowledgement.

        Returning means queued, not stored: until the receipt is there the event may still be lost. Waits
        while `MAX_WAITING_BYTES` are on their way. Raises KafkaError where nothing was queued. For many
        events `settled` waits for all receipts at once.
        """
        data = None if key is None else key.encode()
        size = len(data or b"") + len(value or b"")
        if size + _FRAME > _MAX_REQUEST_BYTES:
            raise MessageSizeTooLargeError(f"the event has {size} bytes, a request {_MAX_REQUEST_BYTES}")
        while self._waiting >= MAX_WAITING_BYTES:
            self._room.clear()
            await self._room.wait()
        name = self._settings.topic(topic)
        # Looked up for each event: a topic may get more partitions.
        known = self._producer.client.cluster.partitions_for_topic(name)
        count = len(known or await self._producer.partitions_for(name))
        delivery = self._batcher(name, data, count).add(data, value, list(headers), timestamp_ms)
        self._waiting += size
        return delivery

    async def send_event(self, event: OutgoingEvent) -> DeliveryFuture:
        """The same for an event that carries its topic and key."""
        return await self.send(event.topic, event.value, key=event.key, headers=event.headers)

    async def places(self, records: Sequence[RecordMetadata]) -> list[Place]:
        """Where these records lie, as stated by the workers reading them. Raises KafkaError,
        KafkaUnavailable.
        """
        if not records:
            return []
        if self._incarnations is None:
            try:
                async with admin_client(self._settings) as admin:
                    self._incarnations = await remembered(self._settings, admin)
            except (
                ConfigurationError
            ):  # may not be written down here: as workers have it that read nothing there
                self._incarnations = Incarnations()
        # Asked behind the records: a topic that was made anew meanwhile isn't the one that is known.
        found = await describe(self._producer.client, {record.topic for record in records}) or {}
        made = {topic: self._incarnations.of(described.id) for topic, described in found.items()}
        return [Place(r.topic, r.partition, r.offset, made.get(r.topic, "")) for r in records]

    @property
    def waiting(self) -> int:
        """Bytes queued, or on their way."""
        return self._waiting

    async def flush(self) -> None:
        """Wait until everything queued is acknowledged or has failed."""
        await asyncio.gather(*(batcher.flush() for batcher in self._lanes.values()))

    def close(self) -> None:
        """Give up events still on their way."""
        for batcher in self._lanes.values():
            batcher.close()

    def _batcher(self, topic: str, key: bytes | None, count: int) -> PartitionBatcher:
        if key is None:
            self._turn += 1
            partition = self._turn % count
        else:
            partition = partition_for(key, count)
        batcher = self._lanes.get((topic, partition))
        if batcher is None:
            batcher = self._lanes[topic, partition] = PartitionBatcher(
                self._producer, topic, partition, self._arrived
            )
        return batcher

    def _arrived(self, size: int) -> None:
        self._waiting -= size
        if self._waiting < MAX_WAITING_BYTES:
            self._room.set()


@asynccontextmanager
async def event_producer(settings: Settings) -> AsyncIterator[EventProducer]:
    """An idempotent producer (acks=all) for the length of a `with`; flushed at its end.

    Raises KafkaUnavailable where no broker answers.
    """
    producer = AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        enable_idempotence=True,
        max_batch_size=256 * 1024,
        max_request_size=_MAX_REQUEST_BYTES,
    )
    events = EventProducer(settings, producer)
    try:
        await start(settings, producer)
        yield events
    finally:
        await _stop(events, producer)


async def _stop(events: EventProducer, producer: AIOKafkaProducer) -> None:
    try:
        await events.flush()
        await producer.stop()
    except BaseException:
        await _abandon(producer)
        raise
    finally:
        events.close()


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Close without patience for unsent events.

    The client's own stop waits for these; cut off, the stop would leave the sender trying for ever.
    """
    producer._closed = True
    sending = producer._sender.sender_task
    # At first the sender awaits requests on their way; the second time it leaves these.
    for _ in range(2):
        if sending is not None and not sending.done():
            sending.cancel()
            await asyncio.wait({sending}, timeout=_STOP_WITHIN)
    await producer.client.close()


__all__ = ["MAX_WAITING_BYTES", "DeliveryFuture", "EventProducer", "delivered", "event_producer", "settled"]
