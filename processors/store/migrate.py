"""Numbered migrations: the database gets every file of `schemas/migrations`, in order, once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from pydantic import SecretStr

from upshot.clickhouse_address import SHARD
from upshot.errors import ConfigurationError
from upshot.processors.store.cluster import Relation, for_cluster, over_shards, spread
from upshot.processors.store.connection import connect, explained
from upshot.processors.store.retention import apply_retention
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


@cache
def definition(opening: str) -> str:
    """The last statement of the migrations that begins so: what it defines, once all are applied.

    Raises LookupError where there is none.
    """
    found = [each for migration in migrations() for each in migration.statements if each.startswith(opening)]
    if not found:
        raise LookupError(f"no migration has a statement that begins with {opening!r}")
    return found[-1]


def select_of(view: str) -> str:
    """The SELECT of a view, as the migrations define it."""
    _, _, select = definition(f"CREATE OR REPLACE VIEW {view}\n").partition("\nAS\n")
    return select[: select.rindex("\nCOMMENT '")]


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
    away = "no migration was applied; start it (`upshot up`) or set UPSHOT_CLICKHOUSE_URL"
    refused = "a migration failed: {}; mend that and run `upshot migrate` again"
    with explained(settings, away=away, refused=refused):
        # Statements `ON CLUSTER` reach every shard from one.
        shards = settings.shards[:1] if settings.clickhouse_replicated else settings.shards
        applied: list[Migration] = []
        for shard in shards:
            with closing(_database(shard)) as client:
                todo = _missing(client, shard, known)
                for done, migration in enumerate(todo):
                    progress(Progress(done, len(todo), migration.name))
                    _apply(client, shard, migration)
                if todo:
                    progress(Progress(len(todo), len(todo), todo[-1].name))
                applied = max(applied, todo, key=len)
        if settings.clickhouse_cluster and (applied or not _is_over_shards(settings)):
            for shard in shards:
                _put_over_shards(settings, shard)
        apply_retention(settings)
        return applied


def _database(settings: Settings) -> Client:
    name = settings.clickhouse.database.replace("`", "")
    client = connect(settings, database=False)
    try:
        client.command(spread(settings, f"CREATE DATABASE IF NOT EXISTS `{name}`"))
    finally:
        client.close()
    return connect(settings)


def _is_over_shards(settings: Settings) -> bool:
    """Whether the cluster's database is there, whole: its ledger is made last."""
    with closing(connect(settings, database=False)) as client:
        name = {"name": settings.clickhouse.database}
        sql = (
            "SELECT count() FROM information_schema.tables "
            "WHERE table_schema = {name:String} AND table_name = 'migrations'"
        )
        return bool(client.query(sql, parameters=name).result_rows[0][0])


def _put_over_shards(settings: Settings, shard: Settings) -> None:
    """Make the cluster's database, at the shard's address, over the tables and views of the shards."""
    with closing(connect(shard)) as client:
        relations = _relations(client)
    address = shard.clickhouse_url.get_secret_value().removesuffix(SHARD)
    whole = settings.model_copy(update={"clickhouse_url": SecretStr(address)})
    with closing(_database(whole)) as client:
        for relation in sorted(relations, key=lambda one: (one.name == "migrations", one.is_view, one.name)):
            statement = over_shards(whole, relation)
            if statement is None:
                statement = for_cluster(whole, definition(f"CREATE OR REPLACE VIEW {relation.name}\n"))
            client.command(statement)


def _relations(client: Client) -> list[Relation]:
    """The tables and views of a shard; those that copy rows from one table to another are none."""
    sql = (
        "SELECT t.table_name, any(t.table_type) != 'BASE TABLE', groupArray(c.column_name) "
        "FROM information_schema.tables AS t "
        "LEFT JOIN information_schema.columns AS c "
        "ON c.table_schema = t.table_schema AND c.table_name = t.table_name "
        "WHERE t.table_schema = currentDatabase() AND t.table_name NOT LIKE '%\\_feed' GROUP BY t.table_name"
    )
    return [Relation(name, bool(view), columns) for name, view, columns in client.query(sql).result_rows]


def _missing(client: Client, settings: Settings, known: Sequence[Migration]) -> list[Migration]:
    client.command(spread(settings, _LEDGER.strip()))
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


def _apply(client: Client, settings: Settings, migration: Migration) -> None:
    for statement in migration.statements:
        client.command(spread(settings, statement))
    row = [migration.number, migration.name, migration.checksum, datetime.now(UTC)]
    client.insert("migrations", [row], column_names=["number", "name", "checksum", "applied_at"])


__all__ = ["Migration", "Progress", "definition", "migrate", "migrations", "select_of"]
