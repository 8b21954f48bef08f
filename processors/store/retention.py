"""How long ClickHouse keeps facts and rows: a TTL for each table, from the settings.

Nothing is removed that an open wait or an unfinished follow-up still needs: the TTLs are longer then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from upshot.processors.store.cluster import spread
from upshot.processors.store.connection import connect
from upshot.settings import Settings

#: Kept for ever: registries; cancellations, without which a wait would be open again; notes of the owners.
_FOR_EVER = frozenset(
    {"raw_experiments", "raw_alert_rules", "raw_cancellations", "raw_claims", "raw_backfill"}
)
#: Columns of rows for reading whose key they are part of, so that all versions of a row go together.
_OF_ROWS = ("started_at", "exposed_at", "deadline")
#: Columns of facts, the first that a table has.
_OF_FACTS = ("recorded_at", "at", "first_at")
#: A TTL ends in 2106: instants after this one, and longer retentions, count as these.
_LAST, _LONGEST = "toDateTime64('2070-01-01 00:00:00', 6, 'UTC')", 13_000
#: Days that open waits and unfinished follow-ups need: from the oldest fact about their runs to the last
#: deadline.
_NEEDED = """
SELECT greatest
(
    (
        SELECT if(count() = 0, 0, dateDiff('day', least(min(opened_at), (
            SELECT min(recorded_at) FROM raw_runs WHERE run_id IN (SELECT run_id FROM pending))),
            greatest(max(deadline), now64(6))))
        FROM pending
    ),
    (
        SELECT if(count() = 0, 0, dateDiff('day', min(deferred_at), now64(6)))
        FROM current_followups WHERE status NOT IN ('done', 'withdrawn')
    )
)"""
_TABLES = """
SELECT name, sorting_key, create_table_query
FROM system.tables
WHERE database = currentDatabase() AND name LIKE 'raw\\_%' AND engine LIKE '%MergeTree'"""
_COLUMNS = (
    "SELECT table, groupArray(name) FROM system.columns WHERE database = currentDatabase() GROUP BY table"
)


class _Table(NamedTuple):
    name: str
    key: Sequence[str]
    definition: str
    columns: Sequence[str]

    def expiry(self, days: int) -> str:
        """The TTL; empty for a table that is kept for ever."""
        if self.name in _FOR_EVER:
            return ""
        if "gone" in self.columns:
            column = next((name for name in _OF_ROWS if name in self.key), "")
            # Without a known start a row stays; so does what takes rows away.
            where = f" DELETE WHERE gone = 0 AND {column} > toDateTime64(86400, 6, 'UTC')"
        else:
            column, where = next((name for name in _OF_FACTS if name in self.columns), ""), ""
        if not column:
            return ""
        until = f"greatest({column}, deadline)" if self.name.startswith("raw_waits") else column
        return f"toDateTime(least({until}, {_LAST})) + INTERVAL {days} DAY{where}"


def apply_retention(settings: Settings) -> int | None:
    """Set the tables' TTLs as the settings say; returns the days, None for ever. Changes only what differs.

    Rows older than that are removed in the background. Raises clickhouse-connect's errors.
    """
    longest = None
    for shard in settings.shards:
        with closing(connect(shard)) as client:
            days = _days(client, settings)
            for table in _tables(client):
                expiry = table.expiry(days) if days else ""
                if expiry and f"toIntervalDay({days})" not in table.definition:
                    client.command(spread(shard, f"ALTER TABLE {table.name} MODIFY TTL {expiry}"))
                elif not expiry and " TTL " in table.definition:
                    client.command(spread(shard, f"ALTER TABLE {table.name} REMOVE TTL"))
            longest = max(days, longest or 0) if days else None
    return longest


def _days(client: Client, settings: Settings) -> int:
    """The days of the settings, or as many as pending work needs; 0: for ever."""
    if settings.retention is None:
        return 0
    needed = int(str(client.command(_NEEDED)))
    pending = needed + settings.settled_retention.days if needed else 0
    return min(_LONGEST, max(settings.retention.days, pending))


def _tables(client: Client) -> list[_Table]:
    columns = {table: names for table, names in client.query(_COLUMNS).result_rows}
    return [
        _Table(name, key.split(", "), definition, columns[name])
        for name, key, definition in client.query(_TABLES).result_rows
    ]


__all__ = ["apply_retention"]
