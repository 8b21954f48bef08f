"""The registry's topic, read whole: compacted, it stays small."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from upshot.errors import InvalidEvent
from upshot.processors.experiments.decide import RegistryRecord
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings
from upshot.streams.events.records import Record, decode
from upshot.streams.kafka.connection import client_options, started

#: The header of an allocation: the offset of the record that it was made from.
FOLLOWS = "upshot-follows"


async def read_registry(settings: Settings, partitions: Collection[int]) -> list[RegistryRecord]:
    """The usable records of these partitions, in order. Raises KafkaUnavailable, KafkaError."""
    client = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    found: list[Record] = []
    async with started(settings, client) as consumer:
        tps = [TopicPartition(settings.topic("experiments"), number) for number in sorted(partitions)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
    return usable(found)


def usable(records: Iterable[Record]) -> list[RegistryRecord]:
    """The readable records, but none of experiments whose last record is a deletion, or unreadable.

    A newer release may have written the last one: nothing is sent over what this release doesn't understand.
    """
    found: list[tuple[bytes | None, RegistryRecord]] = []
    is_last_readable: dict[bytes | None, bool] = {}
    for record in records:
        known = registry_record(record)
        is_last_readable[record.key] = known is not None
        if known is not None:
            found.append((record.key, known))
    return [known for key, known in found if is_last_readable[key]]


def registry_record(record: Record) -> RegistryRecord | None:
    """The record, read; None for a deletion and for unreadable records."""
    if record.value is None:
        return None
    try:
        experiment = decode(Experiment, record)
    except InvalidEvent:
        return None  # the store keeps the record as a dead letter
    follows = dict(record.headers).get(FOLLOWS, b"").decode("ascii", "replace")
    known = int(follows) if follows.isdecimal() and len(follows) < 19 else None
    return RegistryRecord(experiment, record.partition, record.offset, known)


__all__ = ["FOLLOWS", "read_registry", "registry_record", "usable"]
