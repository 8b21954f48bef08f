"""The page's data: components, counts, scores and dead letters, queried at most once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from upshot.errors import UpshotError
from upshot.insights.questions import QUESTIONS
from upshot.insights.reader import Reader
from upshot.ops.health import Health, Looks
from upshot.settings import Settings
from upshot.web.figures import WorkerFigures

#: Seconds for which an answer is reused, so that many readers cost no more than one.
_FRESH = 1.0
#: Seconds between two looks where nobody asks.
_EVERY = 5.0
#: Seconds that a query may take: the page would rather say that it's slow than wait.
_LONGEST = 10.0

_COUNTS = """
SELECT
    (SELECT count() FROM runs) AS runs,
    (SELECT count() FROM pending) + (SELECT count() FROM pending_followups) AS waits_open,
    (SELECT count() FROM outcomes) AS outcomes,
    (SELECT count() FROM current_scores) AS scores,
    (SELECT count() FROM dead_letters) AS dead_letters,
    (SELECT count() FROM pending WHERE overdue) AS overdue
"""

#: Rows of a table on the page: the rows with the largest weight.
_SHOWN = 50

Row = dict[str, Any]


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
    #: Each role's present activity, where its workers have metrics.
    figures: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever sent."""
        return not self.trouble and not any(self.counts.values())


class Watch:
    """Asks the parts, and remembers the answer for a second."""

    def __init__(self, settings: Settings) -> None:
        self._reader = Reader(settings, timeout=_LONGEST)
        self._looks = Looks(settings, self._reader)
        self._figures = WorkerFigures(settings.data_dir)
        self._turn = asyncio.Lock()
        self._status: Status | None = None
        self._health: Health | None = None
        self._status_at = self._health_at = -_FRESH

    async def health(self) -> Health:
        """Whether each part answers."""
        async with self._turn:
            if self._health is None or monotonic() - self._health_at >= _FRESH:
                self._health = await self._looks.look()
                self._health_at = monotonic()
            return self._health

    async def keep_looking(self) -> None:
        """Look now and then, also while nobody asks: who stands still shows from one look to the next."""
        while True:
            await self.health()
            await asyncio.sleep(_EVERY)

    async def status(self) -> Status:
        """The page's data, queried at most once a second."""
        health = await self.health()
        async with self._turn:
            if self._status is None or monotonic() - self._status_at >= _FRESH:
                self._status = await asyncio.to_thread(self._ask, health)
                self._status_at = monotonic()
            return self._status

    def _ask(self, health: Health) -> Status:
        now, figures = datetime.now(UTC), self._figures.by_role()
        if not health.of("clickhouse").ok:
            return Status(now, health, trouble=health.of("clickhouse").detail, figures=figures)
        try:
            [counts] = self._reader.query(_COUNTS).objects()
            return Status(
                now,
                health,
                {name: int(count) for name, count in counts.items()},
                self._most("scores-by-agent", "scored + pending", key=lambda row: row["name"]),
                self._reader.ask(QUESTIONS["latest-scores"], {"limit": 12}).objects(),
                self._most("dead-letters-by-reason", "letters"),
                figures=figures,
            )
        except UpshotError as error:
            return Status(now, health, trouble=str(error), figures=figures)

    def _most(self, query_name: str, weight: str, key: Callable[[Row], Any] = lambda row: 0) -> StatusTable:
        """The rows of a named query with the largest `weight`, the largest first, but for `key`."""
        asked = QUESTIONS[query_name]
        sql = f"SELECT *, count() OVER () AS of FROM ({asked.sql}) ORDER BY {weight} DESC LIMIT {_SHOWN}"
        rows = self._reader.query(sql, asked.parameters).objects()
        more = int(rows[0]["of"]) - len(rows) if rows else 0
        return StatusTable(sorted(rows, key=key), more)


__all__ = ["Status", "StatusTable", "Watch"]
