"""Rows for the runs from before the tables for reading: in ranges, with a ledger, while events come in.

The keys of scores and waits are written by run; then new facts begin to note their runs; then scores and
waits are copied in the order of runs, and the rows of all runs written from the copies; at last the views
read the tables, and the copies are dropped. A fact that comes after it was copied has noted its run. Every
piece can be done again with the same result, by several workers at once, and a start goes on behind the last
piece done.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from upshot.processors.materialize.writer import Writer
from upshot.processors.store.cluster import spread
from upshot.processors.store.connection import TIMEOUT
from upshot.processors.store.migrate import Migration, definition

#: Facts of a piece: `_FEWEST`, and more where there would be over `PIECES` of them; the rows of its runs must
#: have room in memory.
_FEWEST, _MOST, PIECES = 400_000, 500_000, 64
_SAMPLE = 65_536
#: By work: the table, its key, and the views that derive rows of it.
_DERIVED = {
    "scores": (
        "raw_scores",
        "score_id",
        ("raw_keys_of_scores", "raw_carried_by_scores", "raw_changed_scores"),
    ),
    "waits": ("raw_waits", "subject", ("raw_keys_of_waits", "raw_carried_by_waits")),
    "numbers": ("raw_runs", "run_id", ("raw_first_numbers",)),
}
#: By work: the table that says the keys, its key, and the copies: each with the table that it is made of.
_COPIED = {
    "copied_scores": (
        "raw_scores",
        "score_id",
        {"raw_copied_latest": "raw_latest_by_kind", "raw_copied_revisions": "raw_scores"},
    ),
    "copied_waits": ("raw_waits", "subject", {"raw_copied_waits": "raw_waits"}),
}
WORKS = ("scores", "waits", "numbers", "aliases", "changes", "copied_scores", "copied_waits", "runs", "views")


class Piece(NamedTuple):
    """Keys from `first` up to `last`, not included; empty: no bound."""

    work: str
    plan: int
    number: int
    first: str
    last: str


class WorkDone(NamedTuple):
    """How far one kind of work is; a work that isn't planned yet has no pieces."""

    work: str
    done: int
    pieces: int


def standings(client: Client) -> list[WorkDone]:
    """How far each work is, in their order."""
    found = {work: (done, pieces) for work, done, pieces in client.query(STANDINGS).result_rows}
    return [WorkDone(work, *found.get(work, (0, 0))) for work in WORKS]


def is_whole(client: Client) -> bool:
    """Whether the views read the tables."""
    done = {
        standing.work
        for standing in standings(client)
        if standing.pieces and standing.done == standing.pieces
    }
    return set(WORKS) <= done


