"""Results are as of the instant by which the join and the store have read everything, on real Kafka."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from tests.parts import started
from upshot.local.kafka import KafkaServer
from upshot.processors.ledger import read_up_to
from upshot.settings import Settings, load_settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import event_producer, settled

pytestmark = pytest.mark.stack
HOUR = timedelta(hours=1)


async def commit(settings: Settings, role: str, place: TopicPartition, offset: int) -> None:
    client = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_url, group_id=settings.app_id(role), enable_auto_commit=False
    )
    async with started(client) as consumer:
        consumer.assign([place])
        await consumer.commit({place: offset})


async def test_a_store_two_hours_behind_moves_results_back(kafka: KafkaServer) -> None:
    settings = load_settings({"UPSHOT_KAFKA_URL": kafka.bootstrap, "UPSHOT_TOPIC_PREFIX": "behind."})
    await ensure_topics(settings, TOPICS.values())
    now = datetime.now(UTC).replace(microsecond=0)
    assert await read_up_to(settings, now) == now
    async with event_producer(settings) as producer:
        sent = [
            await producer.send(
                "outcomes", b"{}", key="t:1", timestamp_ms=int((now - hours * HOUR).timestamp() * 1000)
            )
            for hours in (3, 2, 1)
        ]
        assert await settled(sent) == [None] * 3
    assert await read_up_to(settings, now) == now - 3 * HOUR
    place = TopicPartition(settings.topic("outcomes"), (await sent[0]).partition)
    await commit(settings, "correlate", place, 3)
    await commit(settings, "store", place, 1)
    assert await read_up_to(settings, now) == now - 2 * HOUR
    assert await read_up_to(settings, now, patience=0) == now - 2 * HOUR
    asking = asyncio.create_task(read_up_to(settings, now, patience=60))
    await commit(settings, "store", place, 3)
    assert await asking == now, "what was there at first is read meanwhile"
