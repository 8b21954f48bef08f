"""Checking, before a worker starts, the presence of its topics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.kafka.admin import admin_client

log = logging.getLogger(__name__)

#: A changelog keeps the last value of each key; a single value may be as large as Kafka takes one.
CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(16 * 1024 * 1024),
    # A store that was left for less long than this still learns of every deletion; see `recovery.unfit`.
    "delete.retention.ms": str(24 * 3600 * 1000),
}

VISIBLE_WITHIN = 30.0


async def check_topics(settings: Settings, topics: Sequence[str], changelog: str | None) -> int:
    """All topics exist, and with a changelog all have as many partitions; a missing changelog is created.

    Returns how many the changelog has. A topic with fewer partitions than the changelog is given the missing
    partitions: records in the wrong partition of a topic are forwarded, but the table can't be divided anew.
    A topic may have more partitions. Raises ConfigurationError saying what to do, KafkaUnavailable where no
    broker answers.
    """
    async with admin_client(settings) as admin:
        names = [*topics, changelog] if changelog else list(topics)
        counts = await _partitions(admin, names)
        if missing := [name for name in topics if name not in counts]:
            raise ConfigurationError(
                f"these topics don't exist at {settings.kafka_url}: {', '.join(missing)}; create them first"
            )
        if changelog is None:
            return 0
        if changelog not in counts:
            if len(set(counts.values())) > 1:
                found = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))
                raise ConfigurationError(f"topics that share a table need as many partitions each: {found}")
            counts[changelog] = counts[topics[0]]
            await _create(admin, settings, changelog, counts[changelog])
        for name in topics:
            if counts[name] < counts[changelog]:
                await _widen(admin, name, counts[name], counts[changelog])
        return counts[changelog]


async def _widen(admin: AIOKafkaAdminClient, name: str, before: int, wanted: int) -> None:
    """Give a topic its missing partitions."""
    answer = await admin.create_partitions({name: NewPartitions(wanted)})
    for _, code, *_ in answer.topic_errors:
        if code:
            raise ConfigurationError(
                f"topic {name} has {before} partitions, its table {wanted}: nothing was read, nothing is "
                "lost; add the missing ones, which the broker refuses this user "
                f"({for_code(code).__name__}): kafka-topics.sh --alter --topic {name} --partitions {wanted}"
            )
    log.warning(
        "topic %s has %d partitions, its table %d: the missing ones were added, nothing is lost",
        name,
        before,
        wanted,
    )
    await _visible(admin, name, wanted)


async def _partitions(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    existing = set(await admin.list_topics())
    described = await admin.describe_topics([name for name in names if name in existing])
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


async def _create(admin: AIOKafkaAdminClient, settings: Settings, name: str, partitions: int) -> None:
    topic = NewTopic(name, partitions, settings.replication_factor, topic_configs=CHANGELOG_CONFIG)
    response = await admin.create_topics([topic])
    for _, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise ConfigurationError(f"the changelog {name} can't be created: {error.__name__}")
    await _visible(admin, name, partitions)


async def _visible(admin: AIOKafkaAdminClient, name: str, partitions: int) -> None:
    deadline = monotonic() + VISIBLE_WITHIN
    while (await _partitions(admin, [name])).get(name) != partitions:
        # Created is not yet known to all brokers; a group formed before that would leave it out.
        if monotonic() > deadline:
            raise KafkaUnavailable(f"the new partitions of {name} are not there after {VISIBLE_WITHIN:.0f} s")
        await asyncio.sleep(0.05)


__all__ = ["CHANGELOG_CONFIG", "check_topics"]
