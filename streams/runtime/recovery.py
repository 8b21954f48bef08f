"""Recovering a table from its changelog, in bulk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from time import monotonic, time
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

from upshot.settings import Settings
from upshot.streams.kafka.connection import client_options
from upshot.streams.kafka.fetch import install_fast_records
from upshot.streams.kafka.logs import SERVICES
from upshot.streams.kafka.topic_ids import topic_id
from upshot.streams.runtime.store import PartitionStore
from upshot.streams.state import BulkLoad, PartitionTable

log = logging.getLogger(__name__)

FETCH_BYTES = 8 * 1024 * 1024
#: A fetch that finds nothing holds up the seek that comes after it for so long.
FETCH_WAIT_MS = 20
REPORT_EVERY = SIGN_EVERY = 5.0
#: Records that are taken over together: of several with one key only the last counts.
RECORDS = 50_000
#: An empty partition with so many records to read is filled in bulk.
BULK_FROM = 20_000
#: Seconds; well below the changelog's `delete.retention.ms`.
TRUSTED_FOR = 12 * 3600.0


class RecoveredTable(Protocol):
    """The part of a `BatchTable` needed for its recovery."""

    name: str
    app: Any
    store: PartitionStore
    changelog_topic_name: str

    def size(self, partition: int) -> int:
        """The number of keys in a partition."""


class BatchRecovery(Recovery):  # type: ignore[misc]
    """Loads the changelog before Faust looks, so Faust's own recovery finds nothing left to do.

    The partitions of the input are sought to their committed offsets before anything is fetched from them.
    """

    logger = SERVICES

    async def on_rebalance(
        self, assigned: set[Any], revoked: set[Any], newly_assigned: set[Any], generation_id: int = 0
    ) -> None:
        self._epoch = self.app.processing_loop.epoch
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        """Without the time limit: stock Faust takes its end for a stop, and never works again."""
        result = await self.wait_first(coro, self.signal_recovery_start)
        if result.stopped:
            raise ServiceStopped
        if self.signal_recovery_start in result.done:
            raise RebalanceAgain

    async def _build_offsets(self, consumer: Any, tps: set[Any], destination: Any, title: str) -> None:
        """Load all there is, then report the partitions as recovered."""
        if title == "active":
            for table in self.tables.values():
                await self._load(table, {tp for tp in tps if self.tp_to_table[tp] is table})
        for tp in tps:
            destination[tp] = self.active_highwaters[tp]

    async def _seek_offsets(self, consumer: Any, tps: set[Any], offsets: Any, title: str) -> None:
        """Nothing: the group's consumer has no partition of a changelog."""

    async def _load(self, table: RecoveredTable, tps: set[Any]) -> None:
        await self.app.standby_replicas.stop()
        followed = [tp.partition for tp in self.app.assignor.share.standby]
        await table.store.open([tp.partition for tp in tps], keep=followed)
        if not tps:
            return
        signs = asyncio.create_task(self._give_signs())
        try:
            async with changelog_reader(self.app.settings) as reader:
                await read_changelog(reader, table, [TopicPartition(*tp) for tp in tps])
        finally:
            signs.cancel()

    async def _give_signs(self) -> None:
        """Say beside the committed offsets how far the recovery is: an observer from outside sees nothing
        else move.
        """
        while True:
            await asyncio.sleep(SIGN_EVERY)
            await self.app.consumer.sign(self.app.engine_metrics.recovery_sign())

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
        self.app.standby_replicas.start(self.app.assignor.share)


