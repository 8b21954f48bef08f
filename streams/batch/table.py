"""A Faust table whose unit is a batch of one partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import faust
from faust.stores.memory import Store
from faust.tables.manager import TableManager

from upshot.streams.batch.logs import SERVICES
from upshot.streams.batch.recovery import BatchRecovery, keys_written
from upshot.streams.batch.sender import Ack, Sender

log = logging.getLogger(__name__)


def changelog_name(app_id: str, table_name: str) -> str:
    """The topic that keeps a table; pinned, since the state is lost with the name."""
    return f"{app_id}-{table_name}-changelog"


class PartitionStore(Store):  # type: ignore[misc]
    """Keys and values as bytes, a dict per partition, and how far into the changelog each one is."""

    logger = SERVICES

    def __post_init__(self) -> None:
        super().__post_init__()
        self.data: dict[int, dict[bytes, bytes]] = {}
        self.next_offset: dict[int, int] = {}

    def apply(self, partition: int, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take over the changes, in order; None deletes."""
        values = self.data.setdefault(partition, {})
        for key, value in changes:
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value

    def retain(self, partitions: Iterable[int]) -> None:
        """Forget all other partitions: somebody else writes them now."""
        for partition in set(self.data) - set(partitions):
            self.forget(partition)

    def forget(self, partition: int) -> None:
        self.data.pop(partition, None)
        self.next_offset.pop(partition, None)

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Faust's recovery record by record, which finds nothing left to do."""
        for event in batch:
            message = event.message
            self.apply(message.partition, [(message.key, message.value)])


class BatchTable(faust.Table):  # type: ignore[misc]
    """Raw bytes by partition and key; written by `write` alone."""

    logger = SERVICES

    def _new_store(self) -> PartitionStore:
        return PartitionStore("memory://", self.app, self, table_name=self.name, loop=self.loop)

    @property
    def store(self) -> PartitionStore:
        store: PartitionStore = self.data
        return store

    async def on_start(self) -> None:
        """The changelog is there already: it was checked, or created, before the app started."""
        await self.add_runtime_dependency(self.data)

    def get(self, partition: int, key: bytes) -> bytes | None:
        values = self.store.data.get(partition)
        return None if values is None else values.get(key)

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.store.data.get(partition, {}).items())

    def size(self, partition: int) -> int:
        return len(self.store.data.get(partition, {}))

    async def write(
        self, changes: Mapping[int, Mapping[bytes, bytes | None]], sender: Sender
    ) -> dict[int, range]:
        """Make the changes durable in the changelog, then visible here.

        Returns where in the changelog somebody else has written since our last write, by partition; `restore`
        is for that. Cancelled half-way, the table is behind its changelog: the next recovery reads on from
        `next_offset`.
        """
        changes = {partition: values for partition, values in changes.items() if values}
        acks = await sender.changes(self.changelog_topic_name, changes)
        foreign = {}
        for partition, values in changes.items():
            self.store.apply(partition, values.items())
            if others := self._advance(partition, acks[partition]):
                foreign[partition] = others
        return foreign

    def _advance(self, partition: int, acks: Iterable[Ack]) -> range:
        """Note how far the changelog is ours; the offsets before our batches that are not."""
        others = range(0)
        for ack in acks:
            expected = self.store.next_offset.pop(partition, None)
            if ack.offset < 0:
                continue  # where it is isn't known: the next recovery reads the partition from the start
            if expected is not None and ack.offset > expected:
                others = range(others.start if others else expected, ack.offset)
            if expected is not None:
                self.store.next_offset[partition] = ack.offset + ack.records
        return others

    async def restore(self, foreign: Mapping[int, range], sender: Sender) -> None:
        """Write our values again, of the keys that somebody else has written since.

        A predecessor that was cut off while its write was under way may finish it when it's back, after we
        have taken over: the changelog must not end with what it said.
        """
        for partition, offsets in foreign.items():
            keys = await keys_written(self.app.settings, self.changelog_topic_name, partition, offsets)
            log.warning(
                "a former owner wrote %d keys of %s/%s late: written again as they are",
                len(keys),
                self.changelog_topic_name,
                partition,
            )
            await self.write({partition: {key: self.get(partition, key) for key in keys}}, sender)


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


__all__ = ["BatchTable", "BatchTableManager", "PartitionStore", "changelog_name"]
