"""The first page: open waits, scores of the last days, experiments."""

from __future__ import annotations

from upshot.insights.pages.query import PageQuery


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

LATEST_SCORES = PageQuery("""\
SELECT decided_at, name, value, kind, agent, run_id, step_id, reason, revision, late, subject, score_id,
    occurred_at
FROM score_rows
ORDER BY decided_at DESC, score_id""")

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
    "SELECT name, count() AS waits\nFROM open_waits\nGROUP BY name\nORDER BY waits DESC, name\nLIMIT 200"
)

OUTCOMES = PageQuery(
    "SELECT time, type, source, subject, id, data FROM outcomes ORDER BY time DESC, source, id"
)

#: Experiments that a list has.
MOST_EXPERIMENTS = 200

EXPERIMENTS = PageQuery(
    """\
SELECT experiment, any(status) AS status, any(phase) AS phase, any(strategy) AS strategy, any(control) AS
    control,
       any(variants) AS variants, max(changed) AS changed_at, sum(runs) AS runs, max(last) AS last_exposed_at
FROM
(
    SELECT experiment, toString(status) AS status, phase, toString(strategy) AS strategy, control, variants,
           toNullable(changed_at) AS changed, 0 AS runs, NULL AS last
    FROM experiments
    UNION ALL
    SELECT toString(experiment), '', '', '', '', map(), NULL, uniqExact(sipHash64(run_id)), max(exposed_at)
    FROM exposures GROUP BY experiment
)
GROUP BY experiment
ORDER BY changed_at DESC NULLS LAST, experiment
LIMIT %d""".replace("any(status)", "max(status)")
    .replace("any(phase)", "max(phase)")
    .replace("any(strategy)", "max(strategy)")
    .replace("any(control)", "max(control)")
    .replace("any(variants)", "maxMap(variants)")
    % MOST_EXPERIMENTS
)

__all__ = [
    "EXPERIMENTS",
    "HOME_COUNTS",
    "LATEST_SCORES",
    "MOST_EXPERIMENTS",
    "OUTCOMES",
    "PENDING",
    "SCORES_A_DAY",
    "STATUS_COUNTS",
]
