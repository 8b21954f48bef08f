"""Migrations on the real engine: again, at once, edited, newer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from upshot.errors import ClickHouseUnavailable, ConfigurationError, QueryFailed
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import Migration, Progress, migrate, migrations
from upshot.settings import Settings

pytestmark = pytest.mark.stack


def tables(settings: Settings) -> list[tuple[str, str]]:
    client = connect(settings)
    sql = (
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    found = [(name, query) for name, query in client.query(sql).result_rows]
    client.close()
    return found


def ledger(settings: Settings) -> list[int]:
    client = connect(settings)
    found = [n for (n,) in client.query("SELECT DISTINCT number FROM migrations ORDER BY number").result_rows]
    client.close()
    return found


def test_an_empty_server_gets_everything_with_progress(empty: Settings) -> None:
    seen: list[Progress] = []
    applied = migrate(empty, seen.append)
    assert applied == migrations()
    assert [(step.done, step.total) for step in seen] == [(n, len(applied)) for n in range(len(applied) + 1)]
    assert ledger(empty) == [migration.number for migration in applied]


def test_again_changes_nothing(empty: Settings) -> None:
    migrate(empty)
    before = tables(empty)
    assert migrate(empty) == []
    assert tables(empty) == before


def test_every_statement_can_be_run_again(empty: Settings) -> None:
    migrate(empty)
    before = tables(empty)
    client = connect(empty)
    for migration in migrations():
        for statement in migration.statements:
            client.command(statement)
    client.close()
    assert [name for name, _ in tables(empty)] == [name for name, _ in before]


def test_several_at_once(empty: Settings) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(migrate, empty) for _ in range(4)]:
            done.result()
    assert migrate(empty) == []
    assert ledger(empty) == [migration.number for migration in migrations()]


def test_what_broke_off_in_the_middle_is_finished(empty: Settings) -> None:
    good, bad = (
        "CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = MergeTree ORDER BY x",
        "CREATE TABLE IF NOT b",
    )
    with pytest.raises(QueryFailed, match="run `upshot migrate` again"):
        migrate(empty, known=[Migration(1, "first", f"{good};\n{bad};\n")])
    mended = Migration(1, "first", f"{good};\n{good.replace('a (', 'b (')};\n")
    assert migrate(empty, known=[mended]) == [mended]
    assert {"a", "b"} <= {name for name, _ in tables(empty)}


def test_an_edited_migration_is_refused_and_nothing_is_changed(empty: Settings) -> None:
    migrate(empty)
    before = tables(empty)
    edited = [
        migrations()[0]._replace(sql="CREATE TABLE c (x UInt8) ENGINE = MergeTree ORDER BY x;\n"),
        *migrations()[1:],
    ]
    with pytest.raises(ConfigurationError, match=r"migration 1 .* was edited"):
        migrate(empty, known=edited)
    assert tables(empty) == before


def test_a_newer_database_is_refused(empty: Settings) -> None:
    later = Migration(
        len(migrations()) + 1,
        "later",
        "CREATE TABLE IF NOT EXISTS c (x UInt8) ENGINE = MergeTree ORDER BY x;\n",
    )
    migrate(empty, known=[*migrations(), later])
    with pytest.raises(ConfigurationError, match="install the newer release"):
        migrate(empty)


def test_no_server() -> None:
    settings = Settings.model_validate({"clickhouse_url": "http://127.0.0.1:1/upshot"})
    with pytest.raises(ClickHouseUnavailable, match=r"127\.0\.0\.1:1 .*refused.*no migration was applied"):
        migrate(settings)


def test_statements_end_at_the_end_of_a_line() -> None:
    sql = "-- a comment; with a semicolon\nSELECT ';' AS a;  \n\n  -- another\nSELECT 'x;y'\n;\nSELECT 2"
    assert Migration(1, "x", sql).statements == ["SELECT ';' AS a", "SELECT 'x;y'", "SELECT 2"]


def test_every_table_and_column_is_explained(empty: Settings) -> None:
    migrate(empty)
    client = connect(empty)
    silent = client.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = '' "
        "AND table NOT LIKE 'raw%feed' "
        "UNION ALL SELECT name, '' FROM system.tables "
        "WHERE database = currentDatabase() AND comment = '' AND engine != 'MaterializedView'"
    ).result_rows
    client.close()
    assert silent == []
