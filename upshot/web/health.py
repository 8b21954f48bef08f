"""Whether each part answers, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from upshot.doctor.kafka import read_by_roles
from upshot.errors import KafkaUnavailable, UpshotError
from upshot.insights.reader import Reader
from upshot.local.roles import roles_of
from upshot.settings import Settings
from upshot.streams.groups import Group, group_states

#: Seconds until a part that says nothing counts as away.
_PATIENCE = 8.0


@dataclass(frozen=True)
class Part:
    """One part; `detail` says why it's not well, or how far behind it is."""

    name: str
    ok: bool
    detail: str
    lag: int | None = None


@dataclass(frozen=True)
class Health:
    """All parts."""

    parts: Sequence[Part]

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return all(part.ok for part in self.parts)

    def of(self, name: str) -> Part:
        """The part of that name."""
        return next(part for part in self.parts if part.name == name)


async def look(settings: Settings, reader: Reader) -> Health:
    """Ask all parts at once."""
    kafka_and_workers, clickhouse = await asyncio.gather(_kafka(settings), _clickhouse(reader))
    kafka, *workers = kafka_and_workers
    return Health([kafka, clickhouse, *workers])


async def _clickhouse(reader: Reader) -> Part:
    try:
        [[version]] = (await asyncio.to_thread(reader.query, "SELECT version()")).rows
    except UpshotError as error:
        return Part("clickhouse", False, str(error))
    return Part("clickhouse", True, f"version {version}")


async def _kafka(settings: Settings) -> list[Part]:
    try:
        async with asyncio.timeout(_PATIENCE):
            groups = await group_states(settings, read_by_roles(settings))
    except (KafkaUnavailable, TimeoutError) as error:
        why = str(error) or f"Kafka doesn't answer at {settings.kafka_url} within {_PATIENCE:g} s"
        unknown = [Part(role, False, "unknown: Kafka doesn't answer") for role in roles_of(settings)]
        return [Part("kafka", False, why), *unknown]
    workers = [_worker(role, group) for role, group in zip(roles_of(settings), groups, strict=True)]
    return [Part("kafka", True, f"at {settings.kafka_url}"), *workers]


def _worker(role: str, group: Group) -> Part:
    if group.is_live:
        behind = f"{group.total_lag:,} records behind" if group.total_lag else "nothing left to read"
        return Part(role, True, behind, group.total_lag)
    if group.members:
        return Part(role, False, f"its group {group.name} is {group.state}: just starting", group.total_lag)
    return Part(
        role, False, f"no worker reads as {group.name}: start  upshot worker --role {role}", group.total_lag
    )


__all__ = ["Health", "Part", "look"]
