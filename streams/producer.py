"""Sending events, acknowledged by all replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from upshot.settings import Settings
from upshot.streams.connection import client_options, start

_MAX_REQUEST_BYTES = 16 * 1024 * 1024


class EventProducer:
    """Sends bytes to the topics of the contract. Made by `event_producer`."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: str | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> Awaitable[RecordMetadata]:
        """Queue one event for `topic` (its short name); await the result for the acknowledgement.

        Returning means queued, not stored: until the result is there the event may still be lost.
        """
        future: asyncio.Future[RecordMetadata] = await self._producer.send(
            self._settings.topic(topic),
            value=value,
            key=None if key is None else key.encode(),
            headers=list(headers),
            timestamp_ms=timestamp_ms,
        )
        return future

    async def flush(self) -> None:
        """Wait until everything queued is acknowledged or has failed."""
        await self._producer.flush()


@asynccontextmanager
async def event_producer(settings: Settings) -> AsyncIterator[EventProducer]:
    """An idempotent producer (acks=all) for the length of a `with`; flushed at its end.

    Raises KafkaUnavailable where no broker answers.
    """
    producer = AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=_MAX_REQUEST_BYTES,
    )
    try:
        await start(settings, producer)
        yield EventProducer(settings, producer)
    finally:
        await producer.stop()


__all__ = ["EventProducer", "event_producer"]
