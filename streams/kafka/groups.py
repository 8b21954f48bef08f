"""How consumer groups stand: who reads, and how far behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, for_code
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from upshot.errors import KafkaUnavailable
from upshot.settings import Settings
from upshot.streams.kafka.admin import admin_client
from upshot.streams.kafka.connection import client_options, started
from upshot.streams.kafka.offset_metadata import read_metadata
from upshot.streams.kafka.topic_ids import describe, text_of

#: Seconds to go on asking a broker that is about to be ready.
_PATIENCE = 5.0
_PAUSE = 0.1

#: As Kafka describes them.
Members = Sequence[Mapping[str, bytes]]


class Standing(NamedTuple):
    """How a group stands with a partition, whose log goes from `first` to `end`; `committed` is -1 where
    nothing is.

    Records behind `stable` are held back by an open transaction. `said` is the metadata of the committed
    offset, `token` the id of the present topic. `owner` is the member with the partition, empty where no
    member has the partition.
    """

    first: int
    end: int
    stable: int
    committed: int
    metadata: str = ""
    token: str = ""
    owner: str = ""

    @property
    def is_of_another(self) -> bool:
        """Whether the committed offset belongs to a former topic of this name."""
        return self.committed >= 0 and not read_metadata(self.metadata).is_of(self.token)

    @property
    def position(self) -> int:
        """Where the next record to be read lies."""
        return self.first if self.is_of_another else max(self.first, self.committed)

    @property
    def lag(self) -> int:
        """Records written and not committed."""
        return max(0, self.end - self.position)

    @property
    def lost(self) -> int:
        """Records removed before being read."""
        return 0 if self.committed < 0 or self.is_of_another else max(0, self.first - self.committed)

    @property
    def is_held_back(self) -> bool:
        """Whether all readable records are read, but for those held back by an open transaction."""
        return self.position >= self.stable < self.end


@dataclass(frozen=True)
class Group:
    """A consumer group: `state` in Kafka's words, `lag` in records not yet committed, by topic.

    `ownerless` are partitions to be read by the group but assigned to no member, `missing` are absent topics.
    """

    name: str
    state: str
    members: int
    lag: dict[str, int]
    ownerless: Sequence[TopicPartition] = ()
    standings: Mapping[TopicPartition, Standing] = field(default_factory=dict)
    missing: Sequence[str] = ()

    @property
    def is_live(self) -> bool:
        """Whether the group reads: has members with an agreed assignment."""
        return self.state == "Stable" and self.members > 0

    @property
    def total_lag(self) -> int:
        """Uncommitted records of all its topics."""
        return sum(self.lag.values())


async def group_states(settings: Settings, readers: Mapping[str, Sequence[str]]) -> list[Group]:
    """How each group stands with its topics (full names); in the order of `readers`.

    A group that never existed is `Dead` without members, and has all of its topics still to read. Raises
    KafkaUnavailable where the broker does not answer.
    """
    async with admin_client(settings) as admin, _consumer(settings) as consumer:
        try:
            found = [await _patiently(admin, name) for name in readers]
            committed = {name: await admin.list_consumer_group_offsets(name) for name in readers}
            logs = await _logs(admin, consumer, {topic for topics in readers.values() for topic in topics})
        except KafkaError as error:
            raise KafkaUnavailable(f"{settings.kafka_url} can't tell about its groups: {error}") from None
    return [
        _state(name, state, members, readers[name], committed[name], logs) for name, state, members in found
    ]


async def further_groups(settings: Settings, names: Callable[[str], bool]) -> dict[str, list[str]]:
    """The groups with such names and with members, and the topics they read or have read.

    Raises KafkaUnavailable where the broker does not answer.
    """
    found: dict[str, list[str]] = {}
    async with admin_client(settings) as admin:
        try:
            for name in sorted({name for name, *_ in await admin.list_consumer_groups() if names(name)}):
                _, _, members = await _patiently(admin, name)
                topics = {tp.topic for tp in await admin.list_consumer_group_offsets(name)}
                topics |= {tp.topic for tp in _owners(members)}
                if members and topics:
                    found[name] = sorted(topics)
        except KafkaError as error:
            raise KafkaUnavailable(f"{settings.kafka_url} can't tell about its groups: {error}") from None
    return found


def _state(
    name: str,
    state: str,
    members: Members,
    topics: Sequence[str],
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    logs: Mapping[TopicPartition, Standing],
) -> Group:
    owners = _owners(members)
    standings = {}
    for tp, span in logs.items():
        if tp.topic in topics:
            at = committed.get(tp, OffsetAndMetadata(-1, ""))
            standings[tp] = span._replace(
                committed=at.offset, metadata=at.metadata or "", owner=owners.get(tp, "")
            )
    lag = dict.fromkeys(topics, 0)
    for tp, standing in standings.items():
        lag[tp.topic] += standing.lag
    there = {tp.topic for tp in standings}
    return Group(
        name,
        state,
        len(members),
        lag,
        sorted(tp for tp in standings if tp not in owners),
        standings,
        [topic for topic in topics if topic not in there],
    )


def _owners(members: Members) -> dict[TopicPartition, str]:
    owners: dict[TopicPartition, str] = {}
    for member in members:
        if assignment := member["member_assignment"]:  # empty while the group agrees on who has what
            for tp in ConsumerProtocolMemberAssignment.decode(assignment).partitions():
                owners[TopicPartition(*tp)] = str(member["member_id"])
    return owners


async def _logs(
    admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, topics: set[str]
) -> dict[TopicPartition, Standing]:
    """Where each partition of the existing topics begins and ends; without anything about its reader."""
    tokens = await _topics(admin, topics)
    tps = [TopicPartition(topic, n) for topic, (_, count) in tokens.items() for n in range(count)]
    if not tps:
        return {}
    # Otherwise aiokafka learns of one topic after the other, and pauses each time.
    await consumer._client.set_topics(tokens)
    first, end = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    fetcher = copy(consumer._fetcher)
    fetcher._isolation_level = READ_COMMITTED
    stable = await fetcher.end_offsets(tps, consumer._request_timeout_ms)
    return {tp: Standing(first[tp], end[tp], stable[tp], -1, token=tokens[tp.topic][0]) for tp in tps}


async def _topics(admin: AIOKafkaAdminClient, topics: set[str]) -> dict[str, tuple[str, int]]:
    """The id as text, empty where there is none, and the partitions of the existing topics."""
    found = await describe(admin._client, topics)
    if found is not None:
        return {
            name: (text_of(topic.id) if topic.id else "", topic.partitions) for name, topic in found.items()
        }
    existing = topics & set(await admin.list_topics())
    described = await admin.describe_topics(sorted(existing)) if existing else []
    return {topic["topic"]: ("", len(topic["partitions"])) for topic in described}


async def _group(admin: AIOKafkaAdminClient, name: str) -> tuple[str, str, Members]:
    [response] = await admin.describe_consumer_groups([name])
    [group] = response.to_object()["groups"]
    if group["error_code"]:
        raise for_code(group["error_code"])(f"describing group {name}")
    return name, group["state"], group["members"]


async def _patiently(admin: AIOKafkaAdminClient, name: str) -> tuple[str, str, Members]:
    """Ask again while the broker says so: the broker makes its topic of offsets at the first request."""
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
    async with started(settings, AIOKafkaConsumer(**client_options(settings))) as consumer:
        yield consumer


__all__ = ["Group", "Standing", "further_groups", "group_states"]
