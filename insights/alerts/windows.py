"""Timelines of windows, in SQL: of each score's revisions, at which instants T each counts.

A revision counts at T where it was recorded by T, no revision that outranks it was, and its time lies within
the window that ends at T. So a revision has a first T and a T after its last; sums over these edges are the
windows of all T together, for one T as for a month.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import Any

from upshot.alerts.windows import Grid, Group, Timeline
from upshot.insights.alerts.filters import rule_filters
from upshot.insights.reader import Reader
from upshot.insights.statistics.bounds import Sums
from upshot.schemas.alert_rules import AlertRule
from upshot.streams.events.instants import MICROSECOND

#: The waits' deadline, where a score is mature; scores without a wait are mature when decided.
_MATURE = "greatest(decided_us, ifNull(toUnixTimestamp64Micro(asked.deadline), decided_us))"

_TIMELINE = """\
SELECT grp, at, sum(sign) AS n, sum(sign * value) AS y, sum(sign * value * value) AS yy
FROM
(
    SELECT grp, assumeNotNull(number) AS value, edge.1 AS at, toInt64(edge.2) AS sign
    FROM
    (
        SELECT
            %(group)s AS grp,
            %(value)s AS number,
            %(clock)s AS clock_us,
            greatest(clock_us, recorded_us) AS from_us,
            %(end)s AS until_us,
            greatest(
                intDiv(from_us + {every:Int64} - 1, {every:Int64}) * {every:Int64}, {after:Int64}
            ) AS first_at,
            intDiv(until_us + {every:Int64} - 1, {every:Int64}) * {every:Int64} AS end_at
        FROM
        (
            SELECT
                score_id, run_id, agent, attributes, exposures, value, subject, wait_id,
                toUnixTimestamp64Micro(decided_at) AS decided_us,
                toUnixTimestamp64Micro(recorded_at) AS recorded_us,
                min(toNullable(recorded_us)) OVER
                (
                    PARTITION BY score_id ORDER BY precedence DESC
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS outranked_us
            FROM scores
            WHERE name = {score:String} AND %(recent)s
        ) AS score
        %(joins)s
        WHERE %(filters)s
    )
    ARRAY JOIN [(first_at, 1), (end_at, -1)] AS edge
    WHERE number IS NOT NULL AND first_at < end_at AND first_at <= {upto:Int64}
)
WHERE at <= {upto:Int64}
GROUP BY grp, at
ORDER BY grp, at"""

_RUNS = """\
LEFT ANY JOIN
(
    SELECT run_id, agent AS run_agent, attributes AS run_attributes FROM runs
    WHERE run_id IN (SELECT run_id FROM scores WHERE name = {score:String})
) AS run USING (run_id)"""
_WAITS = """\
LEFT ANY JOIN (SELECT subject, wait_id, deadline FROM waits WHERE name = {score:String}) AS asked
    ON score.subject = asked.subject AND score.wait_id = asked.wait_id"""
_LIVE = "run_id NOT IN (SELECT run_id FROM runs WHERE origin = 'replay')"
_AGENT = "if(agent != '', toString(agent), ifNull(run_agent, ''))"
_RECENT = """score_id IN
            (
                SELECT score_id FROM scores
                WHERE name = {score:String}
                    AND greatest(decided_at, recorded_at) > {since:DateTime64(6, 'UTC')}
            )"""


def timeline(reader: Reader, rule: AlertRule, grid: Grid, back: timedelta = timedelta(0)) -> Timeline:
    """The sums of the rule's windows at each T of the grid where they change; of windows `back` earlier.

    `grid.upto` must not lie after the instant up to which the join and the store have read everything.
    """
    length = rule.length // MICROSECOND
    shift = back // MICROSECOND
    silence = rule.kind == "silence"
    matured = rule.population == "matured" and not silence
    clock = "recorded_us" if silence else _MATURE if matured else "decided_us"
    ends = f"clock_us + {length}"
    if not silence:
        ends = f"least({ends}, ifNull(outranked_us, {ends}))"
    filters, parameters = rule_filters(rule, _AGENT, _attribute)
    needs_run = bool(rule.agent or rule.where or rule.by)
    sql = _TIMELINE % {
        "group": _group(rule),
        "value": "toNullable(1.0)" if silence else "value",
        "clock": f"{clock} + {shift}" if shift else clock,
        "end": ends,
        "recent": "1" if matured else _RECENT,
        "joins": "\n        ".join(
            part for part, wanted in ((_RUNS, needs_run), (_WAITS, matured)) if wanted
        ),
        "filters": " AND ".join([_LIVE, *filters]),
    }
    since = max(0, grid.after - 2 * (length + shift))
    parameters |= {
        "score": rule.score or "",
        "every": grid.every,
        "after": grid.after // grid.every * grid.every,
        "upto": grid.last,
        "since": f"{since // 1_000_000}.{since % 1_000_000:06d}",
    }
    parameters |= {f"by{number}": name for number, name in enumerate(rule.by)}
    return _timeline(reader.query(sql, parameters).rows, bool(rule.by))


def _group(rule: AlertRule) -> str:
    """SQL with the values of `by`, as an array of texts."""
    values = [_by(name, number) for number, name in enumerate(rule.by)]
    return f"[{', '.join(values)}]" if values else "['']"


def _by(name: str, number: int) -> str:
    if name == "agent":
        return _AGENT
    if name.startswith("variant:"):
        return f"arrayFirst(each -> each.1 = substring({{by{number}:String}}, 9), exposures).2"
    return _attribute(f"{{by{number}:String}}")


def _attribute(name: str) -> str:
    return f"if(mapContains(attributes, {name}), attributes[{name}], ifNull(run_attributes, map())[{name}])"


def _timeline(rows: list[list[Any]], grouped: bool) -> Timeline:
    found: dict[Group, list[tuple[int, Sums]]] = {}
    for key, edges in groupby(rows, key=lambda row: row[0]):
        n, y, yy = 0, 0.0, 0.0
        steps = found.setdefault(tuple(key) if grouped else (), [])
        for _, at, dn, dy, dyy in edges:
            n, y, yy = n + int(dn), y + float(dy), yy + float(dyy)
            steps.append((int(at), Sums(n, y, yy) if n else Sums(0, 0.0, 0.0)))
    return found


__all__ = ["timeline"]
