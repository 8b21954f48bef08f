"""The role's handler: a thread of its own writes the rows of the runs whose partitions are ours."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from upshot.processors.materialize.backfill import Backfill, is_whole
from upshot.processors.materialize.changes import BATCH, ChangedRuns
from upshot.processors.materialize.check import doubled
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect, first_line
from upshot.settings import Settings
from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, BatchContext, Effects

log = logging.getLogger(__name__)

#: Seconds between two looks for new facts, between two notes of how far the rows are, and after an error.
PAUSE, NOTED, AWAY = 1.0, 2.0, 2.0
#: The longest pause behind a batch of fewer than `FEW` runs: half as long as the batch took, so that slow
#: batches grow instead of following one another; each reads parts of the same tables. A fact that just missed
#: a batch waits for the rest of that batch, the pause and a batch of its own.
LONGEST, FEW = 2.0, 10_000
#: Seconds between two looks for rows that stand twice, at a part of all runs; a look's own seconds until the
#: next one, so that looks take a small part of the time however many rows there are.
CHECKED, REST = 60.0, 100


class Materialize:
    """Owns the runs of its partitions of topic `runs`: run ids are divided into as many slots.

    Records themselves aren't looked at: ClickHouse notes which runs have new facts (`changed_runs`).
    `counts` holds `runs` (written), `contended` (claimed by another writer meanwhile), `doubled` (found
    to stand twice) and `failed` (batches, tried again).
    """

    def __init__(self, settings: Settings, context: BatchContext, pause: float = PAUSE) -> None:
        self._settings = settings
        self._context = context
        self._pause = pause
        self.counts: Counter[str] = Counter()
        #: Up to when all facts are in the rows, as a Unix time; 0 while unknown.
        self.reached = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def topics(self) -> Sequence[str]:
        """The topic whose partitions say which runs are ours."""
        return [self._settings.topic("runs")]

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Begin to write the rows of our runs."""
        await self._end()
        slots = await self._context.partition_count(self.topics[0])
        self._stop = threading.Event()
        mine = sorted(tp.partition for tp in tps)
        if mine:
            self._thread = threading.Thread(
                target=self._run, args=(slots, mine, self._stop), name="materialize", daemon=True
            )
            self._thread.start()

    async def revoked(self, tps: frozenset[TP]) -> None:
        """End. A batch under way may be written to its end: its claims keep it from harm."""
        await self._end()

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Nothing: the store writes the facts."""
        return Effects()

    async def tick(self) -> Effects:
        """Nothing."""
        return Effects()

    async def flush(self) -> None:
        """Nothing."""

    def lag(self) -> float:
        """Seconds since the instant up to which all facts are in the rows."""
        return max(0.0, time.time() - self.reached) if self.reached else 0.0

    async def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 5.0)
            self._thread = None

    def _run(self, slots: int, mine: Sequence[int], stop: threading.Event) -> None:
        failing = False
        while not stop.is_set():
            try:
                self._follow(slots, mine, stop)
            except (ClickHouseError, OSError) as error:
                self.counts["failed"] += 1
                if not failing:
                    log.warning(
                        "rows for reading are late: %s. Nothing is lost; trying again", first_line(error)
                    )
                failing = True
                stop.wait(AWAY)

    def _follow(self, slots: int, mine: Sequence[int], stop: threading.Event) -> None:
        client, writer = connect(self._settings), Writer(self._settings)
        try:
            backfill = None if is_whole(client) else Backfill(client, writer, pause=stop.wait)
            if backfill is not None and 0 not in mine:
                backfill = None  # the owner of the first slot does it
            changes = ChangedRuns(client, slots, mine)
            noted, look_at, part = 0.0, time.monotonic() + CHECKED, 0
            while not stop.is_set():
                news, began = changes.news(), time.monotonic()
                self._write(writer, news.runs, stop)
                took = time.monotonic() - began
                if stop.is_set():
                    return
                reached = changes.written(news)
                self.reached = reached / 1e6
                if time.monotonic() - noted >= NOTED:
                    changes.keep(reached)
                    noted = time.monotonic()
                if backfill is not None and not backfill.step():
                    backfill = None
                if 0 in mine and (looked := time.monotonic()) >= look_at:
                    self._mend(client, writer, part, stop)
                    ended = time.monotonic()
                    look_at, part = ended + max(CHECKED, REST * (ended - looked)), part + 1
                if not news.runs and backfill is None:
                    stop.wait(self._pause)
                elif 0 < len(news.runs) < FEW:
                    stop.wait(min(took / 2, LONGEST))
        finally:
            writer.close()
            client.close()

    def _mend(self, client: Client, writer: Writer, part: int, stop: threading.Event) -> None:
        """Write runs anew whose rows stand twice, of one part of all runs."""
        if found := doubled(_rows_of(client), part):
            log.error(
                "rows for reading of %s runs stood twice, such as %s; written again", len(found), found[0]
            )
            self.counts["doubled"] += len(found)
            self._write(writer, found, stop)

    def _write(self, writer: Writer, runs: Sequence[str], stop: threading.Event) -> None:
        left = list(runs)
        while left and not stop.is_set():
            batch, left = left[:BATCH], left[BATCH:]
            written = writer.write(batch)
            self.counts["runs"] += written.runs
            self.counts["contended"] += len(written.contended)
            left += written.contended
            if written.contended:
                stop.wait(random.random())


def _rows_of(client: Client) -> Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]:
    return lambda sql, parameters: client.query(sql, parameters=dict(parameters)).result_rows


__all__ = ["Materialize"]
