"""A store with the rows for reading behind it, and owners who write them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from clickhouse_connect.driver.client import Client

from tests.databases import Databases
from tests.store.conftest import Store, empty, store
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize.backfill import Backfill
from upshot.processors.materialize.changes import ChangedRuns
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.columns import COLUMNS
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings

__all__ = ["empty", "store"]

#: By table: the exact view, and what names a row to people.
TABLES = {
    "raw_scored_runs": ("exact_runs", "run_id"),
    "raw_score_rows": ("exact_score_rows", "score_id, kind"),
    "raw_exposure_rows": ("exact_exposure_rows", "run_id, experiment, variant, phase, probability, carried"),
    "raw_open_waits": ("exact_open_waits", "subject, wait_id"),
}
READ = {
    "raw_scored_runs": "scored_runs",
    "raw_score_rows": "score_rows",
    "raw_exposure_rows": "exposure_rows",
    "raw_open_waits": "open_waits",
}
FED = (
    "raw_latest_by_kind",
    "raw_score_kinds",
    "raw_run_aliases",
    "raw_keys_by_run",
    "raw_carried_exposures",
    "raw_changed_scores",
    "raw_alias_pairs",
    "raw_first_numbers",
    "changed_runs",
    "raw_claims",
    "raw_read_up_to",
    *TABLES,
)


class Crashed(Exception):
    """A writer stops here."""


class Rows:
    """The rows for reading of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.complete()

    def complete(self) -> None:
        """Do the backfill."""
        backfill = Backfill(self.store.client, Writer(self.store.settings))
        while backfill.step():
            pass

    def clear(self) -> None:
        """Forget all rows, and keep what follows as parts of their own."""
        for table in (*COLUMNS, *FED):
            self.store.client.command(f"TRUNCATE TABLE {table}")

    def keep_parts(self) -> None:
        for table in (*COLUMNS, *FED):
            self.store.client.command(f"SYSTEM STOP MERGES {table}")

    def changes(self) -> ChangedRuns:
        return ChangedRuns(self.store.client, 1, [0])

    def duplicates(self, client: Client | None = None) -> list[str]:
        """Rows that are visible twice."""
        client, found = client or self.store.client, []
        for table, (_, names) in TABLES.items():
            sql = f"SELECT {names}, count() AS n FROM {READ[table]} GROUP BY {names} HAVING n > 1"
            found += [f"{table}: {row}" for row in client.query(sql).result_rows]
        return found

    def follow(self, changes: ChangedRuns, writer: Writer) -> None:
        """Write all that is noted."""
        while (news := changes.news()).notes:
            left = list(news.runs)
            while left:
                left = list(writer.write(left).contended)
            changes.written(news)

    def differences(self) -> dict[str, list[str]]:
        """By table: rows that the exact view has and the table has not, or the other way round."""
        found = {}
        for table, (exact, _) in TABLES.items():
            columns = [name for (name, *_) in self.store.values(f"DESCRIBE {exact}")]
            select = ", ".join(f"toString({name}) AS text_{name}" for name in columns)
            ours, theirs = f"SELECT {select} FROM {READ[table]}", f"SELECT {select} FROM {exact}"
            rows = [
                *(f"only in the table: {row}" for row in self.store.values(f"{ours} EXCEPT {theirs}")),
                *(f"only in the exact view: {row}" for row in self.store.values(f"{theirs} EXCEPT {ours}")),
            ]
            if rows:
                found[table] = rows
        return found


@pytest.fixture
def rows(whole: Databases) -> Iterator[Rows]:
    """A store whose views read the tables."""
    store = Store(whole.take())
    yield Rows(store)
    store.client.close()
    whole.give_back(store.settings)


@pytest.fixture(scope="session")
def whole(clickhouse: ClickHouseServer) -> Databases:
    """Databases behind the backfill."""

    def make(settings: Settings) -> None:
        migrate(settings)
        store = Store(settings)
        Rows(store)
        store.client.close()

    return Databases(clickhouse, make)


def interrupting(chance: random.Random, act: Callable[[], None]) -> Callable[[str], None]:
    """Calls `act` at points drawn by `chance`."""

    def at(point: str) -> None:
        if chance.random() < 0.1:
            act()

    return at
