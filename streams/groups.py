"""How consumer groups stand: who reads, and how far behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, for_code
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from upshot.errors import KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.admin import admin_client
from upshot.streams.connection import client_options, start

#: Seconds to go on asking a broker that is about to be ready.
_PATIENCE = 5.0
_PAUSE = 0.1

#: As Kafka describes them.
Members = Sequence[Mapping[str, bytes]]


@dataclass(frozen=True)
class Group:
    """A consumer group: `state` in Kafka's words, `lag` in records not yet committed, by topic.

    `ownerless` are partitions that it should read and that no member has.
    """

    name: str
    state: str
    members: int
    lag: dict[str, int]
    ownerless: Sequence[TopicPartition] = ()

    @property
    def is_live(self) -> bool:
        """Whether somebody reads: members that have agreed on who has what."""
        return self.state == "Stable" and self.members > 0

    @property
    def total_lag(self) -> int:
        """Records of all its topics that aren't committed."""
        return sum(self.lag.values())


async def group_states(settings: Settings, readers: Mapping[str, Sequence[str]]) -> list[Group]:
    """How each group stands with the topics (full names) that it reads; in the order of `readers`.

    A group that never was is `Dead` without members, and has all of its topics before it. Raises
    KafkaUnavailable where the broker does not answer.
    """
    async with admin_client(settings) as admin, _consumer(settings) as consumer:
        try:
            found = [await _patiently(admin, name) for name in readers]
            committed = {name: await admin.list_consumer_group_offsets(name) for name in readers}
            spans = await _spans(admin, consumer, {topic for topics in readers.values() for topic in topics})
        except KafkaError as error:
            raise KafkaUnavailable(f"{settings.kafka_url} can't tell about its groups: {error}") from None
    return [
        Group(
            name,
            state,
            len(members),
            _lag(readers[name], committed[name], spans),
            _ownerless(readers[name], members, spans),
        )
        for name, state, members in found
    ]


def _ownerless(
    topics: Sequence[str], members: Members, spans: Iterable[TopicPartition]
) -> list[TopicPartition]:
    owned: set[TopicPartition] = set()
    for member in members:
        if assignment := member["member_assignment"]:  # empty while the group agrees on who has what
            owned.update(ConsumerProtocolMemberAssignment.decode(assignment).partitions())
    return sorted(tp for tp in spans if tp.topic in topics and tp not in owned)


def _lag(
    topics: Sequence[str],
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    spans: Mapping[TopicPartition, tuple[int, int]],
) -> dict[str, int]:
    lag = dict.fromkeys(topics, 0)
    for tp, (first, end) in spans.items():
        if tp.topic in lag:
            offset = committed[tp].offset if tp in committed else -1
            lag[tp.topic] += max(0, end - max(first, offset))
    return lag


async def _spans(
    admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, topics: set[str]
) -> dict[TopicPartition, tuple[int, int]]:
    """Where each partition of those topics that exist begins and ends."""
    existing = topics & set(await admin.list_topics())
    described = await admin.describe_topics(sorted(existing)) if existing else []
    tps = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
    if not tps:
        return {}
    first, end = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    return {tp: (first[tp], end[tp]) for tp in tps}


async def _group(admin: AIOKafkaAdminClient, name: str) -> tuple[str, str, Members]:
    [response] = await admin.describe_consumer_groups([name])
    [group] = response.to_object()["groups"]
    if group["error_code"]:
        raise for_code(group["error_code"])(f"describing group {name}")
    return name, group["state"], group["members"]


async def _patiently(admin: AIOKafkaAdminClient, name: str) -> tuple[str, str, Members]:
    """Ask again while the broker says so: it makes its topic of offsets when it is asked first."""
    deadline = monotonic() + _PATIENCE
    while True:
        try:
            return await _group(admin, name)
        except KafkaError as error:
            if not error.retriable or monotonic() > deadline:
                raise
        await asyncio.sleep(_PAUSE)


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**client_options(settings))
    try:
        await start(settings, consumer)
        yield consumer
    finally:
        await consumer.stop()


__all__ = ["Group", "group_states"]
