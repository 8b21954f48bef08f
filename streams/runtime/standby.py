"""Copies of other workers' partitions, kept up to date beside the processing loop, for a quick takeover."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from upshot.streams.runtime.recovery import changelog_reader, seek_on
from upshot.streams.state.assignment import TOLERABLE, MemberAssignment

log = logging.getLogger(__name__)

#: Records that are taken over in one go: the cycle runs in the same loop.
BATCH = 2_000
FETCH_WAIT_MS = 500
#: Seconds until a broker that does not answer is tried again.
TRY_AGAIN = 1.0
#: Seconds between two requests to share out anew: what is asked for may not be granted.
ASK_AGAIN = 30.0
#: Seconds between two notes that a silent partition is up to date.
NOTE_EVERY = 600.0


class StandbyReplicas:
    """Reads the changelogs of this worker's standby partitions, into databases of its own.

    Once the state suffices to own the partitions being warmed up, the replicas ask the group to rebalance. A
    failure ends the app, which is then started again; an absent broker is waited for.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._asked_at = -ASK_AGAIN

    def start(self, share: MemberAssignment) -> None:
        """Follow the share's partitions, until `stop`."""
        if share.standby:
            self._task = asyncio.create_task(self._run(share))

    async def stop(self) -> None:
        """Leave the databases as they are, to be owned, followed on or closed."""
        if self._task is not None:
            if not self._task.cancelling():
                self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
            self._app.engine_metrics.standing_by = {}

    async def _run(self, share: MemberAssignment) -> None:
        while True:
            try:
                await self._follow(share)
            except KafkaError as error:
                log.debug("a changelog can't be followed now, trying again: %r", error)
                await asyncio.sleep(TRY_AGAIN)
            except Exception as error:  # noqa: BLE001 - all of them end the app
                await self._app.crash(error)
                return

    async def _follow(self, share: MemberAssignment) -> None:
        table = self._app.table
        for unit in sorted(share.standby):
            await table.store.follow(unit.partition)
        tps = [TopicPartition(*unit) for unit in sorted(share.standby)]
        async with changelog_reader(self._app.settings, FETCH_WAIT_MS) as reader:
            reader.assign(tps)
            await seek_on(reader, table, tps, await reader.end_offsets(tps))
            log.info("%s stands by for %d partitions", self._app.conf.id, len(tps))
            noted = monotonic()
            while True:
                await self._take(reader)
                left = {tp.partition: await _left(reader, tp) for tp in tps}
                self._app.engine_metrics.standing_by = {
                    number: count for number, count in left.items() if count is not None
                }
                if share.warming and await self._is_warm(reader, share):
                    await self._ask()
                if monotonic() - noted > NOTE_EVERY:
                    noted = monotonic()
                    await self._note(reader, tps)

    async def _take(self, reader: AIOKafkaConsumer) -> None:
        store = self._app.table.store
        for tp, records in (await reader.getmany(timeout_ms=FETCH_WAIT_MS, max_records=BATCH)).items():
            await store.replay(tp.partition, records, await reader.position(tp))

    async def _is_warm(self, reader: AIOKafkaConsumer, share: MemberAssignment) -> bool:
        """Whether so little is left of the partitions being warmed up as to own them."""
        tps = [TopicPartition(*unit) for unit in share.warming]
        left = [await _left(reader, tp) for tp in tps]
        return all(count is not None and count <= TOLERABLE // 2 for count in left)

    async def _ask(self) -> None:
        if monotonic() - self._asked_at > ASK_AGAIN:
            self._asked_at = monotonic()
            log.info("%s has read what it warmed up for and can take it over", self._app.conf.id)
            await self._app.consumer.rejoin()

    async def _note(self, reader: AIOKafkaConsumer, tps: list[TopicPartition]) -> None:
        """An old copy isn't trusted; this copy is not old, even where nothing changes."""
        for tp in tps:
            if await _left(reader, tp) == 0:
                await self._app.table.store.apply(tp.partition, {}, await reader.position(tp))


async def _left(reader: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
    """Offsets until the end, as of the last fetch; None before the first."""
    end = reader.highwater(tp)
    return None if end is None else max(0, end - await reader.position(tp))


__all__ = ["StandbyReplicas"]
