"""The first page: open waits, scores of the last days, experiments."""

from __future__ import annotations

from collections.abc import Sequence

from upshot.insights.pages.query import PageQuery, Row
from upshot.insights.pages.scores import among_the_last


def _counts(waits: str) -> PageQuery:
    """Counts of all there is, in one row; `waits` names what is pending."""
    return PageQuery(f"""\
SELECT
    (SELECT count() FROM scored_runs) AS runs,
    (SELECT sum(outcomes) FROM outcome_counts) AS outcomes,
    (SELECT count() FROM score_rows) AS scores,
    (SELECT count() FROM open_waits) + (SELECT count() FROM pending_followups) AS {waits},
    (SELECT count() FROM open_waits WHERE overdue) AS overdue,
    (SELECT count() FROM dead_letters) AS dead_letters""")


HOME_COUNTS = _counts("open_waits")
STATUS_COUNTS = _counts("waits_open")

_LATEST = """\
SELECT decided_at, name, value, kind, agent, run_id, step_id, reason, revision, late, subject, score_id,
    occurred_at
FROM score_rows%s
ORDER BY decided_at DESC, score_id"""
LATEST_SCORES = PageQuery(_LATEST % "", beginning=_LATEST % f"\nWHERE {among_the_last('true', 'true')}")

#: Scores of each name a day, for sparklines; days by the time of the decision.
SCORES_A_DAY = PageQuery("""\
SELECT name, toStartOfDay(decided_at) AS bucket, count() AS scored,
       if(countIf(kind = 'boolean') = 0, NULL, countIf(kind = 'boolean' AND value = 1) / countIf(kind =
           'boolean'))
           AS rate,
       if(countIf(kind = 'number') = 0, NULL, avgIf(value, kind = 'number')) AS mean
FROM score_rows
WHERE decided_at >= (SELECT max(decided_at) FROM score_rows) - INTERVAL 30 DAY
GROUP BY name, bucket
ORDER BY name, bucket""")

#: Open waits of each name, the most first.
PENDING = PageQuery(
    "SELECT name, count() AS waits\nFROM open_waits\nGROUP BY name\nORDER BY waits DESC, name"
)

OUTCOMES = PageQuery(
    "SELECT time, type, source, subject, id, data FROM outcomes ORDER BY time DESC, source, id"
)

#: Experiments that a list has; names of open waits that are read for the first page.
MOST_EXPERIMENTS = MOST_PENDING = 200

#: What the registry says of each experiment.
REGISTERED = PageQuery("""\
SELECT experiment, toString(status) AS status, phase, toString(strategy) AS strategy, control, variants,
    changed_at
FROM experiments""")

#: What was seen of each experiment.
EXPOSED = PageQuery("""\
SELECT toString(experiment) AS experiment, uniqExact(sipHash64(run_id)) AS runs,
    max(exposed_at) AS last_exposed_at
FROM exposure_rows
WHERE NOT carried
GROUP BY experiment""")

EXPERIMENTS = PageQuery(f"""\
SELECT if(told.experiment = '', seen.experiment, told.experiment) AS experiment, status, phase, strategy,
    control, variants, if(told.experiment = '', NULL, told.changed_at) AS changed_at, runs,
    if(seen.experiment = '', NULL, seen.last_exposed_at) AS last_exposed_at
FROM
(
{REGISTERED.sql}
) AS told
FULL JOIN
(
{EXPOSED.sql}
) AS seen ON told.experiment = seen.experiment
ORDER BY changed_at DESC NULLS LAST, experiment""")


def experiment_rows(registered: Sequence[Row], exposed: Sequence[Row]) -> list[Row]:
    """The rows of EXPERIMENTS from its two parts, of which one costs much less than the other."""
    found: dict[str, Row] = {row["experiment"]: {**_UNSEEN, **row} for row in registered}
    for row in exposed:
        found[row["experiment"]] = {**found.get(row["experiment"], _UNTOLD), **row}
    rows = sorted(found.values(), key=lambda row: str(row["experiment"]))
    return sorted(rows, key=lambda row: str(row["changed_at"] or ""), reverse=True)


_UNTOLD: Row = {
    "status": "", "phase": "", "strategy": "", "control": "", "variants": {}, "changed_at": None,
}  # fmt: skip
_UNSEEN: Row = {"runs": 0, "last_exposed_at": None}

__all__ = [
    "EXPERIMENTS",
    "EXPOSED",
    "HOME_COUNTS",
    "LATEST_SCORES",
    "MOST_EXPERIMENTS",
    "MOST_PENDING",
    "OUTCOMES",
    "PENDING",
    "REGISTERED",
    "SCORES_A_DAY",
    "STATUS_COUNTS",
    "experiment_rows",
]
