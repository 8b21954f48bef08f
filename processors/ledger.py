"""Up to when the roles have read: results as of a later instant would miss what lies unread in Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from upshot.processors.roles import ROLES
from upshot.settings import Settings
from upshot.streams.kafka.connection import client_options, started
from upshot.streams.kafka.groups import group_states

#: The roles between an outcome and its row in ClickHouse.
_ROLES = ("correlate", "store")
#: Seconds to wait for the record at which a role stands.
_PATIENCE = 10.0


async def read_up_to(settings: Settings, now: datetime) -> datetime:
    """The instant before which the join and the store have read every record: `now` where nothing is unread.

    Raises KafkaUnavailable where the broker doesn't answer.
    """
    named = {settings.app_id(role): [settings.topic(topic) for topic in ROLES[role].reads] for role in _ROLES}
    unread = {
        (tp, standing.position)
        for group in await group_states(settings, named)
        for tp, standing in group.standings.items()
        if standing.lag
    }
    if not unread:
        return now
    return min(now, await _written_at(settings, unread, now))


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


__all__ = ["read_up_to"]