@asynccontextmanager
async def changelog_reader(
    settings: Settings, wait_ms: int = FETCH_WAIT_MS
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, without effect on others."""
    reader = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_wait_ms=wait_ms,
    )
    try:
        await reader.start()
        install_fast_records(reader._fetcher)
        yield reader
    finally:
        await reader.stop()


async def read_changelog(reader: AIOKafkaConsumer, table: RecoveredTable, tps: list[TopicPartition]) -> None:
    """Bring the partitions of `table` up to the end of their changelog.

    Records already in the table aren't read again. The end is the log's own end when this starts; a partition
    is there when the reader's position is, since compaction leaves gaps in the offsets.
    """
    progress = RecoveryProgress(table)
    reader.assign(tps)
    ends = await reader.end_offsets(tps)
    await seek_on(reader, table, tps, ends)
    store = table.store
    loads = {tp: load for tp in tps if (load := await _bulk(reader, table, tp, ends[tp]))}
    while missing := table.app.engine_metrics.recovering(await _missing(reader, ends)):
        for tp, records in (await reader.getmany(timeout_ms=1_000, max_records=RECORDS)).items():
            if tp in loads:
                await store.fill(loads[tp], records)
            else:
                await store.replay(tp.partition, records, await reader.position(tp))
            progress.took(len(records))
        progress.tell(missing)
    for tp in tps:
        position = await reader.position(tp)
        if tp in loads:
            await store.filled(loads.pop(tp), position)
        else:
            await store.apply(tp.partition, {}, position)
        store.next_offset[tp.partition] = position
    progress.conclude(sum(table.size(tp.partition) for tp in tps))


class RecoveryProgress:
    """Tells how far a recovery is, and how long the rest will take."""

    def __init__(self, table: RecoveredTable) -> None:
        self._table = table
        self._started = self._reported = monotonic()
        self._count = 0

    def took(self, records: int) -> None:
        """So many more records were read."""
        self._count += records
        self._table.app.engine_metrics.recovered += records

    def tell(self, missing: int) -> None:
        """A line now and then."""
        now = monotonic()
        if now - self._reported < REPORT_EVERY or not self._count:
            return
        self._reported = now
        log.info(
            "recovering %s: %d records read, %d to go, about %.0f s",
            self._table.name,
            self._count,
            missing,
            missing * (now - self._started) / self._count,
        )

    def conclude(self, keys: int) -> None:
        """A line where anything was read."""
        if self._count:
            spent = monotonic() - self._started
            log.info(
                "recovered %s: %d keys from %d records in %.1f s", self._table.name, keys, self._count, spent
            )


async def _bulk(
    reader: AIOKafkaConsumer, table: RecoveredTable, tp: TopicPartition, end: int
) -> BulkLoad | None:
    """A way to fill the partition in bulk, where nothing of the partition is
    here and there is much to read.
    """
    database = table.store.partitions[tp.partition]
    if database.is_new and end - await reader.position(tp) >= BULK_FROM:
        return BulkLoad(database)
    return None


async def keys_written(settings: Settings, changelog: str, partition: int, offsets: range) -> set[bytes]:
    """The keys written at these offsets of a changelog."""
    tp, keys = TopicPartition(changelog, partition), set()
    async with changelog_reader(settings) as reader:
        reader.assign([tp])
        reader.seek(tp, offsets.start)
        while await reader.position(tp) < offsets.stop:
            for records in (await reader.getmany(timeout_ms=1_000)).values():
                keys |= {record.key for record in records if record.offset < offsets.stop}
    return keys


async def seek_on(
    reader: AIOKafkaConsumer,
    table: RecoveredTable,
    tps: Iterable[TopicPartition],
    ends: Mapping[TopicPartition, int],
) -> None:
    """Go to where each partition's database stands; a database not fitting the changelog is rebuilt."""
    source = await topic_id(reader, table.changelog_topic_name)
    for tp, beginning in (await reader.beginning_offsets(tps)).items():
        database = table.store.database(tp.partition)
        offsets = range(beginning, ends[tp] + 1)
        if database.is_unfinished:
            await table.store.renew(tp.partition)
        elif not database.is_new and (why := why_untrusted(database, source, offsets, time())):
            await table.store.renew(tp.partition, f"{database.folder} {why}")
        database = table.store.database(tp.partition)
        if source is not None and database.source is None:
            database.comes_from(source)
        reader.seek(tp, beginning if database.position is None else database.position)


def why_untrusted(database: PartitionTable, source: bytes | None, offsets: range, now: float) -> str | None:
    """Why a database can't be brought up to date by the rest of its changelog; None where it can.

    `source` is the changelog's id, `offsets` where reading can begin, `now` in seconds since 1970.
    """
    position = database.position
    if position is None:
        return "does not know how far it is"
    if source is not None and database.source not in (None, source):
        return "comes from another changelog of this name"
    if position not in offsets:
        return f"stands at {position} of a changelog from {offsets.start} to {offsets.stop - 1}"
    if position < offsets.stop - 1 and now - database.written_at > TRUSTED_FOR:
        hours = (now - database.written_at) / 3600
        return f"was left {hours:.0f} h ago: what was deleted since may be compacted away"
    return None


async def _missing(reader: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> int:
    return sum([max(0, end - await reader.position(tp)) for tp, end in ends.items()])


__all__ = ["BatchRecovery", "keys_written", "read_changelog", "why_untrusted"]
