"""Making sure of the topics' existence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from upshot.errors import ConfigurationError
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS, Topic
from upshot.streams.kafka.connection import client_options, started
from upshot.streams.kafka.incarnations import remembered
from upshot.streams.kafka.topic_ids import describe
from upshot.streams.kafka.topic_retention import set_retention

#: The topics that share a table, by its changelog's name without what the prefix makes of it: one that is
#: made again needs as many partitions as the table has.
SHARED = {
    "correlate-subjects-changelog": ("outcomes", "waits"),
    "followups-followups-changelog": ("deferrals", "resumptions"),
}


async def ensure_topics(settings: Settings, topics: Iterable[Topic] = tuple(TOPICS.values())) -> list[str]:
    """Create the missing topics; returns their names. Existing ones keep records as the settings say.

    Raises KafkaUnavailable where no broker answers, ConfigurationError where the broker refuses.
    """
    wanted = {settings.topic(topic.name): topic for topic in topics}
    async with admin_client(settings) as admin:
        await remembered(settings, admin)
        missing = sorted(set(wanted) - set(await admin.list_topics()))
        if missing:
            counts = await _counts(settings, admin)
            response = await admin.create_topics(
                [_new_topic(name, wanted[name], settings, counts) for name in missing]
            )
            for name, code, *detail in response.topic_errors:
                _check(name, code, detail)
        await set_retention(settings, admin, wanted.items())
        return missing


async def _counts(settings: Settings, admin: AIOKafkaAdminClient) -> dict[str, int]:
    """How many partitions a table needs of the topics sharing the table: as many as the others of them have
    by now.
    """
    counts: dict[str, int] = {}
    for table, names in SHARED.items():
        topics = [settings.topic(name) for name in names]
        changelog = settings.app_id("") + table
        found = await describe(admin._client, [changelog, *topics]) or {}
        for name in (changelog, *topics):
            if name in found:
                counts |= dict.fromkeys(topics, found[name].partitions)
                break
    return counts


def _new_topic(name: str, topic: Topic, settings: Settings, counts: Mapping[str, int]) -> NewTopic:
    return NewTopic(
        name=name,
        num_partitions=1 if topic.cleanup == "compact" else counts.get(name, settings.partitions),
        replication_factor=settings.replication_factor,
        topic_configs=topic.config(),
    )


def _check(name: str, code: int, detail: list[Any]) -> None:
    error = for_code(code)
    if code and error is not TopicAlreadyExistsError:
        stated = next((text for text in detail if isinstance(text, str) and text), error.__name__)
        raise ConfigurationError(f"the broker refuses to create topic {name}: {stated}")


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client for the length of a `with`; raises KafkaUnavailable where no broker answers."""
    async with started(settings, AIOKafkaAdminClient(**client_options(settings))) as admin:
        yield admin


__all__ = ["admin_client", "ensure_topics"]
