"""Open waits and follow-ups, the next deadline first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from upshot.insights.pages.query import Conditions, PageQuery, Row, counts_by_state, ids_of
from upshot.insights.reader import Reader

#: States that the page offers, with the condition of each.
WAIT_STATES = {
    "open": "",
    "overdue": "overdue",
    "next-day": "NOT overdue AND deadline < now64(6) + INTERVAL 1 DAY",
    "followups": "mode = 'followup'",
}

_OPEN_IN = """\
SELECT deadline, overdue, name, agent, subject, run_id, mode, opened_at, wait_id, status
FROM
(
    SELECT toNullable(deadline) AS deadline, overdue, toString(name) AS name, agent, subject, run_id,
           toString(mode) AS mode, opened_at, wait_id, '' AS status
    FROM open_waits AS open%s
    UNION ALL
    SELECT deadline, overdue, toString(name), agent, subject, run_id, 'followup', opened_at, followup_id,
           toString(status)
    FROM pending_followups
)"""

_OPEN = _OPEN_IN % ""
#: The table has waits that are over until they are merged away: the first and last deadline of a screen.
_FIRST = (
    "(SELECT %s(deadline) FROM (SELECT deadline FROM raw_open_waits WHERE gone = 0%s ORDER BY deadline "
    "LIMIT 2 * {rows:UInt32}))"
)

#: Sorts waits without a deadline last.
_NEVER = "ifNull(deadline, toDateTime64('2200-01-01 00:00:00', 6, 'UTC'))"

#: Of waits, whether an answer is still to come, as the view `pending` says it. An index finds their scores;
#: `pending` compares all waits with all scores.
_IS_PENDING = """\
cancelled_at IS NULL AND
(
    (mode IN ('last', 'count', 'sum') AND deadline >= now64(6))
    OR (subject, wait_id) NOT IN
    (
        SELECT subject, wait_id FROM
        (
            SELECT subject, wait_id, value, reason FROM score_outlines
            ARRAY JOIN if(kind = '', ['number', 'boolean'], [toString(kind)]) AS as_kind
            WHERE score_id IN (SELECT score_id FROM scored_subjects WHERE %s) AND wait_id != ''
            ORDER BY precedence DESC
            LIMIT 1 BY score_id, as_kind
        )
        WHERE value IS NOT NULL OR reason = 'expired'
    )
)"""


def is_pending(subjects: str) -> str:
    """SQL of a boolean for rows of the view `waits` whose subjects meet a condition."""
    return _IS_PENDING % subjects


@dataclass(frozen=True)
class WaitFilter:
    """Which waits are listed; empty fields don't restrict."""

    state: str = "open"
    agent: str = ""
    name: str = ""
    after: tuple[datetime, str] | None = None


def waits_query(wanted: WaitFilter) -> PageQuery:
    """The waits of a filter."""
    conditions = _conditions(wanted)
    if wanted.after:
        conditions.add(
            f"({_NEVER}, wait_id) > ({{after_at:DateTime64(6, 'UTC')}}, {{after_id:String}})",
            after_at=wanted.after[0],
            after_id=wanted.after[1],
        )
    order = f"\nORDER BY {_NEVER}, wait_id"
    table = " AND deadline >= {after_at:DateTime64(6, 'UTC')}" if wanted.after else ""
    table += " AND agent = {agent:String}" if wanted.agent else ""
    table += " AND name = {name:String}" if wanted.name else ""
    last = f"deadline <= {_FIRST % ('max', table)}"
    # Without the table's name it would be the column of the answer, which no index knows.
    span = f" WHERE open.deadline >= {_FIRST % ('min', table)} AND open.{last}"
    beginning = f"{_OPEN_IN % span}{conditions.where() or chr(10) + 'WHERE true'}\n    AND {last}{order}"
    return PageQuery(f"{_OPEN}{conditions.where()}{order}", conditions.parameters, beginning)


def rules_of_waits(reader: Reader, rows: Sequence[Row]) -> dict[str, str]:
    """The rules of these waits, by their ids; follow-ups have none."""
    if not rows:
        return {}
    found = reader.query(
        "SELECT wait_id, any(rule) FROM waits "
        "WHERE subject IN (SELECT arrayJoin(JSONExtract({subjects:String}, 'Array(String)'))) "
        "AND wait_id IN (SELECT arrayJoin(JSONExtract({waits:String}, 'Array(String)'))) GROUP BY wait_id",
        {
            "subjects": ids_of({row["subject"] for row in rows}),
            "waits": ids_of(row["wait_id"] for row in rows),
        },
    )
    return {str(wait_id): str(rule) for wait_id, rule in found.rows}


def deadlines_query(wanted: WaitFilter) -> PageQuery:
    """How many waits have their deadline on each day."""
    conditions = _conditions(wanted)
    conditions.add("deadline IS NOT NULL")
    return PageQuery(
        f"SELECT toStartOfDay(assumeNotNull(deadline)) AS bucket, count() AS waits\nFROM\n(\n{_OPEN}\n)"
        f"{conditions.where()}\nGROUP BY bucket\nORDER BY bucket\nLIMIT 400",
        conditions.parameters,
    )


def wait_counts() -> PageQuery:
    """The number of waits of each state."""
    counts = counts_by_state("waits", WAIT_STATES)
    return PageQuery(f"SELECT {counts}\nFROM\n(\n{_OPEN}\n)")


def _conditions(wanted: WaitFilter) -> Conditions:
    conditions = Conditions()
    if condition := WAIT_STATES[wanted.state]:
        conditions.add(f"({condition})")
    if wanted.agent:
        conditions.add("agent = {agent:String}", agent=wanted.agent)
    if wanted.name:
        conditions.add("name = {name:String}", name=wanted.name)
    return conditions


__all__ = [
    "WAIT_STATES",
    "WaitFilter",
    "deadlines_query",
    "is_pending",
    "rules_of_waits",
    "wait_counts",
    "waits_query",
]
