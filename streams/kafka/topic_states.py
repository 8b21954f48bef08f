"""How the topics of the contract stand on the broker, beside how they are declared."""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from upshot.errors import KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.admin import admin_client


@dataclass(frozen=True)
class TopicState:
    """A topic in the broker's state; `partitions` is 0 for a missing topic.

    `differs` maps a setting to the actual and the declared value.
    """

    name: str
    partitions: int
    differs: dict[str, tuple[str, str]]


async def topic_states(settings: Settings) -> list[TopicState]:
    """Every topic of the contract. Raises KafkaUnavailable where the broker does not answer."""
    declared = {settings.topic(topic.name): topic.config() for topic in TOPICS.values()}
    async with admin_client(settings) as admin:
        try:
            existing = sorted(set(declared) & set(await admin.list_topics()))
            described = await admin.describe_topics(existing) if existing else []
            configs = await _configs(admin, existing)
        except KafkaError as error:
            raise KafkaUnavailable(f"{settings.kafka_url} can't tell about its topics: {error}") from None
    partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return [
        TopicState(name, partitions.get(name, 0), _differences(configs.get(name), wanted))
        for name, wanted in declared.items()
    ]


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, n) for n in names])
    return {
        resource["resource_name"]: {
            entry["config_names"]: entry["config_value"] for entry in resource["config_entries"]
        }
        for response in responses
        for resource in response.to_object()["resources"]
    }


def _differences(config: dict[str, str] | None, wanted: dict[str, str]) -> dict[str, tuple[str, str]]:
    # A broker that tells nothing about a setting (rights) gives no reason to complain.
    return {
        name: (config[name], value)
        for name, value in wanted.items()
        if config and name in config and config[name] != value
    }


__all__ = ["TopicState", "topic_states"]
