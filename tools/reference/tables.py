"""The page on ClickHouse's tables, read from the real engine after all migrations."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from tools.reference.markdown import page, table
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings

START_WITHIN = 60.0

#: Where a view's columns come from, unless from the storage table of its own name.
_BASES = {
    "current_followups": "raw_followups",
    "current_scores": "raw_latest_by_kind",
    "pending": "raw_waits",
    "unmatched_outcomes": "raw_outcomes",
}
#: The meaning of a view's column where the meaning differs from storage, for all views or for one.
_MEANINGS = {
    "agent": "The run's agent; empty where nobody said it",
    "version": "The agent's version; empty where unknown",
    "status": "Where the run stands: running, completed, failed or cancelled; empty where unknown",
    "origin": "live, or replay for what stays out of production statistics",
    "session_id": "The session that the run belongs to; empty where unknown",
    "attributes": "Free facts; what is no string as JSON",
    "current_scores.value": "The number; booleans are 0 and 1",
    "current_scores.kind": "number or boolean",
    "current_scores.attributes": "The wait's or score's attributes, overlaid with the run's",
    "pending.attributes": "The wait's attributes, overlaid with the run's",
    "run_known": "Whether anything is known of the run yet",
    "run_started_at": "When the run started; NULL where unknown",
    "overdue": "Whether the deadline has passed without a judgement",
    "steps.status": "running, ok, error or cancelled",
    "uncached_input_tokens": "input_tokens without the cached ones",
}

_INTRO = """The database is the one in the setting `UPSHOT_CLICKHOUSE_URL`, `upshot` by default. Read
these views: each shows every fact once, whatever happened on the way, and is part of the contract. The
storage behind them (at the end) is not. [sql.md](../sql.md) has queries to start from."""

_TABLES = """
SELECT name, comment, engine, sorting_key FROM system.tables
WHERE database = currentDatabase() AND name NOT LIKE '.inner%' ORDER BY name
"""
_COLUMNS = """
SELECT table, name, type, comment FROM system.columns
WHERE database = currentDatabase() ORDER BY table, position
"""


class Column(NamedTuple):
    """A column of `table`."""

    table: str
    name: str
    type: str
    comment: str


def tables_page() -> str:
    """The page. Starts a ClickHouse of its own; raises PartFailed where the start fails."""
    with TemporaryDirectory() as folder:
        server = ClickHouseServer(Path(folder))
        server.start()
        try:
            server.wait_ready(START_WITHIN)
            settings = Settings.model_validate({"clickhouse_url": server.url})
            migrate(settings)
            client = connect(settings)
            try:
                return _page(client)
            finally:
                client.close()
        finally:
            server.stop()


def _page(client: Client) -> str:
    columns = [Column(*row) for row in client.query(_COLUMNS).result_rows]
    tables = client.query(_TABLES).result_rows
    views = [
        f"## {name}\n\n{comment}.\n\n{_columns_of(name, columns)}"
        for name, comment, engine, _ in tables
        if engine == "View"
    ]
    storage = table(
        ("table", "engine", "one row for each", "what it holds"),
        (
            (f"`{name}`", engine, f"`{key}`" if key else "", comment)
            for name, comment, engine, key in tables
            if not engine.endswith("View")
        ),
    )
    return page("Tables", _INTRO, *views, f"## Storage\n\n{storage}")


def _columns_of(view: str, columns: list[Column]) -> str:
    base = _BASES.get(view, f"raw_{view}")
    stored = {column.name: column.comment for column in columns if column.table == base}
    return table(
        ("column", "type", "meaning"),
        (
            (f"`{column.name}`", f"`{column.type}`", column.comment or _meaning(column, stored))
            for column in columns
            if column.table == view
        ),
    )


def _meaning(column: Column, stored: dict[str, str]) -> str:
    own = _MEANINGS.get(f"{column.table}.{column.name}") or _MEANINGS.get(column.name)
    return own or stored.get(column.name, "")


__all__ = ["tables_page"]
