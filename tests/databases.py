"""Databases for single tests, used again while a test leaves their definitions as they were made.

To migrate a database takes a second or two of two cores, to empty it a tenth of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit
from uuid import uuid4

from clickhouse_connect.driver.client import Client

from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.connection import connect
from upshot.settings import Settings

_DEFINITIONS = """
SELECT name, create_table_query FROM system.tables
WHERE database = currentDatabase() ORDER BY name"""
_WITH_ROWS = """
SELECT name FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND total_rows > 0"""
#: By table with rows of a database that was just made: what tells that a test has changed them.
_OWN = {
    "migrations": "SELECT number, name FROM migrations ORDER BY number, name",
    "raw_backfill": "SELECT work, countIf(done), count() FROM raw_backfill FINAL GROUP BY work ORDER BY work",
}


def settings_for(server: ClickHouseServer, database: str, **changed: object) -> Settings:
    """The settings of a database on a server."""
    url = urlsplit(server.url)._replace(path=f"/{database}").geturl()
    return Settings.model_validate({"clickhouse_url": url, **changed})


def drop(settings: Settings) -> None:
    """Drop a database, if it is there."""
    client = connect(settings, database=False)
    client.command(f"DROP DATABASE IF EXISTS {settings.clickhouse.database} SYNC")
    client.close()


class Databases:
    """Databases of one kind: `make` makes one under the name that its settings give."""

    def __init__(self, server: ClickHouseServer, make: Callable[[Settings], object]) -> None:
        self._server = server
        self._make = make
        self._idle: list[Settings] = []
        self._as_made = ""

    def take(self) -> Settings:
        """A database as it was made, without rows of events."""
        if self._idle:
            return self._idle.pop()
        settings = settings_for(self._server, f"upshot_{uuid4().hex}")
        self._make(settings)
        client = connect(settings)
        self._as_made = self._as_made or _state(client)
        client.close()
        return settings

    def give_back(self, settings: Settings) -> None:
        """Empty it for the next test; drop one that a test has altered."""
        client = connect(settings)
        try:
            client.command("SYSTEM START MERGES")
            if _state(client) == self._as_made:
                for (table,) in client.query(_WITH_ROWS).result_rows:
                    if table not in _OWN:
                        client.command(f"TRUNCATE TABLE {table}")
                self._idle.append(settings)
                return
        finally:
            client.close()
        drop(settings)


def _state(client: Client) -> str:
    """All that a test may change of a database but rows of events."""
    rows = [client.query(_DEFINITIONS).result_rows, *(client.query(sql).result_rows for sql in _OWN.values())]
    return re.sub(r"upshot_[0-9a-f]{32}", "", repr(rows))


__all__ = ["Databases", "drop", "settings_for"]
