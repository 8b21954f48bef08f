"""A transport keeping its messages in memory."""

from __future__ import annotations

from collections.abc import Sequence

from upshot.errors import KafkaUnavailable
from upshot.sdk.transport import ACKNOWLEDGED, DeliveryRefused, DeliveryResult
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS


class MemoryTransport:
    """Takes messages as Kafka does, and keeps them in `messages`, in the order of arrival.

    While `available` is False the transport is away: nothing is taken, as when no broker answers.
    """

    def __init__(self) -> None:
        self.messages: list[OutgoingEvent] = []
        self.available = True
        self._started = False

    async def start(self) -> None:
        """See Transport."""
        if not self.available:
            raise KafkaUnavailable("this transport is away, as a test wants it")
        self._started = True

    async def send(self, messages: Sequence[OutgoingEvent]) -> list[DeliveryResult]:
        """See Transport."""
        if not self._started or not self.available:
            raise KafkaUnavailable("this transport is away, as a test wants it, or isn't started")
        return [self._take(message) for message in messages]

    async def stop(self) -> None:
        """See Transport."""
        self._started = False

    def _take(self, message: OutgoingEvent) -> DeliveryResult:
        if len(message.value) > TOPICS[message.topic].max_bytes:
            return DeliveryRefused(f"{len(message.value)} bytes are more than {message.topic} takes")
        self.messages.append(message)
        return ACKNOWLEDGED


__all__ = ["MemoryTransport"]
