"""What the page shows: the parts, counts, scores and dead letters, asked for at most once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from upshot.errors import UpshotError
from upshot.settings import Settings
from upshot.web.health import Health, look
from upshot.web.tables import Row, Tables

#: Seconds that an answer is good for, so that many readers cost no more than one.
_FRESH = 1.0

_QUERIES: Mapping[str, str] = {
    "counts": """
        SELECT
            (SELECT count() FROM runs) AS runs,
            (SELECT count() FROM pending) AS waits_open,
            (SELECT count() FROM outcomes) AS outcomes,
            (SELECT count() FROM current_scores) AS scores,
            (SELECT count() FROM dead_letters) AS dead_letters,
            (SELECT count() FROM pending WHERE overdue) AS overdue
    """,
    "agents": """
        SELECT
            name, agent, sum(is_score) AS scored, sum(is_wait) AS pending,
            if(scored = 0, NULL, sum(value) / scored) AS mean, max(kind) AS kind
        FROM
        (
            SELECT name, agent, value, toString(kind) AS kind, 1 AS is_score, 0 AS is_wait FROM current_scores
            UNION ALL
            SELECT name, agent, 0, '', 0, 1 FROM pending
        )
        GROUP BY name, agent
        ORDER BY name, scored DESC, agent
        LIMIT 100
    """,
    "latest": """
        SELECT toUnixTimestamp64Micro(decided_at) AS decided, run_id, agent, name, value, kind, reason, subject, late
        FROM current_scores
        ORDER BY decided_at DESC, score_id
        LIMIT 12
    """,
    "dead": """
        SELECT
            reason, count() AS letters, toUnixTimestamp64Micro(max(recorded_at)) AS last,
            argMax(detail, recorded_at) AS example, argMax(topic, recorded_at) AS topic
        FROM dead_letters
        GROUP BY reason
        ORDER BY letters DESC, reason
        LIMIT 20
    """,
}


@dataclass(frozen=True)
class Status:
    """Everything at one moment. `trouble` says why there are no figures, where there are none."""

    at: datetime
    health: Health
    counts: Row = field(default_factory=dict)
    agents: Sequence[Row] = ()
    latest: Sequence[Row] = ()
    dead: Sequence[Row] = ()
    trouble: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever sent."""
        return not self.trouble and not any(self.counts.values())


class Watch:
    """Asks the parts, and remembers the answer for a second."""

    def __init__(self, settings: Settings, tables: Tables) -> None:
        self._settings = settings
        self._tables = tables
        self._turn = asyncio.Lock()
        self._status: Status | None = None
        self._health: Health | None = None
        self._status_at = self._health_at = -_FRESH

    async def health(self) -> Health:
        """Whether each part answers."""
        async with self._turn:
            if self._health is None or monotonic() - self._health_at >= _FRESH:
                self._health = await look(self._settings, self._tables)
                self._health_at = monotonic()
            return self._health

    async def status(self) -> Status:
        """What the page shows."""
        health = await self.health()
        async with self._turn:
            if self._status is None or monotonic() - self._status_at >= _FRESH:
                self._status = await self._ask(health)
                self._status_at = monotonic()
            return self._status

    async def _ask(self, health: Health) -> Status:
        now = datetime.now(UTC)
        if not health.of("clickhouse").ok:
            return Status(now, health, trouble=health.of("clickhouse").detail)
        try:
            answers = await asyncio.gather(*(self._tables.rows(sql) for sql in _QUERIES.values()))
        except UpshotError as error:
            return Status(now, health, trouble=str(error))
        found = dict(zip(_QUERIES, answers, strict=True))
        return Status(now, health, found["counts"][0], found["agents"], found["latest"], found["dead"])


__all__ = ["Status", "Watch"]
