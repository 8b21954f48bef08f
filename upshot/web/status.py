"""The page's data: components, counts, scores and dead letters, queried at most once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from upshot.errors import UpshotError
from upshot.insights.limits import QueryLimits
from upshot.insights.named_queries import NAMED_QUERIES
from upshot.insights.pages.home import LATEST_SCORES, STATUS_COUNTS
from upshot.insights.pages.query import PageQuery, Row
from upshot.insights.reader import QueryResult, Reader
from upshot.ops.health import Health, Looks
from upshot.settings import Settings
from upshot.web.figures import WorkerFigures
from upshot.web.past import PartsPast
from upshot.web.remembered import Remembered

#: Seconds for which an answer is reused, so that many readers cost no more than one.
_FRESH = 1.0
#: Seconds between two looks where nobody asks.
_EVERY = 5.0
#: Seconds that a page waits for a look which is on its way, where there was one before.
_PATIENCE = 1.0
#: Seconds that a query may take: the page would rather say that it's slow than wait.
_LONGEST = 10.0

#: Rows of a table on the page: the rows with the largest weight.
_SHOWN = 50
#: Scores that were decided last on the page.
_LATEST = 12


@dataclass(frozen=True)
class StatusTable:
    """The rows on the page, and the number of further rows."""

    rows: Sequence[Row] = ()
    more: int = 0


@dataclass(frozen=True)
class Status:
    """All data of one moment. `trouble` gives the reason where figures are missing."""

    at: datetime
    health: Health
    counts: Mapping[str, int] = field(default_factory=dict)
    agents: StatusTable = StatusTable()
    latest: Sequence[Row] = ()
    dead: StatusTable = StatusTable()
    trouble: str = ""
    #: Seconds since the counts were asked for.
    age: float = 0.0
    #: Each role's present activity, where its workers have metrics.
    figures: Mapping[str, Sequence[str]] = field(default_factory=dict)
    #: The records that each worker was behind, over the last half hour.
    lags: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: The records a second that each worker read, over the last half hour.
    rates: Mapping[str, Sequence[float]] = field(default_factory=dict)
    #: Since when each part that isn't well has not been well.
    since: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever sent."""
        return not self.trouble and not any(self.counts.values())


class Watch:
    """Asks the parts, and remembers the answer for a second."""

    def __init__(self, settings: Settings) -> None:
        self._reader = Reader(settings, limits=QueryLimits(seconds=_LONGEST))
        self.remembered = Remembered(self._answered)
        self._looks = Looks(settings, self._reader)
        self._figures = WorkerFigures(settings.data_dir)
        self._look_turn, self._status_turn = asyncio.Lock(), asyncio.Lock()
        self._status: Status | None = None
        self._health: Health | None = None
        self._status_at = self._health_at = -_FRESH
        self._past = PartsPast()
        self._looking: set[asyncio.Task[Health]] = set()

    async def health(self) -> Health:
        """Whether each part answers."""
        async with self._look_turn:
            if self._health is None or monotonic() - self._health_at >= _FRESH:
                self._health = await self._looks.look()
                self._health_at = monotonic()
                self._past.note(self._health, datetime.now(UTC), self._health_at)
            return self._health

    async def soon(self) -> Health:
        """Whether each part answers, by the look before where a part lets this one wait."""
        look = asyncio.create_task(self.health())
        self._looking.add(look)
        look.add_done_callback(self._looking.discard)
        await asyncio.wait({look}, timeout=_PATIENCE)
        return self._health if self._health is not None and not look.done() else await look

    @property
    def since(self) -> Mapping[str, datetime]:
        """Since when each part that isn't well has not been well."""
        return self._past.since

    async def keep_looking(self) -> None:
        """Look now and then, also while nobody asks: who stands still shows from one look to the next."""
        while True:
            await self.health()
            await asyncio.sleep(_EVERY)

    async def status(self) -> Status:
        """The page's data, queried at most once a second."""
        async with self._status_turn:
            if self._status is None or monotonic() - self._status_at >= _FRESH:
                self._status = await self._ask()
                self._status_at = monotonic()
            return self._status

    async def _ask(self) -> Status:
        health, figures, found = await asyncio.gather(
            self.soon(), asyncio.to_thread(self._figures.by_role), self._stored()
        )
        past = self._past
        status = Status(
            datetime.now(UTC), health, figures=figures, lags=past.lags, rates=past.rates, since=past.since
        )
        if not health.of("clickhouse").ok:
            return replace(status, trouble=health.of("clickhouse").detail)
        return replace(status, **found)

    async def _stored(self) -> dict[str, Any]:
        """What ClickHouse has, by the names of the fields: all at once, or the trouble."""
        answer = self.remembered.answer
        try:
            counts, agents, latest, dead = await asyncio.gather(
                answer(STATUS_COUNTS),
                answer(BY_AGENT),
                asyncio.to_thread(LATEST_SCORES.first, self._reader, _LATEST),
                answer(DEAD_BY_REASON),
            )
        except UpshotError as error:
            return {"trouble": str(error)}
        return {
            "counts": {name: int(count) for name, count in counts.answer[0].items()},
            "agents": _table(agents.answer, key=lambda row: row["name"]),
            "latest": latest.rows,
            "dead": _table(dead.answer),
            "age": monotonic() - min(found.asked_at for found in (counts, agents, dead)),
        }

    async def _answered(self, query: PageQuery) -> QueryResult:
        return await asyncio.to_thread(self._reader.query, query.sql, query.parameters)


def _most(query_name: str, weight: str) -> PageQuery:
    """The rows of a named query with the largest `weight`, each with the number `of` all."""
    asked = NAMED_QUERIES[query_name]
    sql = f"SELECT *, count() OVER () AS of FROM ({asked.sql}) ORDER BY {weight} DESC LIMIT {_SHOWN}"
    return PageQuery(sql, asked.parameters)


BY_AGENT = _most("scores-by-agent", "scored + pending")
DEAD_BY_REASON = _most("dead-letters-by-reason", "letters")


def _table(rows: Sequence[Row], key: Callable[[Row], Any] = lambda row: 0) -> StatusTable:
    """The rows that `_most` has, in the order of `key`."""
    return StatusTable(sorted(rows, key=key), int(rows[0]["of"]) - len(rows) if rows else 0)


__all__ = ["BY_AGENT", "DEAD_BY_REASON", "Status", "StatusTable", "Watch"]
