"""The batch engine in memory, for a handler by itself.

What it changes it finds again, what it sends is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from upshot.streams.events.handler import Resuming
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import TP, BatchHandler, Change, Effects, Output


class MemoryTable:
    """What `upshot.streams.events.handler.TableView` promises."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, bytes], Change] = {}

    def get(self, partition: int, key: bytes) -> bytes | None:
        change = self._kept.get((partition, key))
        return None if change is None else change.value

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(partition, key) for key in keys]

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, c.value) for (place, key), c in self._kept.items() if place == partition))

    def size(self, partition: int) -> int:
        return sum(place == partition for place, _ in self._kept)

    def waiting(self, partition: int) -> int:
        return sum(change.waiting for (place, _), change in self._kept.items() if place == partition)

    def due(self, partition: int, upto: int, limit: int) -> list[bytes]:
        found = [(c.due, key) for (place, key), c in self._kept.items() if place == partition and c.due]
        return [key for due, key in sorted(found) if due <= upto][:limit]

    def nearest_due(self) -> int | None:
        return min((change.due for change in self._kept.values() if change.due), default=None)

    def apply(self, changes: Mapping[int, Mapping[bytes, Change | None]]) -> None:
        for partition, by_key in changes.items():
            for key, change in by_key.items():
                if change is None:
                    self._kept.pop((partition, key), None)
                else:
                    self._kept[partition, key] = change


class MemoryRoom:
    """What `upshot.streams.events.handler.BatchContext` promises, for topics of `partitions` each."""

    def __init__(self, partitions: int = 2) -> None:
        self.table = MemoryTable()
        self.outputs: list[Output] = []
        self._partitions = partitions
        self._positions: dict[TP, int] = {}

    async def begin(self, handler: BatchHandler) -> None:
        """Give the handler all partitions of its topics."""
        for topic in handler.topics:
            self._positions |= {TP(topic, number): 0 for number in range(self._partitions)}
        await handler.assigned(self.assignment())
        if isinstance(handler, Resuming):
            self._carry_out(await handler.resume())

    async def process(self, handler: BatchHandler, *records: Fetched) -> list[Output]:
        """One unit of work, and a tick; what was sent."""
        batches: dict[TP, list[Fetched]] = {}
        for record in records:
            batches.setdefault(TP(record.topic, record.partition), []).append(record)
        before = len(self.outputs)
        self._carry_out(await handler.process(batches))
        self._positions |= {tp: batch[-1].offset + 1 for tp, batch in batches.items()}
        self._carry_out(await handler.tick())
        return self.outputs[before:]

    def _carry_out(self, effects: Effects) -> None:
        self.table.apply(effects.changes)
        self.outputs += effects.outputs

    async def end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        return {tp: self._positions[tp] for tp in tps}

    def position(self, tp: TP) -> int:
        return self._positions[tp]

    def assignment(self) -> frozenset[TP]:
        return frozenset(self._positions)

    async def flush_outputs(self) -> None:
        pass

    async def partition_count(self, topic: str) -> int:
        return self._partitions

    def units(self) -> int:
        return self._partitions


def processed(room: MemoryRoom, handler: BatchHandler, *records: Fetched) -> list[Output]:
    """What a handler that has just begun sends for these records."""

    async def work() -> list[Output]:
        await room.begin(handler)
        return await room.process(handler, *records)

    return asyncio.run(work())