class Backfill:
    """Does the pieces that are left. `step` does one of them, and is called until it returns False.

    `pause` is called while inserts from before are under way. Raises clickhouse-connect's errors.
    """

    def __init__(self, client: Client, writer: Writer, pause: Callable[[float], object] = time.sleep) -> None:
        self._client = client
        self._writer = writer
        self._pause = pause

    def step(self) -> bool:
        """Do the next piece. Returns whether anything was left to do."""
        for standing in standings(self._client):
            if standing.pieces and standing.done == standing.pieces:
                continue
            if not standing.pieces:
                _note(self._client, self._planned(standing.work), done=False)
            piece = next(iter(_left(self._client, standing.work)), None)
            if piece is not None:
                self._do(piece)
                _note(self._client, [piece], done=True)
            return True
        return False

    def _planned(self, work: str) -> list[Piece]:
        plan = secrets.randbits(63)
        if work in _DERIVED or work in _COPIED:
            table, key, _ = {**_DERIVED, **_COPIED}[work]
            bounds = self._bounds(f"SELECT {key} AS key FROM {table}")
        elif work == "runs":
            bounds = self._bounds(
                "SELECT run_id AS key FROM raw_runs UNION ALL SELECT run_id FROM raw_keys_by_run"
            )
        else:
            bounds = []
        ends = [*bounds, ""]
        return [
            Piece(work, plan, number, first, last)
            for number, (first, last) in enumerate(zip(["", *bounds], ends, strict=True))
        ]

    def _bounds(self, keys: str) -> list[str]:
        sample, count = self._client.query(
            f"SELECT arraySort(groupArraySample({_SAMPLE}, 7)(key)), count() FROM ({keys}) WHERE key != ''"
        ).result_rows[0]
        pieces = count // min(max(_FEWEST, count // PIECES), _MOST)
        return sorted(set(sample[:: max(1, len(sample) // pieces)][1:])) if pieces > 1 else []

    def _do(self, piece: Piece) -> None:
        if piece.work in _DERIVED:
            _, key, feeds = _DERIVED[piece.work]
            for feed in feeds:
                target, select = _feed(feed)
                joint = "AND" if "\nWHERE " in select else "WHERE"
                self._client.command(
                    f"INSERT INTO {target} {select} {joint} {_bound(key, piece)}",
                    parameters=_bounds_of(piece),
                )
        elif piece.work == "aliases":
            target, select = _feed("raw_alias_pairs")
            self._client.command(f"INSERT INTO {target} {select}")
        elif piece.work == "changes":
            self._apply(_statements("changes"))
            self._wait_for_inserts()
        elif piece.work in _COPIED:
            self._copy(piece)
        elif piece.work == "views":
            self._apply(map(_with_columns, _statements("views")))
            self._apply(
                f"DROP TABLE IF EXISTS {copy}" for _, _, copies in _COPIED.values() for copy in copies
            )
        else:
            self._write(piece)

    def _copy(self, piece: Piece) -> None:
        self._apply(_statements("copies"))
        _, key, copies = _COPIED[piece.work]
        for copy, table in copies.items():
            names = ", ".join(row[0] for row in self._client.query(f"DESCRIBE {copy}").result_rows)
            self._client.command(
                f"INSERT INTO {copy} ({names}) SELECT {names} FROM {table} WHERE {_bound(key, piece)}",
                parameters=_bounds_of(piece),
            )

    def _apply(self, statements: Iterable[str]) -> None:
        for statement in statements:
            self._client.command(spread(self._writer.settings, statement))

    def _write(self, piece: Piece) -> None:
        contended: Sequence[str] = self._writer.write_range(piece.first, piece.last).contended
        while contended:
            self._pause(secrets.randbelow(1000) / 1000)
            contended = self._writer.write(contended).contended

    def _wait_for_inserts(self) -> None:
        """Until every insert that may not have noted its runs is through."""
        try:
            before = running = self._inserts()
            while before & running:
                self._pause(0.2)
                running = self._inserts()
        except DatabaseError:  # whoever may not see the processes waits for as long as an insert may take
            self._pause(TIMEOUT)

    def _inserts(self) -> set[str]:
        """The ids of the inserts under way."""
        sql = "SELECT query_id FROM system.processes WHERE query_kind = 'Insert'"
        return {query_id for (query_id,) in self._client.query(sql).result_rows}


def _bound(key: str, piece: Piece) -> str:
    """The condition for the keys of a piece."""
    return f"{key} >= {{first:String}}" + (f" AND {key} < {{last:String}}" if piece.last else "")


def _bounds_of(piece: Piece) -> dict[str, str]:
    return {"first": piece.first, "last": piece.last}


_LOWEST_PLANS = "SELECT work, min(plan) FROM raw_backfill GROUP BY work"
STANDINGS = f"""
SELECT toString(work), countIf(done), count() FROM raw_backfill FINAL
WHERE (work, plan) IN ({_LOWEST_PLANS}) GROUP BY work"""
_LEFT = f"""
SELECT toString(work), plan, piece, first, last FROM raw_backfill FINAL
WHERE work = {{work:String}} AND (work, plan) IN ({_LOWEST_PLANS}) AND NOT done ORDER BY rand()"""


def _left(client: Client, work: str) -> list[Piece]:
    return [Piece(*row) for row in client.query(_LEFT, parameters={"work": work}).result_rows]


def _note(client: Client, pieces: Sequence[Piece], *, done: bool) -> None:
    now = client.query("SELECT now64(6)").result_rows[0][0]
    client.insert(
        "raw_backfill",
        [[*piece, int(done), now] for piece in pieces],
        column_names=["work", "plan", "piece", "first", "last", "done", "at"],
    )


def _feed(name: str) -> tuple[str, str]:
    """The target and the SELECT of a view that derives rows of new ones."""
    opening = f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name}_feed TO "
    target, _, select = definition(opening).removeprefix(opening).partition(" AS\n")
    return target, select


def _statements(name: str) -> list[str]:
    """The statements of a file of this package."""
    text = resources.files("upshot.processors.materialize").joinpath(f"{name}.sql").read_text("utf-8")
    return Migration(0, name, text).statements


def _with_columns(view: str) -> str:
    """The definition of a view, with the columns and the comment of the migrations."""
    name, _, select = view.partition(" AS\n")
    declared = definition(f"{name}\n")
    columns = declared[: declared.index("\nAS")]
    comment = declared[declared.rindex("\nCOMMENT '") :]
    return f"{columns}\nAS\n{select}{comment}"


__all__ = ["PIECES", "STANDINGS", "WORKS", "Backfill", "WorkDone", "is_whole", "standings"]
