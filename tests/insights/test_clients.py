"""SQL clients of people, as `viewer`: each lists the views with their columns, and shows the first rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import process_time

import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, func, inspect, select, text

from tests.insights.conftest import records, settings_of, store
from tests.store.conftest import VIEWS
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.clickhouse_users import STORAGE
from upshot.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.filterwarnings("ignore")]

READING = {"scored_runs", "score_rows", "exposure_rows", "open_waits"}
#: Both are SQLAlchemy's: clickhouse-connect's own, and clickhouse-sqlalchemy over HTTP.
DIALECTS = ("clickhousedb", "clickhouse+http")


@pytest.fixture(scope="module")
async def server(clickhouse: ClickHouseServer) -> ClickHouseServer:
    """With the story in the database that `viewer` reads."""
    settings = settings_of(clickhouse, "upshot")
    await store(settings, records(settings))
    return clickhouse


@pytest.fixture(params=DIALECTS)
def engine(server: ClickHouseServer, request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = create_engine(server.viewer_url.replace("http://", f"{request.param}://", 1))
    yield engine
    engine.dispose()


def listed(engine: Engine) -> set[str]:
    """All that the client shows of the database."""
    found = inspect(engine)
    return {*found.get_table_names(), *found.get_view_names()}


def test_the_views_are_listed_and_storage_is_not(engine: Engine) -> None:
    names = listed(engine)
    assert {*VIEWS, *READING} <= names
    assert [name for name in names if re.search(STORAGE, name)] == []


def test_every_view_has_its_columns_and_shows_rows(engine: Engine, server: ClickHouseServer) -> None:
    reader = Reader(Settings.model_validate({"clickhouse_url": server.viewer_url}))
    with engine.connect() as connection:
        for name in sorted(listed(engine)):
            columns = [column["name"] for column in inspect(engine).get_columns(name)]
            assert columns == [row[0] for row in reader.query(f"DESCRIBE {name}").rows], name
            began = process_time()
            rows = connection.execute(text(f"SELECT * FROM {name} LIMIT 100")).fetchall()
            assert all(len(row) == len(columns) for row in rows), name
            assert process_time() - began < 1, name


@pytest.mark.parametrize("name", sorted(READING))
def test_a_table_is_reflected_and_selected(engine: Engine, name: str) -> None:
    reflected = Table(name, MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        [[count]] = connection.execute(select(func.count(reflected.c.run_id))).fetchall()
    assert count or name == "exposure_rows"


#: What clients over HTTP ask before they show a tree of tables.
METADATA = {
    "Grafana, databases": "SELECT name FROM system.databases",
    "Grafana, tables": "SELECT name FROM system.tables WHERE database = 'upshot'",
    "Superset, tables": "SHOW TABLES FROM upshot",
    "JDBC, tables": (
        "SELECT t.name AS TABLE_NAME FROM system.tables AS t "
        "JOIN system.databases AS d ON t.database = d.name WHERE t.database LIKE 'upshot'"
    ),
    "JDBC, columns": "SELECT table FROM system.columns WHERE database LIKE 'upshot' AND table LIKE '%'",
    "ODBC, tables": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'upshot'",
    "ODBC, columns": "SELECT table_name FROM information_schema.columns WHERE table_schema = 'upshot'",
}


@pytest.mark.parametrize("client", sorted(METADATA))
def test_what_clients_ask_about_tables(server: ClickHouseServer, client: str) -> None:
    reader = Reader(Settings.model_validate({"clickhouse_url": server.viewer_url}))
    names = {row[0] for row in reader.query(METADATA[client]).rows}
    assert names >= ({"upshot"} if "databases" in client else READING)
    assert [name for name in names if re.search(STORAGE, name)] == []


def test_storage_can_be_read_all_the_same(server: ClickHouseServer) -> None:
    reader = Reader(Settings.model_validate({"clickhouse_url": server.viewer_url}))
    assert reader.query("SELECT count() > 0 FROM raw_scores").rows == [[True]]
    assert reader.query("DESCRIBE raw_scores").rows
