"""The agent of the store: records in, rows gathered and inserted, dead letters out."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import assert_never

from upshot.errors import InvalidEvent
from upshot.otel.prices import Prices, unpriced
from upshot.processors.store.columns import COLUMNS
from upshot.processors.store.kinds import clashes
from upshot.processors.store.rows import STORED, NothingToStore, RefusedRow, Row, Skipped, letter_row, row_of
from upshot.processors.store.sink import SCORES, Sink
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, Effects

log = logging.getLogger(__name__)

#: Bytes of records gathered in one block at the most: long texts are bounded by bytes, not by rows.
STORE_BYTES = 32 * 1024 * 1024
LETTERS = "raw_dead_letters"
#: After a long insert, rows are gathered for so many times as long, up to so many seconds: larger blocks are
#: less work for an overloaded ClickHouse.
PATIENCE, LONGEST = 2.0, 1.0


class Block:
    """Rows inserted together, by table, with their records."""

    def __init__(self) -> None:
        self.tables: dict[str, tuple[list[bytes], list[Record]]] = {}
        self.rows = self.bytes = 0
        #: Records of scores whose kind is checked once their rows are written.
        self.scores: list[Record] = []
        #: The read position of each partition when the last row was gathered, or later.
        self.ends: Mapping[TP, int] = {}

    def add(self, row: Row, record: Record) -> None:
        """Add one row."""
        if row.table not in self.tables:
            self.tables[row.table] = ([], [])
        rows, records = self.tables[row.table]
        rows.append(row.packed)
        records.append(record)
        if row.table == SCORES:
            self.scores.append(record)
        self.rows += 1
        self.bytes += len(record.value or b"")


class StoreHandler:
    """Reads every stored topic and inserts one block per table and `store_interval`.

    A block is inserted while the next is gathered: two are in memory at the most. Taken records are durable
    once `flush` returns, or where `durable` says so: commits needn't wait for inserts. `counts` holds how
    often each event happened since the start: `rows`, `dead_lettered` (by the store), `skipped` (by the
    join), `erased`, `rejected` (by ClickHouse).
    """

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        now: Callable[[], float] = monotonic,
        prices: Prices = unpriced,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._now = now
        self._prices = prices
        self._names = {settings.topic(name): name for name in STORED}
        self.counts: Counter[str] = Counter()
        #: By reason.
        self.dead_letters: Counter[str] = Counter()
        self._gathered = Block()
        self._since = 0.0
        #: Seconds of the last insert.
        self._took = 0.0
        #: The block being inserted, less its durable rows.
        self._leaving: Block | None = None
        self._insert: asyncio.Task[None] | None = None
        #: Up to where records were taken, and up to where they are durable; of the partitions assigned now.
        self._taken: dict[TP, int] = {}
        self._durable: dict[TP, int] = {}

    @property
    def topics(self) -> Sequence[str]:
        """The topics read by the store."""
        return list(self._names)

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Start with nothing: rows gathered before are read again, or by another worker."""
        await self._forget()

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Gathered rows are inserted and committed, or read again."""
        await self._forget()

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Gather the rows; once there are enough, begin to insert them."""
        effects = Effects()
        for tp, records in batches.items():
            topic = self._names[tp.topic]
            for record in records:
                self._take(topic, record, effects)
            self._taken[tp] = records[-1].offset + 1
        await self._insert_what_is_due()
        return effects

    async def tick(self) -> Effects:
        """Begin to insert rows gathered long enough ago."""
        await self._insert_what_is_due()
        return Effects()

    async def flush(self) -> None:
        """Insert all gathered rows. Waits as long as ClickHouse is away."""
        await self._finish()
        self._begin()
        await self._finish()

    def durable(self) -> Mapping[TP, int] | None:
        """See Pipelined."""
        idle = self._insert is None or self._insert.done()
        if idle and not self._gathered.rows and (self._leaving is None or not self._leaving.tables):
            return None
        return self._durable

    async def _insert_what_is_due(self) -> None:
        if self._is_full() or (self._is_old() and (self._insert is None or self._insert.done())):
            await self._finish()
            self._begin()

    def _is_full(self) -> bool:
        return self._gathered.rows >= self._settings.store_rows or self._gathered.bytes >= STORE_BYTES

    def _is_old(self) -> bool:
        interval = max(self._settings.store_interval, min(PATIENCE * self._took, LONGEST))
        return self._gathered.rows > 0 and self._now() - self._since >= interval

    def _take(self, topic: str, record: Record, effects: Effects) -> None:
        match row_of(topic, record, self._prices):
            case Row() as row:
                if not self._gathered.rows:
                    self._since = self._now()
                self._gathered.add(row, record)
            case RefusedRow(error):
                self.counts["dead_lettered"] += 1
                self.dead_letters[error.reason] += 1
                effects.outputs.append(dead_letter(self._settings, record, error))
            case Skipped():
                self.counts["skipped"] += 1
            case NothingToStore():
                self.counts["erased"] += 1
            case other:
                assert_never(other)

    def _begin(self) -> None:
        """Insert the gathered rows, beside gathering the next. No insert may be under way."""
        if self._gathered.rows:
            self._leaving, self._gathered = self._gathered, Block()
            self._leaving.ends = self._taken.copy()
            self._insert = asyncio.create_task(self._write(self._leaving))

    async def _finish(self) -> None:
        """Wait until the insert under way is durable; begin a cut-off insert again."""
        if self._leaving is None:
            return
        if self._insert is None or self._insert.cancelled():
            self._insert = asyncio.create_task(self._write(self._leaving))
        await self._insert
        self._leaving = self._insert = None

    async def _write(self, block: Block) -> None:
        began = self._now()
        await asyncio.gather(*(self._write_table(block, table) for table in COLUMNS if table != LETTERS))
        await self._refuse_clashes(block)
        await self._write_table(block, LETTERS)  # last: rejected and refused records are among them
        self._durable.update(block.ends)
        self._took = self._now() - began

    async def _refuse_clashes(self, block: Block) -> None:
        """Scores of another kind than their name's become dead letters, and are stored.

        Which kind came first may turn out later.
        """
        if not block.scores:
            return
        found = list(clashes(block.scores, await self._sink.mixed_kinds()))
        block.scores = []
        for record, error in found:
            self.counts["dead_lettered"] += 1
            self.dead_letters[error.reason] += 1
            block.add(letter_row(record, error), record)

    async def _write_table(self, block: Block, table: str) -> None:
        if table not in block.tables:
            return
        rows, records = block.tables[table]
        rejections = await self._sink.write(table, rows)
        for rejection in rejections:
            self._reject(block, table, records[rejection.number], rejection.detail)
        self.counts["rows"] += len(rows) - len(rejections)
        del block.tables[table]

    def _reject(self, block: Block, table: str, record: Record, detail: str) -> None:
        """The record is kept as a row, not as a record: a row durable before the offsets are committed."""
        self.counts["rejected"] += 1
        log.error(
            "ClickHouse rejects %s/%s/%s for %s: %s; kept as a dead letter",
            record.topic,
            record.partition,
            record.offset,
            table,
            detail,
        )
        letter = letter_row(record, InvalidEvent("invalid_value", f"ClickHouse can't store it: {detail}"))
        if letter.table != table:
            block.add(letter, record)

    async def _forget(self) -> None:
        if self._insert is not None and not self._insert.done():
            self._insert.cancel()
            await asyncio.wait({self._insert})
        self._gathered, self._leaving, self._insert = Block(), None, None
        self._taken, self._durable = {}, {}


__all__ = ["STORE_BYTES", "StoreHandler"]
