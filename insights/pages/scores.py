"""Scores by name: rates, what is pending, expired and late, over time, and the time until an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from upshot.insights.pages.query import Conditions, PageQuery, Row
from upshot.insights.statistics.survival import Departures

#: The ways in which a score's runs are grouped; `attribute` needs a name beside it.
GROUPINGS = ("agent", "version", "model", "attribute")
#: Groups of one score.
MOST_GROUPS = 200

_SUMS = """\
sum(scored) AS scored, sum(booleans) AS booleans, sum(trues) AS trues, sum(numbers) AS numbers,
    if(booleans = 0, NULL, trues / booleans) AS rate, if(numbers = 0, NULL, sum(amount) / numbers) AS mean,
    sum(late_ones) AS late, sum(pending_ones) AS pending, sum(expired_ones) AS expired, max(decided) AS
        last_at"""

_PARTS = """\
    SELECT {group} AS part, name, 1 AS scored, kind = 'boolean' AS booleans, kind = 'boolean' AND value = 1
        AS trues,
           kind = 'number' AS numbers, if(kind = 'number', value, 0) AS amount, late AS late_ones,
           0 AS pending_ones, 0 AS expired_ones, toNullable(decided_at) AS decided
    FROM score_rows
    WHERE origin = 'live'{only}
    UNION ALL
    SELECT {group} AS part, name, 0, 0, 0, 0, 0, 0, 1, 0, NULL FROM open_waits WHERE 1{only}
    UNION ALL
    SELECT {group} AS part, name, 0, 0, 0, 0, 0, 0, 0, 1, NULL
    FROM ({expired})"""
#: Scores whose present revision says that the wait expired. Few ever had one that did: these are found first.
_EXPIRED_OF = """\
SELECT * FROM
(
    SELECT * FROM score_revisions
    WHERE score_id IN (SELECT score_id FROM raw_scores WHERE reason = 'expired'{only})
    ORDER BY precedence DESC LIMIT 1 BY score_id
)
WHERE reason = 'expired'{only}"""
#: Leaves one name; every part of a query has it, since none hands a condition on to the part below.
_ONLY = " AND name = {name:String}"


def _parts(group: str, only: str) -> str:
    return _PARTS.format(group=group, only=only, expired=_EXPIRED_OF.format(only=only))


def score_names() -> PageQuery:
    """Every name of scores and waits, with its sums."""
    parts = _parts("''", "")
    return PageQuery(f"SELECT name, {_SUMS}\nFROM\n(\n{parts}\n)\nGROUP BY name\nORDER BY scored DESC, name")


def score_sums(name: str) -> PageQuery:
    """The sums of one name; no row for a name that nothing has."""
    parts = _parts("''", _ONLY)
    return PageQuery(f"SELECT name, {_SUMS}\nFROM\n(\n{parts}\n)\nGROUP BY name", {"name": name})


def score_groups(name: str, by: str, attribute: str = "") -> PageQuery:
    """The sums of one name by agent, version, model or an attribute of the runs."""
    parameters: dict[str, object] = {"name": name}
    group = "agent"
    match by:
        case "attribute":
            group = "attributes[{attribute:String}]"
            parameters["attribute"] = attribute
        case _:
            pass
    if by in ("version", "model"):
        return PageQuery(_BY_RUN % {"part": by}, parameters)
    parts = _parts(group, _ONLY)
    return PageQuery(
        f"SELECT part, {_SUMS}\nFROM\n(\n{parts}\n)\nGROUP BY part\nORDER BY scored DESC, part",
        parameters,
    )


_BY_RUN = """\
SELECT toString(%(part)s) AS part, count() AS scored, countIf(kind = 'boolean') AS booleans,
       countIf(kind = 'boolean' AND value = 1) AS trues, countIf(kind = 'number') AS numbers,
       if(booleans = 0, NULL, trues / booleans) AS rate,
       if(numbers = 0, NULL, sumIf(value, kind = 'number') / numbers) AS mean, countIf(late) AS late,
       NULL AS pending, NULL AS expired, max(decided_at) AS last_at
