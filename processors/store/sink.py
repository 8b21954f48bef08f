"""Where rows go: one interface, ClickHouse behind it, or memory."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple, Protocol

from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, DataError

from upshot.processors.store.columns import COLUMNS
from upshot.processors.store.connection import connect, first_line
from upshot.processors.store.values import Values
from upshot.settings import Settings

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
#: Between two lines of the log while ClickHouse is away.
REMINDER = 60.0

#: ClickHouse's codes for a block whose content it can't take: INCORRECT_DATA and its kin. All others, from
#: a missing table to too many parts, pass once somebody or time has mended them.
_CONTENT_CODES = frozenset({6, 27, 33, 38, 41, 53, 69, 70, 72, 117, 130, 131, 321, 349, 441})
_CONTENT_ERRORS = (DataError, ValueError, TypeError, AttributeError, OverflowError, struct.error)

#: Rows are idempotent, which is what a retry relies on. Deduplication of blocks would only get in the way:
#: after a crash between a table and its materialized view the retried block would be skipped by both.
_INSERT_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0}


class Rejection(NamedTuple):
    """Row `number` (from 0) can't be stored, whatever is tried; all others are."""

    number: int
    detail: str


class Sink(Protocol):
    """A place for rows."""

    async def write(self, table: str, rows: Sequence[Values]) -> list[Rejection]:
        """Returns once every row is durable, but for those that are returned as rejected.

        Waits as long as the place is away. Writing a row again changes nothing. May be cancelled at any
        point: rows may then be written or not.
        """

    async def close(self) -> None:
        """Let go of connections."""


class ClickHouseSink:
    """Inserts in columns over ClickHouse's native format; retries until it's back."""

    def __init__(self, settings: Settings, now: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._now = now
        #: One for each table: inserts into several run side by side.
        self._clients: dict[str, Client] = {}
        self._types: dict[str, list[ClickHouseType]] = {}
        #: The tables whose inserts fail at present.
        self._failing: set[str] = set()
        self._away_since = self._reminded = 0.0

    async def write(self, table: str, rows: Sequence[Values]) -> list[Rejection]:
        """See Sink."""
        if not rows:
            return []
        try:
            await self._insert_patiently(table, rows)
        except _CONTENT_ERRORS as error:
            return [Rejection(0, str(error))] if len(rows) == 1 else await self._bisect(table, rows)
        return []

    async def close(self) -> None:
        """See Sink."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await asyncio.to_thread(client.close)

    async def _bisect(self, table: str, rows: Sequence[Values]) -> list[Rejection]:
        middle = len(rows) // 2
        first = await self.write(table, rows[:middle])
        second = await self.write(table, rows[middle:])
        return [*first, *(Rejection(middle + number, detail) for number, detail in second)]

    async def _insert_patiently(self, table: str, rows: Sequence[Values]) -> None:
        """Raises one of _CONTENT_ERRORS where it's the rows' fault; tries again for all else."""
        pause = FIRST_PAUSE
        while True:
            try:
                await asyncio.to_thread(self._insert, table, rows)
            except (ClickHouseError, OSError) as error:
                if isinstance(error, DataError):
                    raise
                if isinstance(error, DatabaseError) and error.code in _CONTENT_CODES:
                    raise ValueError(first_line(error)) from None
                self._missed(table, error)
            else:
                self._back(table)
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _insert(self, table: str, rows: Sequence[Values]) -> None:
        if table not in self._clients:
            self._clients[table] = connect(self._settings)
        client = self._clients[table]
        if table not in self._types:
            self._types[table] = self._types_of(client, table)
        client.insert(
            table,
            list(zip(*rows, strict=True)),
            column_names=COLUMNS[table],
            column_types=self._types[table],
            column_oriented=True,
            settings=_INSERT_SETTINGS,
        )

    def _types_of(self, client: Client, table: str) -> list[ClickHouseType]:
        context = client.create_insert_context(table, column_names=COLUMNS[table])
        return list(context.column_types)

    def _missed(self, table: str, error: Exception) -> None:
        now = self._now()
        if not self._failing:
            self._away_since = self._reminded = now
            log.warning(
                "ClickHouse takes no rows: %s. Nothing is lost, Kafka keeps all; trying again",
                first_line(error),
            )
        elif now - self._reminded >= REMINDER:
            self._reminded = now
            log.warning(
                "ClickHouse takes no rows since %.0f s: %s. Nothing is lost; trying again",
                now - self._away_since,
                first_line(error),
            )
        self._failing.add(table)

    def _back(self, table: str) -> None:
        if table in self._failing:
            self._failing.remove(table)
            if not self._failing:
                log.info("ClickHouse takes rows again, after %.1f s", self._now() - self._away_since)


class MemorySink:
    """Keeps each row once: what `Sink` promises, for tests and dry runs. Rejects what `refuses` gives a reason for."""

    def __init__(self, refuses: Callable[[str, Values], str] = lambda table, values: "") -> None:
        self._tables: dict[str, dict[str, Values]] = defaultdict(dict)
        self._refuses = refuses

    def rows(self, table: str) -> list[Values]:
        """What was written so far, in the order in which it first came."""
        return list(self._tables[table].values())

    async def write(self, table: str, rows: Sequence[Values]) -> list[Rejection]:
        """See Sink."""
        rejected = []
        for number, values in enumerate(rows):
            if detail := self._refuses(table, values):
                rejected.append(Rejection(number, detail))
            else:
                self._tables[table][repr(values)] = values
        return rejected

    async def close(self) -> None:
        """See Sink."""


__all__ = ["ClickHouseSink", "MemorySink", "Rejection", "Sink"]
