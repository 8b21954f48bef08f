"""Which topics' places go without an id.

Those that were read before ids were part of places, and no other.
"""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.parts import started
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import admin_client, ensure_topics
from upshot.streams.kafka.incarnations import NAME, Incarnations, read
from upshot.streams.kafka.topic_ids import Described, describe, text_of

IDENT = bytes(range(16))


def test_a_place_carries_the_beginning_of_the_id_but_of_topics_from_before() -> None:
    assert text_of(IDENT) == "AAECAwQFBgcICQoLDA0ODw"
    assert Incarnations().of(IDENT) == "AAECAwQF"
    assert Incarnations([text_of(IDENT)]).of(IDENT) == ""
    assert Incarnations().of(None) == "", "brokers that tell no id"


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    return Settings(kafka_url=kafka.bootstrap, topic_prefix=f"inc{uuid4().hex[:12]}.")


async def ids(settings: Settings) -> dict[str, bytes]:
    async with admin_client(settings) as admin:
        found = await describe(admin._client, [settings.topic(name) for name in TOPICS])
    return {name: topic.id for name, topic in (found or {}).items() if topic.id}


async def worked(settings: Settings) -> None:
    """As a worker of an earlier version has: it has committed in its group."""
    tp = TopicPartition(settings.topic("outcomes"), 0)
    client = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_url, group_id=settings.app_id("correlate"), enable_auto_commit=False
    )
    async with started(client) as consumer:
        consumer.assign([tp])
        await consumer.commit({tp: 0})


async def made_by_hand(settings: Settings) -> None:
    """The topics as an earlier version, or somebody else, makes them: without a word of which they are."""
    from upshot.streams.kafka.admin import _new_topic

    async with admin_client(settings) as admin:
        topics = [_new_topic(settings.topic(name), topic, settings, {}) for name, topic in TOPICS.items()]
        await admin.create_topics(topics)


@pytest.mark.stack
async def test_in_a_new_cluster_all_places_carry_ids(settings: Settings) -> None:
    await asyncio.gather(*(ensure_topics(settings) for _ in range(3)))
    noted = await read(settings)
    assert noted and all(noted.of(ident) for ident in (await ids(settings)).values())


@pytest.mark.stack
async def test_also_where_somebody_has_made_the_topics_beforehand(settings: Settings) -> None:
    await made_by_hand(settings)
    await ensure_topics(settings)
    noted = await read(settings)
    assert noted and all(noted.of(ident) for ident in (await ids(settings)).values())


@pytest.mark.stack
async def test_after_an_upgrade_what_was_there_keeps_its_places(settings: Settings) -> None:
    await made_by_hand(settings)
    await worked(settings)
    await asyncio.gather(*(ensure_topics(settings) for _ in range(3)))
    noted, before = await read(settings), await ids(settings)
    assert noted and not any(noted.of(ident) for ident in before.values())
    async with admin_client(settings) as admin:
        await admin.delete_topics([settings.topic("outcomes")])
    async with asyncio.timeout(30):
        while not await ensure_topics(settings):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    noted, after = await read(settings), await ids(settings)
    assert noted
    carrying = {name for name, ident in after.items() if noted.of(ident)}
    assert carrying == {settings.topic("outcomes")}, "what is made after that is told apart"


@pytest.mark.stack
async def test_what_is_missing_of_a_table_is_made_with_as_many_partitions(settings: Settings) -> None:
    wide = settings.model_copy(update={"partitions": 7})
    await ensure_topics(wide)
    async with admin_client(settings) as admin:
        await admin.delete_topics([settings.topic("outcomes"), settings.topic("runs")])
    made: list[str] = []
    async with asyncio.timeout(30):
        while len(made) < 2:
            made += await ensure_topics(settings)
            await asyncio.sleep(0.1)
    async with admin_client(settings) as admin:
        found: dict[str, Described] = await describe(admin._client, made) or {}
    counts = {name: topic.partitions for name, topic in found.items()}
    assert counts == {settings.topic("outcomes"): 7, settings.topic("runs"): settings.partitions}


def test_the_topic_of_ids_is_none_of_the_contracts() -> None:
    assert NAME not in TOPICS
