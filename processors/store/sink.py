"""Where rows go: one interface, ClickHouse behind it, or memory."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple, Protocol, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from upshot.backoff import Backoff
from upshot.processors.store.cluster import EVERYWHERE
from upshot.processors.store.columns import COLUMNS
from upshot.processors.store.connection import connect, first_line
from upshot.processors.store.kinds import MIXED, Pinned
from upshot.processors.store.packed import unpack
from upshot.settings import Settings
from upshot.streams.events.instants import Micros
from upshot.streams.metrics.instruments import Instruments

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
#: Between two lines of the log while ClickHouse is away.
REMINDER = 60.0

#: ClickHouse's codes for a block with unusable content: INCORRECT_DATA and its kin. All others, from a
#: missing table to too many parts, pass once somebody or time has mended them. CANNOT_READ_ALL_DATA (33) is
#: none of them: a full disk and a cut connection raise the same code.
_CONTENT_CODES = frozenset({6, 27, 38, 41, 53, 69, 70, 72, 117, 130, 131, 321, 349, 441})
#: ILLEGAL_COLUMN: the content's fault where raised for a value in MsgPack, the table's fault otherwise.
_ILLEGAL_COLUMN = 44

SCORES = "raw_scores"
_FORMAT = "MsgPack"
#: Rows are idempotent: retries rely on idempotence. Deduplication of blocks would only get in the way: after
#: a crash between a table and its materialized view the retried block would be skipped by both.
_INSERT_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "input_format_null_as_default": 0,
    # Of a cluster, the shards have the rows before they are acknowledged.
    "distributed_foreground_insert": 1,
}


T = TypeVar("T")


class _Refused(Exception):
    """The rows can't be stored, however often they are tried."""


class Rejection(NamedTuple):
    """Row `number` (from 0) can't be stored, however often tried; all other rows are."""

    number: int
    detail: str


class Sink(Protocol):
    """A place for rows."""

    async def write(self, table: str, rows: Sequence[bytes]) -> list[Rejection]:
        """Write rows packed by `packed`. Returns, once every other row is durable, the rejected rows.

        Waits as long as the place is away. Writing a row again changes nothing. May be cancelled at any
        point: rows may then be written or not.
        """

    async def mixed_kinds(self) -> Mapping[str, Pinned]:
        """The names with scores of both kinds, and the kind pinned to each name.

        The pinned kind is the kind of the first score by time of decision. Waits as long as the place is
        away.
        """

    async def close(self) -> None:
        """Let go of connections."""


