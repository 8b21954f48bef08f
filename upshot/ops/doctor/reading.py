"""The rows for reading: how far they follow the facts, whether all are written, whether any stands twice."""

from __future__ import annotations

import time
from typing import NamedTuple

from upshot.errors import QueryFailed
from upshot.insights.reader import Reader
from upshot.ops.doctor.finding import Finding, unknown
from upshot.ops.doctor.words import span
from upshot.processors.materialize.check import PARTS, doubled

CHECK = "rows for reading"

#: Seconds behind the facts from which it's worth a word.
_BEHIND = 90.0
_TO_DO = "the worker materialize writes them: see that it runs (--role materialize), and its log"

_FOLLOWED = """
SELECT count() AS slots, dateDiff('millisecond', min(at), now64(6)) / 1e3 AS lag
FROM (SELECT slot, max(at) AS at FROM raw_read_up_to
      WHERE slots = (SELECT argMax(slots, at) FROM raw_read_up_to) GROUP BY slot)"""
_BACKFILL = """
SELECT countIf(done), count(), countIf(work = 'views' AND done)
FROM raw_backfill FINAL WHERE (work, plan) IN (SELECT work, min(plan) FROM raw_backfill GROUP BY work)"""


class RowsStanding(NamedTuple):
    """How the rows stand: `lag` in seconds, None where nobody has followed the facts yet."""

    lag: float | None
    done: int
    pieces: int
    switched: bool
    doubled: str = ""


def examine_reading(reader: Reader) -> Finding:
    """A single finding about all of the tables for reading."""
    try:
        return reading(_standing(reader))
    except QueryFailed as error:
        return unknown(CHECK, because=str(error))[0]


def reading(standing: RowsStanding) -> Finding:
    """What the standing means."""
    if standing.doubled:
        found = f"rows of run {standing.doubled} stand twice"
        return Finding(CHECK, "wrong", found, "the worker materialize writes them again by itself")
    if not standing.switched:
        found = (
            f"{standing.done} of {standing.pieces} pieces of older runs are written; until all are, "
            "the views for reading are slow"
        )
        return Finding(CHECK, "notice", found, f"{_TO_DO}; upshot migrate --status shows how far it is")
    if standing.lag is None or standing.lag > _BEHIND:
        behind = "nothing" if standing.lag is None else span(standing.lag)
        return Finding(CHECK, "notice", f"behind the facts: {behind}", _TO_DO)
    return Finding(CHECK, "fine", f"all facts are in them up to {span(standing.lag)} ago")


def _standing(reader: Reader) -> RowsStanding:
    [[slots, lag]] = reader.query(_FOLLOWED).rows
    [[done, pieces, switched]] = reader.query(_BACKFILL).rows
    part = int(time.time() / 60) % PARTS
    twice = doubled(lambda sql, parameters: reader.query(sql, parameters).rows, part)
    return RowsStanding(
        float(lag) if int(slots) else None,
        int(done),
        int(pieces),
        bool(int(switched)),
        twice[0] if twice else "",
    )


__all__ = ["CHECK", "RowsStanding", "examine_reading", "reading"]
