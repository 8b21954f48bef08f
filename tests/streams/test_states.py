"""What the broker tells about groups and topics."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer

from tests.parts import started
from upshot.errors import KafkaUnavailable
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings, load_settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka import groups
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.groups import group_states
from upshot.streams.kafka.producer import event_producer
from upshot.streams.kafka.topic_states import topic_states

pytestmark = pytest.mark.stack


def settings_of(kafka: KafkaServer, prefix: str) -> Settings:
    return load_settings({"UPSHOT_KAFKA_URL": kafka.bootstrap, "UPSHOT_TOPIC_PREFIX": prefix})


async def test_a_group_is_live_while_it_reads_and_its_lag_is_what_it_has_not_committed(
    kafka: KafkaServer,
) -> None:
    settings = settings_of(kafka, "states.")
    await ensure_topics(settings)
    topic = settings.topic("runs")
    async with event_producer(settings) as producer:
        for number in range(7):
            await producer.send("runs", b"{}", key=str(number))
    [before] = await group_states(settings, {"states-reader": [topic]})
    assert (before.is_live, before.members, before.total_lag) == (False, 0, 7)

    client = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap, group_id="states-reader", auto_offset_reset="earliest"
    )
    async with started(client) as consumer:
        read = 0
        while read < 7:
            read += sum(map(len, (await consumer.getmany(timeout_ms=5_000)).values()))
        await consumer.commit()
        [reading] = await group_states(settings, {"states-reader": [topic]})
        assert (reading.is_live, reading.members, reading.lag) == (True, 1, {topic: 0})

    [left] = await group_states(settings, {"states-reader": [topic, "states.absent"]})
    assert (left.is_live, left.lag) == (False, {topic: 0, "states.absent": 0})


async def test_all_topics_are_asked_for_at_once(kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that learns of one topic after the other pauses each time; here a pause would never end."""
    settings = settings_of(kafka, "at-once.")
    await ensure_topics(settings)
    readers = {"at-once-reader": [settings.topic(name) for name in TOPICS]}
    await group_states(settings, readers)  # by now every new topic has its leader
    options = groups.client_options
    monkeypatch.setattr(groups, "client_options", lambda of: {**options(of), "retry_backoff_ms": 3_600_000})
    [group] = await asyncio.wait_for(group_states(settings, readers), 120)
    assert set(group.lag) == set(readers["at-once-reader"]) and not group.missing


async def test_missing_and_different_topics_show(kafka: KafkaServer) -> None:
    settings = settings_of(kafka, "differing.")
    missing = await topic_states(settings)
    assert {state.name for state in missing} == {f"differing.{name}" for name in TOPICS}
    assert {state.partitions for state in missing} == {0}

    other = replace(TOPICS["runs"], retention=None)
    await ensure_topics(settings, [other, TOPICS["waits"]])
    states = {state.name: state for state in await topic_states(settings)}
    assert states["differing.waits"].partitions == settings.partitions
    assert states["differing.waits"].differs == {}
    declared = TOPICS["runs"].config()["retention.ms"]
    assert states["differing.runs"].differs == {"retention.ms": ("-1", declared)}
    assert states["differing.scores"].partitions == 0


async def test_a_broker_that_is_away_is_told_as_such() -> None:
    nowhere = load_settings({"UPSHOT_KAFKA_URL": "127.0.0.1:1"})
    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1"):
        await group_states(nowhere, {"g": []})
    with pytest.raises(KafkaUnavailable, match=r"127\.0\.0\.1:1"):
        await topic_states(nowhere)