class ClickHouseSink:
    """Inserts over HTTP; retries until ClickHouse is back."""

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], float] = monotonic,
        instruments: Instruments | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        #: One client for each table and address: inserts into several tables run side by side.
        self._clients: dict[tuple[str, str], Client] = {}
        #: The tables whose inserts fail at present.
        self._failing: set[str] = set()
        self._away_since = self._reminded = 0.0
        #: By table: acknowledged rows, and inserts that failed.
        self.rows: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self._measure(instruments or Instruments())

    def _measure(self, instruments: Instruments) -> None:
        self._durations = instruments.histogram("upshot.store.insert.duration")
        self._sizes = instruments.histogram("upshot.store.insert.size")
        instruments.watch_counts("upshot.store.rows", self.rows, COLUMNS)
        instruments.watch_counts("upshot.store.retries", self.retries, COLUMNS)
        instruments.watch_value(
            "upshot.clickhouse.away", lambda: self._now() - self._away_since if self._failing else 0.0
        )

    async def write(self, table: str, rows: Sequence[bytes]) -> list[Rejection]:
        """See Sink."""
        if not rows:
            return []
        try:
            await self._insert_patiently(table, rows)
        except _Refused as error:
            return [Rejection(0, str(error))] if len(rows) == 1 else await self._bisect(table, rows)
        return []

    async def mixed_kinds(self) -> Mapping[str, Pinned]:
        """See Sink."""
        rows = await self._patiently(
            "score_kinds", lambda: self._client("score_kinds").query(MIXED).result_rows
        )
        return {name: Pinned(kind, at, run_id) for name, kind, at, run_id in rows}

    async def close(self) -> None:
        """See Sink."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await asyncio.to_thread(client.close)

    async def _bisect(self, table: str, rows: Sequence[bytes]) -> list[Rejection]:
        middle = len(rows) // 2
        first = await self.write(table, rows[:middle])
        second = await self.write(table, rows[middle:])
        return [*first, *(Rejection(middle + number, detail) for number, detail in second)]

    async def _insert_patiently(self, table: str, rows: Sequence[bytes]) -> None:
        """Raises _Refused for faulty rows."""
        took = await self._patiently(table, lambda: self._insert(table, rows))
        self.rows[table] += len(rows)
        self._sizes.record(len(rows), table)
        self._durations.record(took, table)

    async def _patiently(self, table: str, work: Callable[[], T]) -> T:
        """The result of `work`, in a thread.

        Raises _Refused for faulty rows; tries again after all other errors.
        """
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                done = await asyncio.to_thread(work)
            except (ClickHouseError, OSError) as error:
                if _is_about_content(error):
                    raise _Refused(first_line(error)) from None
                self._missed(table, error)
            else:
                self._back(table)
                return done
            await asyncio.sleep(backoff.pause())

    def _insert(self, table: str, rows: Sequence[bytes]) -> float:
        """Returns the seconds taken."""
        began = monotonic()
        everywhere = table in EVERYWHERE and self._settings.clickhouse_cluster
        for place in self._settings.shards if everywhere else [self._settings]:
            self._client(table, place).raw_insert(
                table,
                column_names=COLUMNS[table],
                insert_block=b"".join(rows),
                settings=_INSERT_SETTINGS,
                fmt=_FORMAT,
            )
        return monotonic() - began

    def _client(self, table: str, place: Settings | None = None) -> Client:
        place = place or self._settings
        key = table, place.clickhouse_url.get_secret_value()
        if key not in self._clients:
            self._clients[key] = connect(place)
        return self._clients[key]

    def _missed(self, table: str, error: Exception) -> None:
        now = self._now()
        self.retries[table] += 1
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


def _is_about_content(error: Exception) -> bool:
    if not isinstance(error, DatabaseError):
        return False
    return error.code in _CONTENT_CODES or (error.code == _ILLEGAL_COLUMN and _FORMAT in str(error))


class _First(NamedTuple):
    """The first score of a name and kind."""

    decided_at: Micros
    offset: int
    run_id: str
    score_id: str


class MemorySink:
    """Keeps each row once, as `Sink` promises: for tests and dry runs.

    Rejects rows for which `refuses` gives a reason.
    """

    def __init__(self, refuses: Callable[[str, bytes], str] = lambda table, row: "") -> None:
        self._tables: dict[str, dict[bytes, None]] = defaultdict(dict)
        self._refuses = refuses
        #: By name and kind.
        self._kinds: dict[str, dict[str, _First]] = defaultdict(dict)

    def rows(self, table: str) -> list[bytes]:
        """The rows written so far, in the order of their first arrival."""
        return list(self._tables[table])

    async def write(self, table: str, rows: Sequence[bytes]) -> list[Rejection]:
        """See Sink."""
        rejected = []
        for number, row in enumerate(rows):
            if detail := self._refuses(table, row):
                rejected.append(Rejection(number, detail))
            else:
                self._tables[table][row] = None
                if table == SCORES:
                    self._note(row)
        return rejected

    async def mixed_kinds(self) -> Mapping[str, Pinned]:
        """See Sink."""
        return {
            name: Pinned(kind, first.decided_at, first.run_id)
            for name, kinds in self._kinds.items()
            for first, kind in [min((first, kind) for kind, first in kinds.items())]
            if len(kinds) > 1
        }

    def _note(self, row: bytes) -> None:
        score = dict(zip(COLUMNS[SCORES], unpack(row, SCORES), strict=True))
        if kind := score["kind"]:
            came = _First(score["decided_at"], score["offset"], score["run_id"], score["score_id"])
            kinds = self._kinds[score["name"]]
            kinds[kind] = min(came, kinds.get(kind, came))

    async def close(self) -> None:
        """See Sink."""


__all__ = ["ClickHouseSink", "MemorySink", "Rejection", "Sink"]
