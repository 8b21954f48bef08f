"""Each question of the benchmark at a modest number of runs: rows read, CPU time, memory and tables."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

import pytest
from clickhouse_connect.driver.client import Client

from benchmarks.insights.__main__ import cpu
from benchmarks.insights.data import fill
from benchmarks.insights.questions import ASKED, OF_FACTS, Asked
from benchmarks.insights.reads import facts_read_wholly
from tests.databases import settings_for
from tests.store.conftest import PATIENCE
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize.backfill import Backfill
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate

pytestmark = pytest.mark.stack
RUNS = 200_000
#: CPU seconds and megabytes of a question about as many runs; and rows for each run: slow-runs reads all runs
#: three times.
CPU, MEGABYTES, ROWS = 1.0, 200.0, 4.0


class Filled(NamedTuple):
    """A database with the data set, and its server."""

    server: ClickHouseServer
    client: Client


@pytest.fixture(scope="module")
def filled(clickhouse: ClickHouseServer) -> Iterator[Filled]:
    settings = settings_for(clickhouse, f"upshot_{uuid4().hex}")
    migrate(settings)
    client, writer = connect(settings), Writer(settings)
    try:
        fill(client, RUNS)
        backfill = Backfill(client, writer)
        while backfill.step():
            pass
        yield Filled(clickhouse, client)
    finally:
        writer.close()
        client.command(f"DROP DATABASE IF EXISTS {settings.clickhouse.database} SYNC")
        client.close()


def test_no_question_takes_more_than_its_share(filled: Filled) -> None:
    """The second time that each is put: the first one loads columns' dictionaries and marks."""
    over = {asked.name: found for asked in ASKED if (found := _over(filled, asked))}
    assert over == {}


def test_facts_are_found_by_an_index(filled: Filled) -> None:
    """No table of facts is read from end to end, but by questions about the facts themselves."""
    found = {asked.name: tables for asked in ASKED if (tables := facts_read_wholly(filled.client, asked))}
    assert {name: tables for name, tables in found.items() if name not in OF_FACTS} == {}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT agent, avg(value) FROM current_scores GROUP BY agent",
        "SELECT model, sum(cost_usd) FROM steps GROUP BY model",
        "SELECT count() FROM runs WHERE agent = 'agent-3'",
    ],
)
def test_a_question_of_many_facts_is_found(filled: Filled, sql: str) -> None:
    assert facts_read_wholly(filled.client, Asked("of facts", sql))


def test_a_month_at_rest_is_merged_to_one_part(filled: Filled) -> None:
    tables = ("raw_scored_runs", "raw_score_rows", "raw_exposure_rows")
    ages = {each: "min_age_to_force_merge_seconds = 3600" for each in tables}
    for table, age in ages.items():
        assert age in str(filled.client.command(f"SHOW CREATE TABLE {table}")), table
    filled.client.command("INSERT INTO raw_scored_runs SELECT * FROM raw_scored_runs LIMIT 1")
    parts = (
        "SELECT count() > uniqExact(partition) FROM system.parts WHERE active AND table = 'raw_scored_runs'"
    )
    parts += " AND database = currentDatabase()"
    assert filled.client.query(parts).result_rows == [(1,)]
    filled.client.command("ALTER TABLE raw_scored_runs MODIFY SETTING min_age_to_force_merge_seconds = 1")
    give_up = time.monotonic() + PATIENCE
    while filled.client.query(parts).result_rows != [(0,)]:
        assert time.monotonic() < give_up
        time.sleep(0.2)


def _over(filled: Filled, asked: Asked) -> str:
    """What a question takes over its share."""
    best = CPU + 1
    for _ in range(3):
        before = cpu(filled.server)
        answer = filled.client.query(asked.sql, parameters=dict(asked.parameters))
        best = min(best, cpu(filled.server) - before)
        if best < CPU / 2:
            break
    rows, memory = (int(answer.summary.get(name, 0)) for name in ("read_rows", "memory_usage"))
    most = ROWS * RUNS * (2 if asked.name in OF_FACTS else 1)
    found = {"CPU s": (best, CPU), "rows": (rows, most), "MB": (memory / 1e6, MEGABYTES)}
    return ", ".join(f"{value:.2f} {name}" for name, (value, limit) in found.items() if value > limit)
