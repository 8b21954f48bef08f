"""Our partitions of a table, as Faust's store: databases on disk."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from faust.stores.memory import Store
from mode import Service

from upshot.streams.kafka.logs import SERVICES
from upshot.streams.state import BulkLoad, Claim, Folders, Memory, PartitionTable, Stalled, UnusableState
from upshot.streams.state.framing import check

log = logging.getLogger(__name__)

#: Between two tries to write to a database that has to catch up first.
STALL_PAUSE = 0.02
#: Between two looks at the folders.
HOUSEKEEPING = 600.0
#: The owner before us on this disk gets so long to close a partition that is now ours.
HANDED_OVER_WITHIN = 0.5
#: Changes that are written in one go: more would hold up everybody else.
SLICE = 5_000


class PartitionStore(Store):  # type: ignore[misc]
    """A database for each partition. Work taking time with the disk runs beside the event loop."""

    logger = SERVICES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partitions: dict[int, PartitionTable] = {}
        #: Copies of partitions that are somebody else's.
        self.followed: dict[int, PartitionTable] = {}
        #: Where our next write to the changelog should land; a partition that is being recovered has none.
        self.next_offset: dict[int, int] = {}
        self._claims: dict[int, Claim] = {}
        self._turn = asyncio.Lock()
        self._steps: set[asyncio.Task[None]] = set()
        self._memory = Memory()
        root: Path = self.app.settings.tables / self.app.conf.id / self.table_name
        self._folders = Folders(root)

    async def open(self, partitions: Iterable[int], keep: Iterable[int] = ()) -> None:
        """Have these partitions ready, as they were left, or empty; of all others, only those to `keep`.

        The partitions to keep are not ours: they stay, if they're here, for `follow`.
        """
        wanted = set(partitions)
        await self._step(self._open_only(wanted, set(keep) - wanted))

    async def follow(self, partition: int) -> None:
        """Have another worker's partition ready, for replaying its changelog here."""
        await self._step(self._open_followed(partition))

    def _home(self, partition: int) -> dict[int, PartitionTable]:
        return self.partitions if partition in self.partitions else self.followed

    def database(self, partition: int) -> PartitionTable:
        """The database of our own, or of a followed partition."""
        return self._home(partition)[partition]

    def positions(self) -> dict[int, int]:
        """How far into its changelog each partition present here is. Callable from any thread."""
        here = [*list(self.partitions.items()), *list(self.followed.items())]
        return {partition: table.position for partition, table in here if table.position is not None}

    async def renew(self, partition: int, why: str | None = None) -> None:
        """Begin with an empty database; the former database is set aside where there is a reason to look into
        it.
        """
        await self._step(self._renew(partition, why))

    async def _step(self, work: Coroutine[Any, Any, None]) -> None:
        """Do one thing after another, and each to its end: a rebalance may cancel the waiting caller."""

        async def in_turn() -> None:
            async with self._turn:
                await work

        step = asyncio.create_task(in_turn())
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        await asyncio.shield(step)

    async def _open_only(self, wanted: set[int], stored: set[int]) -> None:
        for partition in wanted & set(self.followed):
            self.partitions[partition] = self.followed.pop(partition)
        for partition in stored & set(self.partitions):
            self.next_offset.pop(partition, None)
            self.followed[partition] = self.partitions.pop(partition)
        for partition in (set(self.partitions) | set(self.followed)) - wanted - stored:
            self.next_offset.pop(partition, None)
            await asyncio.to_thread(self._home(partition).pop(partition).close)
            self._claims.pop(partition).release()
        await asyncio.gather(*(self._own(partition) for partition in sorted(wanted - set(self.partitions))))

    async def _own(self, partition: int) -> None:
        self.partitions[partition] = await self._claimed(partition, HANDED_OVER_WITHIN)

    async def _open_followed(self, partition: int) -> None:
        if partition not in self.followed and partition not in self.partitions:
            self.followed[partition] = await self._claimed(partition, 0.0)

    async def _claimed(self, partition: int, patience: float) -> PartitionTable:
        claim = await asyncio.to_thread(self._folders.claim, partition, patience)
        database = await asyncio.to_thread(self._opened, claim)
        self._claims[partition] = claim
        return database

    async def _renew(self, partition: int, why: str | None) -> None:
        claim, home = self._claims[partition], self._home(partition)
        self.next_offset.pop(partition, None)
        await asyncio.to_thread(home.pop(partition).close)
        if why is None:
            await asyncio.to_thread(shutil.rmtree, claim.folder)
        else:
            _set_aside(claim, why)
        home[partition] = await asyncio.to_thread(PartitionTable, claim.folder, self._memory)

    async def apply(
        self, partition: int, changes: Mapping[bytes, bytes | None], position: int | None
    ) -> None:
        """Take over framed values (None deletes) and the position reached with them."""
        table = self.database(partition)
        while True:
            try:
                table.apply(changes, position)
            except Stalled:
                await asyncio.sleep(STALL_PAUSE)
            else:
                return

    async def replay(self, partition: int, records: Iterable[Any], position: int) -> None:
        """Take over records of the changelog; `position` is where reading goes on behind them.

        Raises UnknownFormat, with nothing of the record's slice applied.
        """
        last = last_values(records)
        for value in last.values():
            if value is not None:
                check(value)
        keys = list(last)
        before = self.database(partition).position
        for start in range(0, len(keys), SLICE):
            await self.apply(partition, {key: last[key] for key in keys[start : start + SLICE]}, before)
            await asyncio.sleep(0)
        await self.apply(partition, {}, position)

    async def fill(self, load: BulkLoad, records: Iterable[Any]) -> None:
        """Take records of the changelog into a table being filled. Raises UnknownFormat."""
        await _paced(load.take(last_values(records)))

    async def filled(self, load: BulkLoad, position: int) -> None:
        """All records of the changelog before `position` are in: make them the partition's state."""
        await _paced(load.index())
        await asyncio.to_thread(load.flush)
        load.finish(position)

    async def on_stop(self) -> None:
        await self.open(())

    @Service.task  # type: ignore[untyped-decorator]
    async def _keep_house(self) -> None:
        """Note the databases in use, and remove databases long unused."""
        while not self.should_stop:
            for removed in await asyncio.to_thread(self._folders.clean):
                log.info("removed %s: nobody has used it for long", removed)
            await self.sleep(HOUSEKEEPING)
            for partition, claim in list(self._claims.items()):
                claim.touch()
                if partition in self.next_offset:
                    await self.apply(partition, {}, self.partitions[partition].position)

    def _opened(self, claim: Claim) -> PartitionTable:
        try:
            table = PartitionTable(claim.folder, self._memory)
            if not table.is_unfinished:
                return table
            table.close()
            shutil.rmtree(claim.folder)
        except UnusableState as error:
            _set_aside(claim, str(error))
        return PartitionTable(claim.folder, self._memory)

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:
        """Faust's recovery record by record: never reached, since ours leaves nothing to do."""
        raise NotImplementedError("the changelog is read in bulk")


def last_values(records: Iterable[Any]) -> dict[bytes, bytes | None]:
    """The records' last values, by key."""
    return {record.key: record.value for record in records}


async def _paced(steps: Iterator[bool]) -> None:
    """Take the steps with everybody else in between; longer where RocksDB has to catch up."""
    for done in steps:
        await asyncio.sleep(0 if done else STALL_PAUSE)


def _set_aside(claim: Claim, why: str) -> None:
    log.warning("%s: set aside as %s and rebuilt from the changelog; nothing is lost", why, claim.set_aside())


__all__ = ["PartitionStore"]
