"""The recorded results of steps, from the changelog of the role `followups`, whose state has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Raw

from upshot.errors import KafkaUnavailable
from upshot.processors.followups.handler import ROLE, TABLE
from upshot.processors.followups.state import decode_followup
from upshot.settings import Settings
from upshot.streams.kafka.admin import admin_client
from upshot.streams.runtime.recovery import changelog_reader
from upshot.streams.runtime.table import changelog_name
from upshot.streams.state import payload

_WAIT_MS = 500


async def recorded_results(settings: Settings, ids: Collection[str]) -> Mapping[str, Mapping[str, Raw]]:
    """The results of these follow-ups' steps, by follow-up and step; read from the whole changelog.

    A follow-up over for longer than `settled_retention` has no results any more. Raises KafkaUnavailable.
    """
    topic = changelog_name(settings.app_id(ROLE), TABLE)
    try:
        tps = await _partitions(settings, topic)
        async with changelog_reader(settings, _WAIT_MS) as reader:
            return await _read(reader, tps, {ident.encode() for ident in ids}) if tps else {}
    except KafkaError as error:
        raise KafkaUnavailable(
            f"{topic} can't be read at {settings.kafka_url}: nothing was written; try again ({error!r})"
        ) from None


async def _partitions(settings: Settings, topic: str) -> list[TopicPartition]:
    async with admin_client(settings) as admin:
        there = topic in await admin.list_topics()
        described = await admin.describe_topics([topic]) if there else []
    return [TopicPartition(topic, part["partition"]) for found in described for part in found["partitions"]]


async def _read(
    reader: AIOKafkaConsumer, tps: list[TopicPartition], wanted: Collection[bytes]
) -> dict[str, Mapping[str, Raw]]:
    """The results in the last state of each wanted key, up to the changelog's present end."""
    found: dict[str, Mapping[str, Raw]] = {}
    reader.assign(tps)
    begins, ends = await reader.beginning_offsets(tps), await reader.end_offsets(tps)
    for tp in tps:
        # Not seek_to_beginning: the consumer may be about to seek to the end, and the end would win.
        reader.seek(tp, begins[tp])
    left = {tp for tp in tps if begins[tp] < ends[tp]}
    while left:
        for records in (await reader.getmany(timeout_ms=_WAIT_MS)).values():
            for record in records:
                if record.key in wanted:
                    value = record.value
                    found[record.key.decode()] = decode_followup(payload(value)).results if value else {}
        left = {tp for tp in left if await reader.position(tp) < ends[tp]}
    return found


__all__ = ["recorded_results"]
