"""Sending the events of the HTTP API: a request is answered once all replicas have its events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from aiokafka.errors import KafkaError

from upshot.errors import KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.kafka.producer import EventProducer, delivered, event_producer

#: Seconds for Kafka, until the sender is asked to send again.
PATIENCE = 20.0


class IngestProducer:
    """One producer for all requests, started with the first event: the HTTP API starts without Kafka, too."""

    def __init__(self, settings: Settings, patience: float = PATIENCE) -> None:
        self._settings = settings
        self._patience = patience
        self._turn = asyncio.Lock()
        self._open = AsyncExitStack()
        self._producer: EventProducer | None = None

    async def send(self, events: Sequence[OutgoingEvent]) -> list[str]:
        """Send all events and wait until all replicas have them; their ids.

        An outcome without an id has an id from its place. Raises KafkaUnavailable: some of these events may
        be stored, the sender sends all of them again.
        """
        if not events:
            return []
        try:
            async with asyncio.timeout(self._patience):
                return await self._stored(await self._started(), events)
        except TimeoutError:
            raise KafkaUnavailable(
                f"Kafka did not take all within {self._patience:g} s; some may be stored: send all of it "
                "again"
            ) from None

    async def close(self) -> None:
        """Flush and end the producer."""
        async with self._turn:
            self._producer = None
            await self._open.aclose()

    async def _started(self) -> EventProducer:
        async with self._turn:
            if self._producer is None:
                self._producer = await self._open.enter_async_context(event_producer(self._settings))
            return self._producer

    async def _stored(self, producer: EventProducer, events: Sequence[OutgoingEvent]) -> list[str]:
        try:
            sent = [await producer.send_event(event) for event in events]
            stored = zip(events, await delivered(sent), strict=True)
            places = iter(await producer.places([record for event, record in stored if not event.event_id]))
            return [event.event_id or next(places).ident for event in events]
        except KafkaError as error:
            if not error.retriable:
                await self._renew(producer)
            message = str(error) or type(error).__name__
            raise KafkaUnavailable(
                f"Kafka did not take all ({message}); some may be stored: send all of it again"
            ) from None

    async def _renew(self, failed: EventProducer) -> None:
        """An idempotent producer is of no further use after a refusal by the broker."""
        async with self._turn:
            if self._producer is failed:
                self._producer = None
                await self._open.aclose()


__all__ = ["PATIENCE", "IngestProducer"]
