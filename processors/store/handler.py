"""The agent of the store: records in, rows gathered and inserted, dead letters out."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import assert_never

from upshot.errors import InvalidEvent
from upshot.processors.store.columns import COLUMNS
from upshot.processors.store.rows import STORED, Refused, Row, Skipped, letter_row, row_of
from upshot.processors.store.sink import Sink
from upshot.processors.store.values import Values
from upshot.settings import Settings
from upshot.streams.batch import TP, Effects
from upshot.streams.codec import Record
from upshot.streams.dead_letters import dead_letter

log = logging.getLogger(__name__)

#: Bytes of records that one insert gathers at the most: long texts are bounded by it, not by rows.
STORE_BYTES = 32 * 1024 * 1024
LETTERS = "raw_dead_letters"


class StoreHandler:
    """Reads every stored topic and inserts one block per table and `store_interval`.

    What it took is durable once `flush` returns. `counts` tells what happened how often since the start:
    `rows`, `dead_lettered` (by the store), `skipped` (by the join), `rejected` (by ClickHouse).
    """

    def __init__(self, settings: Settings, sink: Sink, now: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._sink = sink
        self._now = now
        self._names = {settings.topic(name): name for name in STORED}
        self.counts: Counter[str] = Counter()
        self._forget()

    @property
    def topics(self) -> Sequence[str]:
        """What it reads."""
        return list(self._names)

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Start with nothing: what was gathered before is read again, or is somebody else's."""
        self._forget()

    async def revoked(self, tps: frozenset[TP]) -> None:
        """What was gathered is inserted and committed, or read again."""
        self._forget()

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Gather the rows; insert them when there are enough."""
        effects = Effects()
        for tp, records in batches.items():
            topic = self._names[tp.topic]
            for record in records:
                self._take(topic, record, effects)
        if self._due():
            await self.flush()
        return effects

    async def tick(self) -> Effects:
        """Insert what has waited long enough."""
        if self._due():
            await self.flush()
        return Effects()

    async def flush(self) -> None:
        """Insert all that was gathered. Waits as long as ClickHouse is away."""
        await asyncio.gather(*(self._insert(table) for table in COLUMNS if table != LETTERS))
        await self._insert(LETTERS)  # last: what ClickHouse rejected is among them
        self._forget()

    def _take(self, topic: str, record: Record, effects: Effects) -> None:
        match row_of(topic, record):
            case Row() as row:
                self._gather(row, record)
            case Refused(error):
                self.counts["dead_lettered"] += 1
                effects.outputs.append(dead_letter(self._settings, record, error))
            case Skipped():
                self.counts["skipped"] += 1
            case other:
                assert_never(other)

    def _gather(self, row: Row, record: Record) -> None:
        if not self._rows:
            self._since = self._now()
        values, records = self._gathered.setdefault(row.table, ([], []))
        values.append(row.values)
        records.append(record)
        self._rows += 1
        self._bytes += len(record.value or b"")

    def _due(self) -> bool:
        full = self._rows >= self._settings.store_rows or self._bytes >= STORE_BYTES
        return full or (self._rows > 0 and self._now() - self._since >= self._settings.store_interval)

    async def _insert(self, table: str) -> None:
        if table not in self._gathered:
            return
        values, records = self._gathered[table]
        rejections = await self._sink.write(table, values)
        for rejection in rejections:
            self._reject(table, records[rejection.number], rejection.detail)
        self.counts["rows"] += len(values) - len(rejections)
        del self._gathered[table]

    def _reject(self, table: str, record: Record, detail: str) -> None:
        """Kept as a row, not as a record: it must be durable before the offsets are committed."""
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
            self._gather(letter, record)

    def _forget(self) -> None:
        self._gathered: dict[str, tuple[list[Values], list[Record]]] = {}
        self._rows = self._bytes = 0
        self._since = 0.0


__all__ = ["STORE_BYTES", "StoreHandler"]
