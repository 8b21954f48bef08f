"""A Faust table whose unit is a batch of a partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import faust
from faust.tables.manager import TableManager

from upshot.streams.events.effects import Change
from upshot.streams.kafka.logs import SERVICES
from upshot.streams.kafka.sender import Ack, BatchSender, Sent
from upshot.streams.runtime.recovery import BatchRecovery, keys_written
from upshot.streams.runtime.store import PartitionStore
from upshot.streams.state import frame, payload

Framed = Mapping[bytes, bytes | None]

log = logging.getLogger(__name__)


def changelog_name(app_id: str, table_name: str) -> str:
    """The topic keeping a table; pinned, since the state is lost with the name."""
    return f"{app_id}-{table_name}-changelog"


class Writing(NamedTuple):
    """Changes on their way to the changelog."""

    changes: Mapping[int, Framed]
    sent: Sent


class BatchTable(faust.Table):  # type: ignore[misc]
    """Raw bytes by partition and key; written by `begin` and `finish` alone."""

    logger = SERVICES
    #: What was begun and isn't in the store yet.
    _ahead: Mapping[int, Framed] = MappingProxyType({})

    def _new_store(self) -> PartitionStore:
        return PartitionStore("memory://", self.app, self, table_name=self.name, loop=self.loop)

    @property
    def store(self) -> PartitionStore:
        store: PartitionStore = self.data
        return store

    async def on_start(self) -> None:
        """The changelog is there already: checked, or created, before the app started."""
        await self.add_runtime_dependency(self.data)

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """See TableView."""
        table = self.store.partitions.get(partition)
        found: list[bytes | None] = [None] * len(keys) if table is None else table.get_many(keys)
        if ahead := self._ahead.get(partition):
            for number, key in enumerate(keys):
                if key in ahead:
                    value = ahead[key]
                    found[number] = None if value is None else payload(value)
        return found

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.get_many(partition, [key])[0]

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        table = self.store.partitions.get(partition)
        framed = () if table is None else table.framed_items()
        return ((key, payload(value)) for key, value in framed)

    def has(self, partition: int) -> bool:
        """Whether the table has the partition, and the partition is ours: topics may have more."""
        return partition in self.store.partitions

    def size(self, partition: int) -> int:
        """See TableView."""
        table = self.store.partitions.get(partition)
        return 0 if table is None else table.size

    def due(self, partition: int, upto: int, limit: int) -> list[bytes]:
        """See TableView."""
        return self.store.partitions[partition].due(upto, limit)

    def waiting(self, partition: int) -> int:
        """The sum of `Change.waiting` over the keys of a partition."""
        table = self.store.partitions.get(partition)
        return 0 if table is None else table.waiting

    def nearest_due(self) -> int | None:
        """See TableView."""
        found = (table.nearest_due() for table in self.store.partitions.values())
        return min((due for due in found if due is not None), default=None)

    async def begin(
        self, changes: Mapping[int, Mapping[bytes, Change | None]], sender: BatchSender
    ) -> Writing:
        """Send the changes to the changelog, and let `get` and `get_many` see them from now on.

        `finish` has to come before the next `begin`; in between everything else still shows the values
        before.
        """
        framed = {
            partition: {
                key: None if change is None else frame(change.value, change.due, change.waiting)
                for key, change in values.items()
            }
            for partition, values in changes.items()
            if values
        }
        sent = await sender.changes(self.changelog_topic_name, framed)
        self._ahead = framed
        return Writing(framed, sent)

    async def finish(self, writing: Writing, sender: BatchSender) -> dict[int, range]:
        """Wait until the changelog has the changes, then take them over into the store.

        Returns where in the changelog another worker has written since our last write, by partition;
        `restore` then writes ours again. Cancelled half-way, the table is behind its changelog: the next
        recovery reads on from its position.
        """
        acks = await sender.acknowledged(writing.sent)
        foreign = {}
        for partition, values in writing.changes.items():
            following, others = advance(self.store.next_offset.get(partition), acks[partition])
            # Up to what others wrote, until `restore` has seen to it: a crash in between reads it again.
            await self.store.apply(partition, values, others.start if others else following)
            self._expect(partition, following)
            if others:
                foreign[partition] = others
        self.forget()
        return foreign

    def forget(self) -> None:
        """The begun write is finished, or dropped."""
        self._ahead = {}

    def _expect(self, partition: int, offset: int | None) -> None:
        if offset is None:
            self.store.next_offset.pop(partition, None)
        else:
            self.store.next_offset[partition] = offset

    def foreign(self, ends: Mapping[int, int]) -> dict[int, range]:
        """Another worker's writes to the changelog behind all of ours, given the changelog's end."""
        expected = {partition: self.store.next_offset.get(partition) for partition in ends}
        return {
            partition: range(offset, ends[partition])
            for partition, offset in expected.items()
            if offset is not None and ends[partition] > offset
        }

    async def restore(self, foreign: Mapping[int, range], sender: BatchSender) -> None:
        """Write our values again, of the keys written by another worker since.

        A predecessor cut off while its write was under way may finish the write when back, after we have
        taken over: the changelog must not end with the predecessor's values.
        """
        while foreign:
            ours: dict[int, Framed] = {}
            for partition, offsets in foreign.items():
                keys = await keys_written(self.app.settings, self.changelog_topic_name, partition, offsets)
                log.warning(
                    "a former owner wrote %d keys of %s/%s late: written again as they are",
                    len(keys),
                    self.changelog_topic_name,
                    partition,
                )
                ours[partition] = self.store.partitions[partition].framed(sorted(keys))
                if self.store.next_offset.get(partition) == offsets.start:
                    self._expect(partition, offsets.stop)
            sent = await sender.changes(self.changelog_topic_name, ours)
            foreign = await self.finish(Writing(ours, sent), sender)


def advance(expected: int | None, acks: Iterable[Ack]) -> tuple[int | None, range]:
    """How far the changelog is ours after these batches; the earlier offsets not ours.

    None where unknown: then the next recovery reads the partition from the start.
    """
    others = range(0)
    for ack in acks:
        if ack.offset < 0 or expected is None:
            return None, others
        if ack.offset > expected:
            others = range(others.start if others else expected, ack.offset)
        expected = ack.offset + ack.records
    return expected, others


class BatchTableManager(TableManager):  # type: ignore[misc]
    """Starts at once, since the table is declared with the app, and recovers in bulk."""

    logger = SERVICES
    _recovery: BatchRecovery | None

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()

    @property
    def recovery(self) -> BatchRecovery:
        if self._recovery is None:
            self._recovery = BatchRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


__all__ = ["BatchTable", "BatchTableManager", "Writing", "advance", "changelog_name"]
