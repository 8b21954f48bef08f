"""The way of messages to the topics: a small protocol, and Kafka behind the protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple, Protocol

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from upshot.errors import KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.kafka.admin import admin_client
from upshot.streams.kafka.producer import EventProducer, event_producer, settled
from upshot.streams.kafka.quiet import quieten

#: The topics written by an agent.
WRITTEN = ("runs", "steps", "scores", "waits", "outcomes", "exposures", "deferrals")
#: The name of a transport's thread.
THREAD = "upshot-delivery"
_STOP_WITHIN = 2.0


class Acknowledged(NamedTuple):
    """All replicas have the message."""


class DeliveryRefused(NamedTuple):
    """The broker will never take this message; `reason` says why."""

    reason: str


DeliveryResult = Acknowledged | DeliveryRefused
ACKNOWLEDGED = Acknowledged()


class Transport(Protocol):
    """Takes messages to their topics. All methods are called in one event loop."""

    async def start(self) -> None:
        """Get ready. Raises Unavailable where not possible now; `start` may be called again."""

    async def send(self, messages: Sequence[OutgoingEvent]) -> list[DeliveryResult]:
        """Send all messages, and return the delivery results in their order.

        Raises Unavailable where some results are unknown: send all messages again, repeats do no harm.
        """

    async def stop(self) -> None:
        """Let go of everything; `start` may follow, in another event loop too."""


class KafkaTransport:
    """Sends to Kafka, acknowledged by all replicas."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._producer: EventProducer | None = None

    async def start(self) -> None:
        """Connect. Missing topics count as unavailable: workers create topics."""
        if self._producer is not None:
            return
        quieten(THREAD)
        async with admin_client(self._settings) as admin:
            there = set(await admin.list_topics())
        missing = [name for topic in WRITTEN if (name := self._settings.topic(topic)) not in there]
        if missing:
            raise KafkaUnavailable(
                f"{', '.join(missing)} not there at {self._settings.kafka_url}: start a worker, it creates "
                "them"
            )
        self._producer = await self._stack.enter_async_context(event_producer(self._settings))

    async def send(self, messages: Sequence[OutgoingEvent]) -> list[DeliveryResult]:
        """See Transport."""
        answers: list[DeliveryResult] = [ACKNOWLEDGED] * len(messages)
        todo = list(range(len(messages)))
        while todo:
            results = await self._attempt([messages[number] for number in todo])
            refused = {
                n: r for n, r in zip(todo, results, strict=True) if isinstance(r, MessageSizeTooLargeError)
            }
            failed = [n for n, r in zip(todo, results, strict=True) if r is not None and n not in refused]
            for number, error in refused.items():
                answers[number] = DeliveryRefused(f"the broker takes no message of that size: {error}")
            if failed and not refused:
                raise self._unavailable(next(result for result in results if result is not None))
            if refused:
                # A refusal leaves a gap in the producer's sequence; messages behind the gap fail: once more.
                await self.stop()
                await self.start()
            todo = failed
        return answers

    async def _attempt(self, messages: Sequence[OutgoingEvent]) -> list[KafkaError | None]:
        """The error of each message, None for an acknowledged message. Raises KafkaUnavailable."""
        if self._producer is None:
            raise KafkaUnavailable("the transport isn't started")
        try:
            sent = [await self._producer.send_event(message) for message in messages]
        except KafkaError as error:
            raise self._unavailable(error) from None
        return await settled(sent)

    async def stop(self) -> None:
        """Disconnect. Messages not acknowledged by now may or may not be stored."""
        self._producer = None
        stack, self._stack = self._stack, AsyncExitStack()
        with contextlib.suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(stack.aclose(), _STOP_WITHIN)

    def _unavailable(self, error: KafkaError) -> KafkaUnavailable:
        return KafkaUnavailable(f"Kafka at {self._settings.kafka_url} takes no events: {error!r}")


__all__ = [
    "ACKNOWLEDGED",
    "THREAD",
    "WRITTEN",
    "Acknowledged",
    "DeliveryRefused",
    "DeliveryResult",
    "KafkaTransport",
    "Transport",
]
