"""Up to when the roles have read: results as of a later instant would miss what lies unread in Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from time import monotonic

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from upshot.processors.roles import ROLES
from upshot.settings import Settings
from upshot.streams.kafka.connection import client_options, started
from upshot.streams.kafka.groups import Standing, group_states

#: The roles between an outcome and its row in ClickHouse.
_ROLES = ("correlate", "store")
#: Seconds to wait for the record at which a role stands; for the roles to say that they have read what was
#: there at first, which they do about once a second; and between two looks.
_PATIENCE, READING, _PAUSE = 10.0, 2.0, 0.1


async def read_up_to(settings: Settings, now: datetime, patience: float = READING) -> datetime:
    """The instant before which the join and the store have read every record: `now` where nothing is unread.

    What is unread may be read within `patience` seconds. Raises KafkaUnavailable where the broker doesn't
    answer.
    """
    until = monotonic() + patience
    found = await _standings(settings)
    ends = {place: standing.end for place, standing in found.items()}
    while unread := {
        (tp, standing.position)
        for (group, tp), standing in found.items()
        if standing.position < ends.get((group, tp), 0)
    }:
        if monotonic() >= until:
            return min(now, await _written_at(settings, unread, now))
        await asyncio.sleep(_PAUSE)
        found = await _standings(settings)
    return now


async def _standings(settings: Settings) -> dict[tuple[str, TopicPartition], Standing]:
    """How each group of these roles stands with each partition."""
    named = {settings.app_id(role): [settings.topic(topic) for topic in ROLES[role].reads] for role in _ROLES}
    return {
        (group.name, tp): standing
        for group in await group_states(settings, named)
        for tp, standing in group.standings.items()
    }


async def _written_at(
    settings: Settings, places: Iterable[tuple[TopicPartition, int]], now: datetime
) -> datetime:
    """The earliest timestamp of the records at these places."""
    earliest = now
    async with started(
        settings, AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False)
    ) as consumer:
        for tp, offset in sorted(places):
            consumer.assign([tp])
            consumer.seek(tp, offset)
            try:
                record = await asyncio.wait_for(consumer.getone(tp), _PATIENCE)
            except TimeoutError:
                continue  # only markers of transactions lie there
            earliest = min(earliest, datetime.fromtimestamp(record.timestamp / 1000, UTC))
    return earliest


__all__ = ["READING", "read_up_to"]
