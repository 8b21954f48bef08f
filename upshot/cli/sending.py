"""Sends the events of an input, acknowledged, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.errors import KafkaError

from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.events.reading import Entry, key_of
from upshot.streams.events.topics import Topic
from upshot.streams.kafka.admin import admin_client
from upshot.streams.kafka.producer import delivered, event_producer

#: Unacknowledged events at a time.
_WINDOW = 5_000


async def send_events(settings: Settings, topic: Topic, events: Sequence[Entry], key_field: str) -> int:
    """Send all and wait for the acknowledgement of each; how many there were.

    Raises KafkaUnavailable saying how many were acknowledged, ConfigurationError where the topic is missing.
    """
    await _check_topic(settings, topic)
    acknowledged = 0
    async with event_producer(settings) as producer:
        for start in range(0, len(events), _WINDOW):
            part = events[start : start + _WINDOW]
            try:
                deliveries = [
                    await producer.send(topic.name, event.value, key=key_of(event, key_field))
                    for event in part
                ]
                await delivered(deliveries)
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