FROM score_rows
WHERE name = {name:String} AND origin = 'live'
GROUP BY part
ORDER BY scored DESC, part"""


def score_over_time(name: str, seconds: int, as_of: datetime | None = None) -> PageQuery:
    """Scored, rate and mean by the time of the decision; as of an instant the revisions known by then."""
    source, conditions = _current(name, as_of)
    return PageQuery(
        "SELECT toStartOfInterval(decided_at, INTERVAL {bucket:UInt32} SECOND) AS bucket, count() AS scored, "
        "countIf(kind = 'boolean') AS booleans, if(booleans = 0, NULL, countIf(kind = 'boolean' AND value "
        "= 1) "
        "/ booleans) AS rate, if(countIf(kind = 'number') = 0, NULL, avgIf(value, kind = 'number')) AS mean, "
        "countIf(late) AS late, countIf(each.revision > 1 AND NOT each.late) AS revised, "
        "countIf(each.revision > 1 AND each.reason = 'given') AS given_again\n"
        f"FROM {source} AS each{conditions.where()}\nGROUP BY bucket\nORDER BY bucket\nLIMIT 2000",
        conditions.parameters | {"bucket": seconds},
    )


def revisions_a_day(name: str, as_of: datetime | None = None, given: bool = True) -> PageQuery:
    """How many scores of a name were decided anew on each day: before and after the deadline was judged.

    Of a score that was given and then decided, the decisions count. Without `given` none was given again.
    """
    parameters: dict[str, object] = {"name": name}
    known = ""
    if as_of is not None:
        known = " AND decided_at <= {as_of:DateTime64(6, 'UTC')}"
        parameters["as_of"] = as_of
    revisions = _DECIDED_AGAIN + (_GIVEN_AGAIN if given else "")
    return PageQuery(_REVISIONS_A_DAY % (revisions % {"known": known}), parameters)


_REVISIONS_A_DAY = """\
SELECT toStartOfDay(decided_at) AS bucket, countIf(NOT late) AS in_time, countIf(late) AS too_late
FROM
(
%s
)
GROUP BY bucket
ORDER BY bucket
LIMIT 2000"""
_DECIDED_AGAIN = """\
    SELECT decided_at, late FROM changed_scores
    WHERE name = {name:String} AND revision > 1 AND reason != 'given'%(known)s"""
#: Decisions say their number. Given scores have theirs from their place among all revisions, which takes
#: long to find: only those are numbered that were given several times.
_GIVEN_AGAIN = """
    UNION ALL
    SELECT decided_at, late FROM score_revisions
    WHERE name = {name:String} AND revision > 1 AND reason = 'given'%(known)s AND score_id IN
        (SELECT score_id FROM score_rows WHERE name = {name:String} AND reason = 'given' AND revision > 1)"""


def score_rows(name: str, as_of: datetime | None = None, late: bool = False) -> PageQuery:
    """The current scores of one name, the latest first; all or late ones."""
    source, conditions = _current(name, as_of)
    if late:
        conditions.add("late")
    columns = "decided_at, run_id, step_id, value, kind, revision, reason, late, subject, agent, score_id"
    select, order = f"SELECT {columns}\nFROM {source}", "\nORDER BY decided_at DESC, score_id"
    beginning = ""
    if as_of is None:
        last = among_the_last(f"name = {{name:String}}{' AND late' if late else ''}", "name = {name:String}")
        beginning = f"{select}{conditions.where()}\n    AND {last}{order}"
    return PageQuery(f"{select}{conditions.where()}{order}", conditions.parameters, beginning)


def among_the_last(condition: str, of_key: str) -> str:
    """SQL of a condition for `score_rows`: the last `{rows:UInt32}` scores under `condition` meet it.

    The table has rows of one score several times until they are merged. One column of it tells how far back
    the last ones go, and its key, of which `of_key` is the known part, finds them.
    """
    oldest = f"""\
