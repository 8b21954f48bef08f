"""Sends the events of an input, acknowledged, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.errors import KafkaError

from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import Topic
from upshot.streams.kafka.admin import admin_client
from upshot.streams.kafka.producer import delivered, event_producer

#: Unacknowledged events at a time.
_WINDOW = 5_000


async def send_events(settings: Settings, topic: Topic, events: Sequence[OutgoingEvent]) -> int:
    """Send all to `topic`, and wait for the acknowledgement of each; how many there were.

    Raises KafkaUnavailable saying how many were acknowledged, ConfigurationError where the topic is missing.
    """
    await _check_topic(settings, topic)
    acknowledged = 0
    async with event_producer(settings) as producer:
        for start in range(0, len(events), _WINDOW):
            part = events[start : start + _WINDOW]
            try:
                await delivered([await producer.send_event(event) for event in part])
            except KafkaError as error:
                raise KafkaUnavailable(
                    f"Kafka did not take all: {acknowledged} of {len(events)} events are certainly stored, "
                    f"the rest perhaps ({error}); send them again, repeated events do no harm where they "
                    "have ids"
                ) from None
            acknowledged += len(part)
    return acknowledged


async def _check_topic(settings: Settings, topic: Topic) -> None:
    name = settings.topic(topic.name)
    async with admin_client(settings) as admin:
        if name not in await admin.list_topics():
            raise ConfigurationError(
                f"topic {name} is not there at {settings.kafka_url}; nothing was sent: a worker creates the "
                "topics at its start, so does  upshot migrate"
            )


__all__ = ["send_events"]
