"""The backfill's copies of scores and waits: what they are read for, and what comes after they were made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, cast
from uuid import uuid4

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.summary import QuerySummary

from benchmarks.insights.data import fill
from tests.databases import settings_for
from tests.materialize.conftest import Crashed, Rows
from tests.materialize.story import long_story
from tests.store.conftest import Store
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize import backfill
from upshot.processors.materialize import writer as writer_module
from upshot.processors.materialize.backfill import WORKS, Backfill, is_whole, standings
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate

pytestmark = pytest.mark.stack
RUNS = 20_000


@pytest.fixture
async def copied(store: Store, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """Half of the story is copied, in pieces; then comes the other half."""
    monkeypatch.setattr(backfill, "_FEWEST", 20)
    rows = Rows.__new__(Rows)
    rows.store = store
    await store.take(*long_story()[::2])
    steps = Backfill(store.client, Writer(store.settings))
    while not _copied(rows):
        steps.step()
    await store.take(*long_story()[1::2])
    return rows


def _copied(rows: Rows) -> bool:
    of = {one.work: one for one in standings(rows.store.client)}
    return of["copied_waits"].pieces > 0 and of["copied_waits"].done == of["copied_waits"].pieces


@pytest.mark.parametrize("point", ["begin", "claimed", "read", "raw_score_rows"])
async def test_a_newer_fact_counts_whenever_its_run_is_written(copied: Rows, point: str) -> None:
    """The owner of the runs writes them while the backfill stands at the point, then nobody does any more."""
    changes, other = copied.changes(), Writer(copied.store.settings)

    def at(reached: str) -> None:
        if reached == point:
            copied.follow(changes, other)
            assert copied.duplicates() == []

    _complete(copied, at)
    assert copied.differences() == {}
    assert copied.duplicates() == []


@pytest.mark.parametrize("point", ["claimed", "read", "raw_score_rows"])
async def test_a_piece_is_done_again_after_a_crash(copied: Rows, point: str) -> None:
    def crash(reached: str) -> None:
        if reached == point:
            raise Crashed

    for _ in range(2):
        with contextlib.suppress(Crashed):
            _complete(copied, crash)
        assert not is_whole(copied.store.client)
    _complete(copied, lambda point: None)
    copied.follow(copied.changes(), Writer(copied.store.settings))
    assert copied.differences() == {}
    assert copied.duplicates() == []


@pytest.mark.parametrize("most_shared", [5_000_000, 0])
async def test_what_runs_of_several_pieces_share(
    store: Store, monkeypatch: pytest.MonkeyPatch, most_shared: int
) -> None:
    """All of the story was there before, in parts that aren't merged, and every run is a piece of its own."""
    monkeypatch.setattr(writer_module, "_MOST_SHARED", most_shared)
    store.keep_parts()
    for event in long_story():
        await store.take(event)
    monkeypatch.setattr(backfill, "_FEWEST", 1)
    rows = Rows(store)
    assert rows.differences() == {}
    assert rows.duplicates() == []


async def test_no_copy_is_left_behind(copied: Rows) -> None:
    there = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE 'raw_copied%'"
    assert copied.store.values(there) == [(3,)]
    _complete(copied, lambda point: None)
    assert copied.store.values(there) == [(0,)]


def _complete(rows: Rows, at: Callable[[str], None]) -> None:
    steps = Backfill(rows.store.client, Writer(rows.store.settings, at))
    while steps.step():
        pass


class Counting:
    """A client that counts the rows which its statements read from scores, waits or copies of them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.rows = 0

    def command(self, sql: str, *given: Any, **named: Any) -> Any:
        """As the client's."""
        answer = self._client.command(sql, *given, **named)
        if isinstance(answer, QuerySummary) and any(f"FROM {table}" in sql for table in READ_BY_PIECES):
            self.rows += int(answer.summary.get("read_rows", 0))
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


#: Of these names of tables the beginnings.
READ_BY_PIECES = ("raw_latest_by_kind", "raw_scores", "raw_waits", "raw_copied_", "raw_keys_by_run")


@pytest.fixture
def steps(clickhouse: ClickHouseServer) -> Iterator[tuple[Client, Writer]]:
    """The data set, copied; and a writer whose reading is counted."""
    settings = settings_for(clickhouse, f"upshot_{uuid4().hex}")
    migrate(settings)
    client, writer = connect(settings), Writer(settings)
    try:
        fill(client, RUNS)
        copying = Backfill(client, writer)
        while standings(client)[WORKS.index("copied_waits")].done == 0:
            copying.step()
        writer._client = cast(Client, Counting(writer._session()))
        yield client, writer
    finally:
        writer.close()
        client.command(f"DROP DATABASE IF EXISTS {settings.clickhouse.database} SYNC")
        client.close()


def test_a_row_costs_as_much_among_many_pieces(steps: tuple[Client, Writer]) -> None:
    """Scores and waits read for all runs, in two ranges or in eight."""
    client, writer = steps
    _rows_read(writer, ["", ""])  # what several runs say is looked up once
    client.command("TRUNCATE TABLE raw_claims")
    few = _rows_read(writer, ["", "8", ""])
    client.command("TRUNCATE TABLE raw_claims")
    many = _rows_read(writer, ["", *"2468ace", ""])
    assert few > RUNS and many < 1.25 * few, (few, many)


def _rows_read(writer: Writer, bounds: Sequence[str]) -> int:
    counting = cast(Counting, writer._client)
    counting.rows = 0
    for first, last in pairwise(bounds):
        assert writer.write_range(first, last).contended == []
    return counting.rows