(SELECT min(decided_at) FROM
        (SELECT decided_at FROM raw_score_rows WHERE {condition}
        ORDER BY decided_at DESC LIMIT 3 * {{rows:UInt32}}))"""
    return f"""\
decided_at >= {oldest} AND (name, started_at) IN
        (SELECT name, started_at FROM raw_score_rows
        WHERE {of_key} AND decided_at >= {oldest})"""


def _current(name: str, as_of: datetime | None) -> tuple[str, Conditions]:
    conditions = Conditions()
    conditions.add("name = {name:String}", name=name)
    if as_of is None:
        return "score_rows", conditions
    conditions.add("value IS NOT NULL")
    conditions.parameters["as_of"] = as_of
    source = (
        "(SELECT * FROM scores WHERE name = {name:String} AND decided_at <= {as_of:DateTime64(6, 'UTC')} "
        "ORDER BY precedence DESC LIMIT 1 BY score_id)"
    )
    return source, conditions


def expired_query(name: str) -> PageQuery:
    """The waits of a name that ended without an answer, the latest first."""
    return PageQuery(_EXPIRED, {"name": name})


_EXPIRED_OF_NAME = _EXPIRED_OF.format(only=_ONLY)
_EXPIRED = f"""\
SELECT decided_at, run_id, step_id, subject, agent, score_id
FROM ({_EXPIRED_OF_NAME})
ORDER BY decided_at DESC, score_id"""


def departures_query(name: str) -> PageQuery:
    """How many waits of a name had their outcome, or were last seen without, by hours since their opening.

    A row's `hours` is the end of its span; there are 100 spans to each factor of ten.
    """
    return PageQuery(_DEPARTURES, {"name": name})


def departures(rows: Sequence[Row]) -> list[Departures]:
    """When waits had their outcome, in hours since they were opened; open waits are censored."""
    return [
        Departures(float(row["hours"]), {"outcome": int(row["outcomes"])}, int(row["without"]))
        for row in rows
    ]


_DEPARTURES = f"""\
SELECT exp10(toInt16(ceil(100 * log10(greatest(micros, 1) / 3.6e9))) AS span / 100) AS hours,
    countIf(came) AS outcomes, countIf(NOT came) AS without
FROM
(
    SELECT reason = 'outcome' AS came, if(came, occurred_at, wait_deadline) AS until,
        toUnixTimestamp64Micro(assumeNotNull(until)) - toUnixTimestamp64Micro(assumeNotNull(wait_opened_at))
            AS micros
    FROM score_rows
    WHERE name = {{name:String}} AND reason IN ('outcome', 'deadline') AND wait_opened_at IS NOT NULL
        AND until IS NOT NULL
    UNION ALL
    SELECT false, NULL, toUnixTimestamp64Micro(now64(6)) - toUnixTimestamp64Micro(opened_at)
    FROM open_waits WHERE name = {{name:String}}
    UNION ALL
    SELECT false, NULL, toUnixTimestamp64Micro(deadline) - toUnixTimestamp64Micro(opened_at)
    FROM waits
    WHERE name = {{name:String}} AND (subject, wait_id) IN (SELECT subject, wait_id FROM ({_EXPIRED_OF_NAME}))
)
GROUP BY span
ORDER BY span"""


def reach_of_scores(name: str, every: bool = False) -> PageQuery:
    """First and last decision of a name, and the number of its scores; `every`: of all of their revisions."""
    return PageQuery(
        "SELECT count() AS scores, min(decided_at) AS first_at, max(decided_at) AS last_at FROM "
        f"{'scores' if every else 'score_rows'} WHERE name = {{name:String}}",
        {"name": name},
    )


__all__ = [
    "GROUPINGS",
    "MOST_GROUPS",
    "among_the_last",
    "departures",
    "departures_query",
    "expired_query",
    "reach_of_scores",
    "revisions_a_day",
    "score_groups",
    "score_names",
    "score_over_time",
    "score_rows",
    "score_sums",
]
