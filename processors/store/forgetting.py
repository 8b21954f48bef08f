"""Deleting from ClickHouse what is known about a run or a subject: from every table that names either.

The tables are found by their columns, so that none of a later migration is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from upshot.errors import ConfigurationError
from upshot.processors.store.connection import connect, explained
from upshot.schemas.subjects import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

    from upshot.settings import Settings

#: Columns that name a run or a subject; of a dead letter the key does.
_COLUMNS = {"run": ("run_id", "known_as", "other"), "subject": ("subject",)}
_LETTERS = "raw_dead_letters"
_CHANGED = "changed_runs"
_BACKFILL = "raw_backfill"
#: Seconds between two looks whether the rows for reading have followed.
_LOOK = 0.2
#: Of the present owners: up to when all their parts are written, how many parts those are, and of how many.
_FOLLOWED = """
SELECT toUnixTimestamp64Micro(min(reached)), count(), any(slots)
FROM
(
    SELECT slots, slot, max(at) AS reached
    FROM raw_read_up_to
    WHERE slots = (SELECT argMax(slots, at) FROM raw_read_up_to)
    GROUP BY slots, slot
)
HAVING count() > 0"""


class Forgotten(NamedTuple):
    """Whose data is forgotten: a run or a subject."""

    kind: str
    name: str

    @property
    def spellings(self) -> list[str]:
        """The spellings under which the data is stored."""
        return sorted({self.name, folded(self.name)}) if self.kind == "subject" else [self.name]


class TableRows(NamedTuple):
    """What a table holds; `condition` finds the rows."""

    table: str
    condition: str
    rows: int


class ForgettableRows(NamedTuple):
    """What ClickHouse holds, and what the workers' state is to be told about.

    `names` are those under which the data is stored: of a run its traces, too. `subjects` are those of a
    run's waits, `followups` the run's, `runs` those whose rows for reading are to be written anew.
    """

    names: Sequence[str]
    held: Sequence[TableRows]
    subjects: Sequence[str]
    followups: Sequence[str]
    runs: Sequence[str]


def merged(places: Iterable[ForgettableRows]) -> ForgettableRows:
    """What several shards hold, together."""
    found = list(places)
    rows: dict[str, TableRows] = {}
    for held in (one for place in found for one in place.held):
        before = rows.get(held.table)
        rows[held.table] = held._replace(rows=held.rows + (before.rows if before else 0))
    return ForgettableRows(
        sorted({name for place in found for name in place.names}),
        list(rows.values()),
        sorted({subject for place in found for subject in place.subjects}),
        sorted({followup for place in found for followup in place.followups}),
        sorted({run for place in found for run in place.runs}),
    )


def find(settings: Settings, person: Forgotten, known: Collection[str] = ()) -> ForgettableRows:
    """What a database holds about the person, also under the `known` names of an earlier look.

    Of a cluster each shard is looked at (`Settings.shards`). Raises ClickHouseUnavailable, QueryFailed.
    """
    with _client(settings) as client:
        of_run = person.kind == "run"
        own = {"names": person.spellings}
        traces = "SELECT DISTINCT run_id FROM raw_run_aliases WHERE known_as IN {names:Array(String)}"
        found = _column(client, traces, own) if of_run else []
        names = sorted({*person.spellings, *found, *known})
        by_names = {"names": names}
        held = [
            TableRows(table, condition, rows)
            for table, condition in _conditions(client, person)
            if (rows := _count(client, table, condition, by_names))
        ]
        waits = "SELECT DISTINCT {} FROM raw_waits WHERE {} IN {{names:Array(String)}} ORDER BY 1"
        subjects = _column(client, waits.format("subject", "run_id"), by_names) if of_run else []
        deferred = "SELECT DISTINCT followup_id FROM raw_deferrals WHERE run_id IN {names:Array(String)}"
        followups = _column(client, deferred, by_names) if of_run else []
        runs = names if of_run else _column(client, waits.format("run_id", "subject"), by_names)
        return ForgettableRows(names, held, subjects, followups, runs)


def delete(settings: Settings, found: ForgettableRows) -> None:
    """Delete the found rows, off the disk too: returns once that is done. Harmless when repeated.

    Raises ClickHouseUnavailable or QueryFailed: rows of some tables may be deleted by then, run it again.
    """
    names = {"names": list(found.names)}
    with _client(settings) as client:
        for held in found.held:
            client.command(
                f"ALTER TABLE `{held.table}` DELETE WHERE {held.condition} SETTINGS mutations_sync = 1",
                parameters=names,
            )
        if _BACKFILL in _tables(client):
            # A bound names a run or a subject; a range without it is larger, and can be done again.
            client.command(
                f"ALTER TABLE {_BACKFILL} UPDATE first = if(first IN {{names:Array(String)}}, '', first), "
                "last = if(last IN {names:Array(String)}, '', last) "
                "WHERE first IN {names:Array(String)} OR last IN {names:Array(String)} "
                "SETTINGS mutations_sync = 1",
                parameters=names,
            )


def written_anew(settings: Settings, runs: Sequence[str], seconds: float) -> bool:
    """Have the rows for reading of these runs written anew, and wait for the worker `materialize`.

    Returns whether that is done within `seconds`; the worker does it later all the same. Afterwards nobody
    writes rows any more from facts that were deleted before. Raises ClickHouseUnavailable, QueryFailed.
    """
    with _client(settings) as client:
        if not runs or _CHANGED not in _tables(client):
            return True
        client.command(
            f"INSERT INTO {_CHANGED} (inserted_at, run_id, recorded_at) "
            "SELECT now64(6), arrayJoin({runs:Array(String)}), now64(6)",
            parameters={"runs": list(runs)},
        )
        # Whoever looks from now on sees the notes.
        noted = int(str(client.command("SELECT toUnixTimestamp64Micro(now64(6))")))
        until = time.monotonic() + seconds
        while not _followed(client, noted):
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK)
        return True


def _followed(client: Client, instant: int) -> bool:
    """Whether the rows have followed the facts up to the instant, or never were."""
    found = client.query(_FOLLOWED).result_rows
    return not found or (found[0][0] >= instant and found[0][1] == found[0][2])


def _conditions(client: Client, person: Forgotten) -> list[tuple[str, str]]:
    """The tables that may hold rows about the person, each with the condition that finds them."""
    by_table: dict[str, list[str]] = {}
    for table, column in client.query(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = currentDatabase() "
        "AND (table_name LIKE 'raw\\\\_%' OR table_name = {changed:String}) ORDER BY ALL",
        parameters={"changed": _CHANGED},
    ).result_rows:
        by_table.setdefault(table, []).append(column)
    views = {
        row[0]
        for row in client.query(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = currentDatabase() AND table_type != 'BASE TABLE'"
        ).result_rows
    }
    found = []
    for table, columns in by_table.items():
        wanted = [one for one in _COLUMNS[person.kind] if one in columns]
        if table == _LETTERS:
            wanted = ["key"]
        conditions = [f"{one} IN {{names:Array(String)}}" for one in wanted]
        if person.kind == "run" and table == "raw_followups" and "run_id" not in columns:
            conditions.append(
                "followup_id IN (SELECT followup_id FROM raw_deferrals WHERE run_id IN {names:Array(String)})"
            )
        if conditions and table not in views:
            found.append((table, " OR ".join(conditions)))
    # Rows found by another table's come before that table's.
    return sorted(found, key=lambda one: (one[0] != "raw_followups", one[0]))


def _tables(client: Client) -> set[str]:
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = currentDatabase()"
    return set(_column(client, sql, {}))


def _count(client: Client, table: str, condition: str, names: dict[str, list[str]]) -> int:
    [[rows]] = client.query(f"SELECT count() FROM `{table}` WHERE {condition}", parameters=names).result_rows
    return int(rows)


def _column(client: Client, sql: str, parameters: dict[str, list[str]]) -> list[str]:
    return [str(row[0]) for row in client.query(sql, parameters=parameters).result_rows]


@contextmanager
def _client(settings: Settings) -> Iterator[Client]:
    away = "not all is forgotten; start it and run the command again"
    refused = "ClickHouse refused: {}; not all is forgotten, mend that and run it again"
    with explained(settings, away=away, refused=refused), closing(connect(settings)) as client:
        yield client


def check(person: Forgotten) -> None:
    """Raise ConfigurationError for an empty name."""
    if not person.name:
        raise ConfigurationError(f"the {person.kind} has no name; nothing was forgotten")


__all__ = ["ForgettableRows", "Forgotten", "TableRows", "check", "delete", "find", "merged", "written_anew"]
