"""How long existing topics keep their records, where the settings say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from upshot.errors import ConfigurationError
from upshot.settings import Settings
from upshot.streams.events.topics import Topic

_NAME = "retention.ms"
#: Kafka's number for a setting made for the topic itself, which a change has to repeat.
_OWN = 1
_USUAL = timedelta(days=7)


def retained_for(settings: Settings, topic: Topic) -> timedelta | None:
    """How long the topic keeps records; None where no setting says so, or the topic is compacted."""
    if settings.topic_retention is None or topic.cleanup == "compact" or topic.retention is None:
        return None
    longer = topic.retention > _USUAL
    return max(settings.topic_retention, topic.retention) if longer else settings.topic_retention


async def set_retention(
    settings: Settings, admin: AIOKafkaAdminClient, topics: Iterable[tuple[str, Topic]]
) -> list[str]:
    """Have existing topics (full names) keep their records as the settings say; returns the changed ones.

    Other settings of a topic stay. Raises ConfigurationError where the broker refuses, KafkaError.
    """
    wanted = {
        name: str(int(retained.total_seconds() * 1000))
        for name, topic in topics
        if (retained := retained_for(settings, topic)) is not None
    }
    if not wanted:
        return []
    changed = {
        name: {**found, _NAME: wanted[name]}
        for name, found in (await _own_settings(admin, wanted)).items()
        if found.get(_NAME) != wanted[name]
    }
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, configs=configs) for name, configs in changed.items()
    ]
    for response in await admin.alter_configs(resources) if resources else []:
        for code, detail, _, name in response.resources:
            if code:
                raise ConfigurationError(
                    f"the broker refuses the retention of topic {name}: {detail or for_code(code).__name__}; "
                    "the topic is unchanged"
                )
    return sorted(changed)


async def _own_settings(admin: AIOKafkaAdminClient, names: Iterable[str]) -> Mapping[str, dict[str, str]]:
    """The settings made for each topic itself."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(asked):
        for code, _, _, name, entries in response.resources:
            if not code:
                found[name] = {entry[0]: entry[1] for entry in entries if entry[3] == _OWN}
    return found


__all__ = ["retained_for", "set_retention"]
