"""Recovering a table from its changelog, in bulk."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from upshot.settings import Settings
from upshot.streams.batch.logs import SERVICES
from upshot.streams.connection import client_options

if TYPE_CHECKING:
    from upshot.streams.batch.table import BatchTable

log = logging.getLogger(__name__)

FETCH_BYTES = 8 * 1024 * 1024
#: A fetch that finds nothing holds up the seek that comes after it for so long.
FETCH_WAIT_MS = 20
REPORT_EVERY = 5.0


class BatchRecovery(Recovery):  # type: ignore[misc]
    """Loads the changelog before Faust looks, so that its own recovery finds nothing left to do.

    The partitions of the input are sought to their committed offsets before anything is fetched from them.
    """

    logger = SERVICES

    async def on_rebalance(
        self, assigned: set[Any], revoked: set[Any], newly_assigned: set[Any], generation_id: int = 0
    ) -> None:
        self._epoch = self.app.cycle.epoch
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Without the time limit: stock Faust takes its end for a stop, and never works again."""
        result = await self.wait_first(coro, self.signal_recovery_start)
        if result.stopped:
            raise ServiceStopped
        if self.signal_recovery_start in result.done:
            raise RebalanceAgain

    async def _build_offsets(self, consumer: Any, tps: set[Any], destination: Any, title: str) -> None:
        """Load all there is, then say that we have it."""
        if title == "active":
            for table in self.tables.values():
                await self._load(table, {tp for tp in tps if self.tp_to_table[tp] is table})
        for tp in tps:
            destination[tp] = self.active_highwaters[tp]

    async def _load(self, table: BatchTable, tps: set[Any]) -> None:
        table.store.retain(tp.partition for tp in tps)
        if not tps:
            return
        async with changelog_reader(self.app.settings) as reader:
            await read_changelog(reader, table, [TopicPartition(*tp) for tp in tps])

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Seek, then start: stock Faust starts, then seeks, and handles prefetched records twice."""
        self._set_recovery_ended()
        for table in self.tables.values():
            await table.on_recovery_completed(self.actives_for_table[table], set())
        await self._start_working()

    async def _resume_streams(self, generation_id: int = 0) -> None:
        """The same for an app without a table."""
        await self._start_working()

    async def _start_working(self) -> None:
        await self.app.on_rebalance_complete.send()
        await self._wait(self.app.begin(self._epoch))
        self.completed.set()
        self.app.flow_control.resume()
        self.app.consumer.resume_flow()
        await self.app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        self.app.on_rebalance_end()


@asynccontextmanager
async def changelog_reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group: what it does concerns nobody else."""
    reader = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()


async def read_changelog(reader: AIOKafkaConsumer, table: BatchTable, tps: list[TopicPartition]) -> None:
    """Bring the partitions of `table` up to the end of their changelog.

    What the table has already isn't read again. The end is the log's own end when this starts; a partition
    is there when the reader's position is, since compaction leaves gaps in the offsets.
    """
    started = reported = monotonic()
    reader.assign(tps)
    ends = await reader.end_offsets(tps)
    await _seek(reader, table, tps)
    store, count = table.store, 0
    while missing := await _missing(reader, ends):
        for tp, records in (await reader.getmany(timeout_ms=1_000, max_records=50_000)).items():
            store.apply(tp.partition, ((record.key, record.value) for record in records))
            store.next_offset[tp.partition] = await reader.position(tp)
            count += len(records)
        if monotonic() - reported > REPORT_EVERY:
            reported = monotonic()
            log.info("recovering %s: %d records read, %d to go", table.name, count, missing)
    for tp in tps:
        store.next_offset[tp.partition] = await reader.position(tp)
    if count:
        keys = sum(table.size(tp.partition) for tp in tps)
        log.info(
            "recovered %s: %d keys from %d records in %.1f s", table.name, keys, count, monotonic() - started
        )


async def keys_written(settings: Settings, changelog: str, partition: int, offsets: range) -> set[bytes]:
    """The keys that are written at these offsets of a changelog."""
    tp, keys = TopicPartition(changelog, partition), set()
    async with changelog_reader(settings) as reader:
        reader.assign([tp])
        reader.seek(tp, offsets.start)
        while await reader.position(tp) < offsets.stop:
            for records in (await reader.getmany(timeout_ms=1_000)).values():
                keys |= {record.key for record in records if record.offset < offsets.stop}
    return keys


async def _seek(reader: AIOKafkaConsumer, table: BatchTable, tps: Iterable[TopicPartition]) -> None:
    for tp, beginning in (await reader.beginning_offsets(tps)).items():
        have = table.store.next_offset.get(tp.partition)
        if have is None or have < beginning:
            table.store.forget(tp.partition)
            have = beginning
        reader.seek(tp, have)


async def _missing(reader: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> int:
    return sum([max(0, end - await reader.position(tp)) for tp, end in ends.items()])


__all__ = ["BatchRecovery", "keys_written", "read_changelog"]
