"""Numbered migrations: the database gets every file of `schemas/migrations`, in order, once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

from upshot.errors import ClickHouseUnavailable, ConfigurationError, QueryFailed
from upshot.processors.store.connection import connect, first_line
from upshot.settings import Settings

_FILE_NAME = re.compile(r"^(\d{4})_(\w+)\.sql")
_LEDGER = """
CREATE TABLE IF NOT EXISTS migrations
(
    number UInt32 COMMENT 'The number of the file',
    name String COMMENT 'Its name',
    checksum String COMMENT 'SHA-256 of its content',
    applied_at DateTime64(6, 'UTC') COMMENT 'When it was applied'
)
ENGINE = ReplacingMergeTree
ORDER BY (number, checksum)
COMMENT 'Which migrations this database has'
"""


class Migration(NamedTuple):
    """One file. Its statements can be run again, also by two processes at once, with the same result."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The checksum revealing an edit."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """Its statements. Each ends with a semicolon at the end of a line."""
        without_comments = re.sub(r"^[ \t]*--.*\n?", "", self.sql, flags=re.MULTILINE)
        parts = re.split(r";[ \t]*(?:\n|$)", without_comments)
        return [part.strip() for part in parts if part.strip()]


class Progress(NamedTuple):
    """`done` of `total` migrations are applied; `name` is the next migration, or the last."""

    done: int
    total: int
    name: str


def migrations() -> list[Migration]:
    """All migrations of this release, in order. Raises ConfigurationError for missing or double numbers."""
    folder = resources.files("upshot.schemas") / "migrations"
    found = []
    for file in folder.iterdir():
        if match := _FILE_NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    found.sort()
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ConfigurationError("the migrations are not numbered 1, 2, 3 …: nothing was applied")
    return found


def migrate(
    settings: Settings,
    progress: Callable[[Progress], None] = lambda progress: None,
    *,
    known: Sequence[Migration] | None = None,
) -> list[Migration]:
    """Bring the database to this release, creating an absent database; returns the migrations applied now.

    Safe to run again and by several processes at once. Raises ConfigurationError where the database is newer
    than this release or a migration was edited after being applied (nothing is changed then),
    ClickHouseUnavailable, or QueryFailed where a statement fails (the next run starts with its migration).
    """
    known = migrations() if known is None else known
    try:
        client = _database(settings)
        try:
            todo = _missing(client, known)
            for done, migration in enumerate(todo):
                progress(Progress(done, len(todo), migration.name))
                _apply(client, migration)
            if todo:
                progress(Progress(len(todo), len(todo), todo[-1].name))
            return todo
        finally:
            client.close()
    except OperationalError as error:
        address = settings.clickhouse
        raise ClickHouseUnavailable(
            f"ClickHouse does not answer at {address.host}:{address.port} ({first_line(error)}): "
            "no migration was applied; start it (`upshot up`) or set UPSHOT_CLICKHOUSE_URL"
        ) from error
    except ClickHouseError as error:
        raise QueryFailed(
            f"a migration failed: {first_line(error)}; mend that and run `upshot migrate` again"
        ) from error


def _database(settings: Settings) -> Client:
    name = settings.clickhouse.database.replace("`", "")
    client = connect(settings, database=False)
    try:
        client.command(f"CREATE DATABASE IF NOT EXISTS `{name}`")
    finally:
        client.close()
    return connect(settings)


def _missing(client: Client, known: Sequence[Migration]) -> list[Migration]:
    client.command(_LEDGER)
    applied = {
        (number, checksum)
        for number, checksum in client.query("SELECT DISTINCT number, checksum FROM migrations").result_rows
    }
    numbers = {number for number, _ in applied}
    newer = numbers - {migration.number for migration in known}
    if newer:
        raise ConfigurationError(
            f"the database has migration {max(newer)}, this release knows {len(known)}: it is older than "
            "the database and would write wrong rows; nothing was changed, install the newer release"
        )
    for migration in known:
        if migration.number in numbers and (migration.number, migration.checksum) not in applied:
            raise ConfigurationError(
                f"migration {migration.number} ({migration.name}) was edited after it was applied: "
                "nothing was changed; restore the file and put the change into a new migration"
            )
    return [migration for migration in known if migration.number not in numbers]


def _apply(client: Client, migration: Migration) -> None:
    for statement in migration.statements:
        client.command(statement)
    row = [migration.number, migration.name, migration.checksum, datetime.now(UTC)]
    client.insert("migrations", [row], column_names=["number", "name", "checksum", "applied_at"])


__all__ = ["Migration", "Progress", "migrate", "migrations"]
