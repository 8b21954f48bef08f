"""Whether each part answers, and why not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from upshot.errors import KafkaUnavailable, UpshotError
from upshot.insights.reader import Reader
from upshot.ops.doctor.readers import Trouble, look_at_readers, trouble_of
from upshot.processors.roles import roles_of
from upshot.settings import Settings
from upshot.streams.kafka.groups import Group
from upshot.streams.kafka.standstill import Standstill

#: Seconds until a part that says nothing counts as away.
_PATIENCE = 8.0


@dataclass(frozen=True)
class PartHealth:
    """A part; `detail` says why the part isn't well, or how far behind the part is."""

    name: str
    ok: bool
    detail: str
    lag: int | None = None


@dataclass(frozen=True)
class Health:
    """All parts."""

    parts: Sequence[PartHealth]
    #: The places of each role's commits together: the difference of two looks is what was read between them.
    read: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return all(part.ok for part in self.parts)

    def of(self, name: str) -> PartHealth:
        """The part of this name."""
        return next(part for part in self.parts if part.name == name)


class Looks:
    """Looks at all parts, and remembers which groups moved, from look to look."""

    def __init__(self, settings: Settings, reader: Reader) -> None:
        self._settings = settings
        self._reader = reader
        self._standstill = Standstill()

    async def look(self) -> Health:
        """Ask all parts at once."""
        (kafka_and_workers, read), clickhouse = await asyncio.gather(self._kafka(), _clickhouse(self._reader))
        kafka, *workers = kafka_and_workers
        return Health([kafka, clickhouse, *workers], read)

    async def _kafka(self) -> tuple[list[PartHealth], dict[str, int]]:
        settings = self._settings
        try:
            async with asyncio.timeout(_PATIENCE):
                readers = await look_at_readers(settings)
        except (KafkaUnavailable, TimeoutError) as error:
            why = str(error) or f"Kafka doesn't answer at {settings.kafka_url} within {_PATIENCE:g} s"
            unknown = [
                PartHealth(role, False, "unknown: Kafka doesn't answer") for role in roles_of(settings)
            ]
            return [PartHealth("kafka", False, why), *unknown], {}
        groups, now = readers.groups, monotonic()
        self._standstill.look(groups.values(), now)
        stuck = self._standstill.stuck(groups.values(), settings.stalled_after, now)
        workers = [
            worker(role, group, trouble_of(settings, role, group, stuck, readers.transactions))
            for role, group in groups.items()
        ]
        read = {role: sum(one.position for one in group.standings.values()) for role, group in groups.items()}
        return [PartHealth("kafka", True, f"at {settings.kafka_url}"), *workers], read


async def _clickhouse(reader: Reader) -> PartHealth:
    try:
        [[version]] = (await asyncio.to_thread(reader.query, "SELECT version()")).rows
    except UpshotError as error:
        return PartHealth("clickhouse", False, str(error))
    return PartHealth("clickhouse", True, f"version {version}")


def worker(role: str, group: Group, trouble: Trouble | None) -> PartHealth:
    """The workers of a role as a part."""
    if trouble is not None:
        return PartHealth(role, False, f"{trouble.found}: {trouble.to_do}", group.total_lag)
    behind = f"{group.total_lag:,} records behind" if group.total_lag else "nothing left to read"
    return PartHealth(role, True, behind, group.total_lag)


__all__ = ["Health", "Looks", "PartHealth", "worker"]
