"""Named queries about scores as they stand: rates, segments, costs, latency."""

from __future__ import annotations

from upshot.insights.named_queries.query import ALWAYS, NamedQuery


def _rates(group: str) -> str:
    """How many scores there are for each name and `group` (a column), and how many are still to come."""
    column = group.rpartition(" AS ")[2]
    return f"""\
SELECT
    name,
    {column},
    sum(scores) AS scored,
    if(sum(booleans) = 0, NULL, round(100 * sum(trues) / sum(booleans), 1)) AS rate_percent,
    if(sum(numbers) = 0, NULL, sum(amount) / sum(numbers)) AS mean,
    if(sum(numbers) = 0, NULL, sum(amount)) AS total,
    sum(waits) AS pending
FROM
(
    SELECT name, {group}, count() AS scores, countIf(kind = 'boolean') AS booleans,
           countIf(kind = 'boolean' AND value = 1) AS trues, countIf(kind = 'number') AS numbers,
           sumIf(value, kind = 'number') AS amount, 0 AS waits
    FROM score_rows
    WHERE origin = 'live'
    GROUP BY name, {column}
    UNION ALL
    SELECT name, {group}, 0, 0, 0, 0, 0, count()
    FROM open_waits
    WHERE origin = 'live'
    GROUP BY name, {column}
    UNION ALL
    SELECT name, {group}, 0, 0, 0, 0, 0, count()
    FROM pending_followups
    WHERE run_id NOT IN
        (SELECT run_id FROM runs WHERE origin = 'replay' AND run_id IN (SELECT run_id FROM followup_outlines))
    GROUP BY name, {column}
)
GROUP BY name, {column}
ORDER BY name, scored DESC, pending DESC, {column}"""


SCORES = (
    NamedQuery(
        "scores-by-agent",
        "How many scores each agent has, their rate or mean, and how many are pending",
        _rates("agent"),
    ),
    NamedQuery(
        "scores-by-attribute",
        "The same by the values of one attribute of the runs, such as the language",
        _rates("attributes[{attribute:String}] AS attribute"),
        {"attribute": "language"},
    ),
    NamedQuery(
        "latest-scores",
        "The scores that were decided last",
        """\
SELECT decided_at, name, value, kind, agent, run_id, step_id, reason, revision, late, subject
FROM score_rows
ORDER BY decided_at DESC, score_id
LIMIT {limit:UInt32}""",
        {"limit": "20"},
    ),
    NamedQuery(
        "unmatched-scores",
        "Scores whose run is unknown so far",
        """\
SELECT decided_at, run_id, name, value, kind, reason, subject
FROM score_rows
WHERE NOT run_known
ORDER BY decided_at DESC, score_id
LIMIT {limit:UInt32}""",
        {"limit": "100"},
    ),
    NamedQuery(
        "time-to-outcome",
        "Hours from the start of a run until the outcome that decided, by agent",
        """\
SELECT name, agent, count() AS scored,
       round((quantilesExact(0.5, 0.9, 0.99)(hours) AS found)[1], 2) AS p50, round(found[2], 2) AS p90,
       round(found[3], 2) AS p99
FROM
(
    SELECT name, agent,
           (toUnixTimestamp64Micro(assumeNotNull(occurred_at))
            - toUnixTimestamp64Micro(started_at)) / 3.6e9 AS hours
    FROM score_rows
    WHERE reason = 'outcome' AND occurred_at IS NOT NULL AND origin = 'live'
        AND started_at > toDateTime64(0, 6, 'UTC')
)
GROUP BY name, agent
ORDER BY name, agent""",
    ),
    NamedQuery(
        "best-model-by-segment",
        "Which model scores best for each value of an attribute: mean, 95 % interval, place",
        """\
SELECT name, segment, model, scored, round(average, 4) AS mean, round(1.96 * error, 4) AS plus_minus,
       row_number() OVER (PARTITION BY name, segment ORDER BY average DESC, model) AS place
FROM
(
    SELECT name, attributes[{attribute:String}] AS segment, model, count() AS scored, avg(value) AS average,
           if(scored > 1, stddevSampStable(value) / sqrt(scored), NULL) AS error
    FROM score_rows
    WHERE ({name:String} = '' OR name = {name:String}) AND started_at >= {since:DateTime64(6, 'UTC')}
        AND origin = 'live' AND model != ''
    GROUP BY name, segment, model
    HAVING scored >= {at_least:UInt32}
)
ORDER BY name, segment, place""",
        {"attribute": "language", "name": "", "since": ALWAYS, "at_least": "1"},
    ),
    NamedQuery(
        "score-by-latency",
        "How a score moves with the run's latency, in classes that double",
        """\
SELECT name, pow(2, class) AS from_seconds, pow(2, class + 1) AS to_seconds, count() AS scored,
       round(avg(value), 4) AS mean
FROM
(
    SELECT name, value, floor(log2(greatest(assumeNotNull(latency_seconds), 0.001))) AS class
    FROM score_rows
    WHERE ({name:String} = '' OR name = {name:String}) AND started_at >= {since:DateTime64(6, 'UTC')}
        AND origin = 'live' AND latency_seconds IS NOT NULL
)
GROUP BY name, class
ORDER BY name, class""",
        {"name": "", "since": ALWAYS},
    ),
)

__all__ = ["SCORES"]
