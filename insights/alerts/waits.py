"""Waits open for too long, as of each instant T: which alerts begin and end within a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from upshot.alerts.windows import Grid
from upshot.insights.alerts.filters import rule_filters
from upshot.insights.reader import Reader
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import AlertState
from upshot.streams.events.instants import MICROSECOND, Micros

#: Turns of one look; a look with more stops there, and says so.
MOST_TURNS = 10_000

_OVERDUE = """\
SELECT subject, wait_id, run_id, agent, fires_at, ends_at
FROM
(
    SELECT
        wait.subject AS subject, wait.wait_id AS wait_id, wait.run_id AS run_id,
        if(wait.agent != '', toString(wait.agent), ifNull(run.agent, '')) AS agent,
        mapUpdate(
            CAST(ifNull(run.attributes, map()), 'Map(String, String)'),
            CAST(wait.attributes, 'Map(String, String)')
        ) AS facts,
        greatest(
            toUnixTimestamp64Micro(wait.opened_at) + {length:Int64}, toUnixTimestamp64Micro(wait.recorded_at)
        ) AS overdue_us,
        nullIf(
            least(
                ifNull(toUnixTimestamp64Micro(answered.at), 9000000000000000),
                ifNull(toUnixTimestamp64Micro(wait.cancelled_at), 9000000000000000)
            ),
            9000000000000000
        ) AS ended_us,
        intDiv(overdue_us + {every:Int64} - 1, {every:Int64}) * {every:Int64} AS fires_at,
        intDiv(ended_us + {every:Int64} - 1, {every:Int64}) * {every:Int64} AS ends_at
    FROM
    (
        SELECT subject, wait_id, run_id, agent, opened_at, recorded_at, cancelled_at, attributes
        FROM waits WHERE name = {score:String} AND reply_to = ''
    ) AS wait
    LEFT ANY JOIN
    (
        SELECT subject, wait_id, toNullable(min(recorded_at)) AS at
        FROM scores
        WHERE name = {score:String} AND wait_id != '' AND reason NOT IN ('reopened', 'given', 'rescored')
        GROUP BY subject, wait_id
    ) AS answered ON wait.subject = answered.subject AND wait.wait_id = answered.wait_id
    LEFT ANY JOIN
    (
        SELECT run_id, agent, attributes FROM runs
        WHERE run_id IN (SELECT run_id FROM waits WHERE name = {score:String})
    ) AS run ON wait.run_id = run.run_id
    WHERE wait.run_id NOT IN (SELECT run_id FROM runs WHERE origin = 'replay')
)
WHERE %(filters)s
    AND (ends_at IS NULL OR ends_at > fires_at)
    AND
    (
        %(times)s
    )
ORDER BY fires_at, subject, wait_id
LIMIT {most:UInt32}"""


_TURNS = """(fires_at > {after:Int64} AND fires_at <= {upto:Int64})
        OR (ends_at > {after:Int64} AND ends_at <= {upto:Int64})"""
_OPEN = """fires_at > {after:Int64} AND fires_at <= {upto:Int64}
        AND (ends_at IS NULL OR ends_at > {upto:Int64})"""


@dataclass(frozen=True)
class Overdue:
    """The alert about one open wait began, or ended, at an instant."""

    cause: str
    run_id: str
    agent: str
    subject: str
    state: AlertState
    at: Micros


def overdue(reader: Reader, rule: AlertRule, grid: Grid, most: int = MOST_TURNS) -> list[Overdue]:
    """The turns within the grid, by time."""
    rows = _rows(reader, rule, grid, _TURNS, most)
    found: list[Overdue] = []
    for subject, wait_id, run_id, agent, fires_at, ends_at in rows:
        for state, at in (("firing", fires_at), ("resolved", ends_at)):
            if at is not None and grid.first <= int(at) <= grid.last:
                cause = f"{subject}/{wait_id}"
                found.append(Overdue(cause, run_id, agent, subject, _STATES[state], int(at)))
    return sorted(found, key=lambda one: (one.at, one.cause))


def still_overdue(reader: Reader, rule: AlertRule, grid: Grid) -> list[Overdue]:
    """The waits whose alert began within the grid, and hadn't ended by its last instant."""
    rows = _rows(reader, rule, grid, _OPEN, MOST_TURNS)
    return [
        Overdue(f"{subject}/{wait_id}", run_id, agent, subject, "firing", int(fires_at))
        for subject, wait_id, run_id, agent, fires_at, _ in rows
    ]


def _rows(reader: Reader, rule: AlertRule, grid: Grid, times: str, most: int) -> list[list[Any]]:
    filters, parameters = rule_filters(rule, "agent", "facts[{}]".format)
    parameters |= {
        "score": rule.score or "",
        "length": rule.length // MICROSECOND,
        "every": grid.every,
        "after": grid.first - 1,
        "upto": grid.last,
        "most": most,
    }
    sql = _OVERDUE % {"filters": " AND ".join(["1", *filters]), "times": times}
    return reader.query(sql, parameters).rows


_STATES: dict[str, AlertState] = {"firing": "firing", "resolved": "resolved"}

__all__ = ["MOST_TURNS", "Overdue", "overdue", "still_overdue"]
