"""Named queries: SQL shared by the command line, the web page, the demo and the dashboards.

The queries read the views alone, never storage. `rate_percent` is the share of true among the boolean scores,
`mean` the mean and `total` the sum of the numeric scores; replayed runs count in none. Pending are open waits
and unfinished follow-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


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
    SELECT name, {group}, 1 AS scores, kind = 'boolean' AS booleans, kind = 'boolean' AND value = 1 AS trues,
           kind = 'number' AS numbers, if(kind = 'number', value, 0) AS amount, 0 AS waits
    FROM current_scores
    WHERE origin = 'live'
    UNION ALL
    SELECT name, {group}, 0, 0, 0, 0, 0, 1
    FROM pending
    WHERE run_id NOT IN (SELECT run_id FROM runs WHERE origin = 'replay')
    UNION ALL
    SELECT name, {group}, 0, 0, 0, 0, 0, 1
    FROM pending_followups
    WHERE run_id NOT IN (SELECT run_id FROM runs WHERE origin = 'replay')
)
GROUP BY name, {column}
ORDER BY name, scored DESC, pending DESC, {column}"""


#: Open waits and follow-ups that are not done; of those the mode is `followup` and the id is the follow-up's.
ALL_PENDING = """\
SELECT toNullable(deadline) AS deadline, overdue, toString(name) AS name, agent, subject, run_id,
       toString(mode) AS mode, opened_at, wait_id
FROM pending
UNION ALL
SELECT deadline, overdue, toString(name), agent, subject, run_id, 'followup', opened_at, followup_id
FROM pending_followups"""


@dataclass(frozen=True)
class NamedQuery:
    """A query with a name: `about` describes the answer in a line.

    `parameters` are its ClickHouse query parameters (`{limit:UInt32}`) with their defaults.
    """

    name: str
    about: str
    sql: str
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


_ASKED = (
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
FROM current_scores
ORDER BY decided_at DESC, score_id
LIMIT {limit:UInt32}""",
        {"limit": "20"},
    ),
    NamedQuery(
        "pending-by-deadline",
        "Waits without a final answer and follow-ups that are not done, the next deadline first",
        f"""\
SELECT deadline, overdue, name, agent, subject, run_id, mode, opened_at, wait_id
FROM
(
{ALL_PENDING}
)
ORDER BY deadline NULLS LAST, subject, wait_id
LIMIT {{limit:UInt32}}""",
        {"limit": "100"},
    ),
    NamedQuery(
        "dead-letters-by-reason",
        "Input that could not be used: how much, since when, and what to do about the last one",
        """\
SELECT reason, topic, count() AS letters, min(recorded_at) AS first_at, max(recorded_at) AS last_at,
       argMax(detail, (recorded_at, dead_letter_id)) AS last_detail
FROM dead_letters
GROUP BY reason, topic
ORDER BY letters DESC, reason, topic""",
    ),
    NamedQuery(
        "unmatched-scores",
        "Scores whose run is unknown so far",
        """\
SELECT decided_at, run_id, name, value, kind, reason, subject
FROM current_scores
WHERE NOT run_known
ORDER BY decided_at DESC, score_id
LIMIT {limit:UInt32}""",
        {"limit": "100"},
    ),
    NamedQuery(
        "unmatched-outcomes",
        "Outcomes that nobody ever waited for, by type",
        """\
SELECT type, count() AS outcomes, min(time) AS first_at, max(time) AS last_at,
       argMax(subject, (time, id)) AS last_subject
FROM unmatched_outcomes
GROUP BY type
ORDER BY outcomes DESC, type""",
    ),
    NamedQuery(
        "latency",
        "Seconds from when both wait and outcome were in Kafka until the score was decided",
        """\
SELECT name, count() AS scored,
       round(quantileExact(0.5)(seconds), 3) AS p50, round(quantileExact(0.9)(seconds), 3) AS p90,
       round(quantileExact(0.99)(seconds), 3) AS p99, round(max(seconds), 3) AS longest
FROM
(
    SELECT score.name AS name,
           (toUnixTimestamp64Micro(score.decided_at)
            - toUnixTimestamp64Micro(greatest(outcome.recorded_at, wait.recorded_at))) / 1e6 AS seconds
    FROM (SELECT * FROM scores WHERE reason = 'outcome') AS score
    INNER JOIN (
        SELECT subject, id, min(recorded_at) AS recorded_at FROM outcomes GROUP BY subject, id
    ) AS outcome
        ON outcome.subject = score.subject AND outcome.id = score.outcome_id
    INNER JOIN waits AS wait ON wait.subject = score.subject AND wait.wait_id = score.wait_id
)
GROUP BY name
ORDER BY name""",
    ),
    NamedQuery(
        "time-to-outcome",
        "Hours from the start of a run until the outcome that decided, by agent",
        """\
SELECT name, agent, count() AS scored,
       round(quantileExact(0.5)(hours), 2) AS p50, round(quantileExact(0.9)(hours), 2) AS p90,
       round(quantileExact(0.99)(hours), 2) AS p99
FROM
(
    SELECT name, agent,
           (toUnixTimestamp64Micro(assumeNotNull(occurred_at))
            - toUnixTimestamp64Micro(assumeNotNull(run_started_at))) / 3.6e9 AS hours
    FROM current_scores
    WHERE reason = 'outcome' AND occurred_at IS NOT NULL AND run_started_at IS NOT NULL AND origin = 'live'
)
GROUP BY name, agent
ORDER BY name, agent""",
    ),
    NamedQuery(
        "late-revisions",
        "How many scores changed after they were decided, and why",
        """\
SELECT name, reason, late, count() AS revisions, uniqExact(score_id) AS scores, max(decided_at) AS last_at
FROM scores
WHERE revision > 1
GROUP BY name, reason, late
ORDER BY name, revisions DESC, reason, late""",
    ),
    NamedQuery(
        "history-of-run",
        "Every revision of every score of one run",
        """\
SELECT name, step_id, revision, value, kind, reason, late, decided_at, occurred_at, subject, outcome_id,
       source, comment
FROM scores
WHERE run_id = {run_id:String}
ORDER BY name, score_id, revision""",
        {"run_id": ""},
    ),
    NamedQuery(
        "scores-as-of",
        "The current scores as they stood at one instant",
        """\
SELECT run_id, step_id, name, value, kind, revision, reason, subject, decided_at
FROM
(
    SELECT * FROM scores
    WHERE decided_at <= {as_of:DateTime64(6, 'UTC')}
        AND (kind = '' OR (name, kind) IN (SELECT name, kind FROM score_kinds))
    ORDER BY precedence DESC
    LIMIT 1 BY score_id
)
WHERE value IS NOT NULL
ORDER BY run_id, name, score_id""",
        {"as_of": "2100-01-01 00:00:00"},
    ),
)

#: All named queries by their names.
QUESTIONS: Mapping[str, NamedQuery] = MappingProxyType({query.name: query for query in _ASKED})

__all__ = ["ALL_PENDING", "QUESTIONS", "NamedQuery"]
