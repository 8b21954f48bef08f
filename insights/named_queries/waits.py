"""Named queries about what is pending."""

from __future__ import annotations

from upshot.insights.named_queries.query import NamedQuery

#: Open waits and follow-ups that are not done; of those the mode is `followup` and the id is the follow-up's.
ALL_PENDING = """\
SELECT toNullable(deadline) AS deadline, overdue, toString(name) AS name, agent, subject, run_id,
       toString(mode) AS mode, opened_at, wait_id
FROM open_waits
UNION ALL
SELECT deadline, overdue, toString(name), agent, subject, run_id, 'followup', opened_at, followup_id
FROM pending_followups"""

#: Ids of scores are hashes, and scores are stored in their order: the first of them are a fair sample.
_LATENCY = """\
WITH
    (
        SELECT if(count() <= {most:UInt32}, char(244, 143, 191, 191),
                  leftPad(lower(hex(toUInt32(floor({most:UInt32} / count() * 4294967296)))), 8, '0'))
        FROM scored_subjects
    ) AS bound,
    drawn AS
    (
        SELECT name, subject, outcome_id, wait_id, decided_at
        FROM score_outlines
        WHERE score_id < bound AND reason = 'outcome'
    )
SELECT name, count() AS scored,
       round((quantilesExact(0.5, 0.9, 0.99)(seconds) AS found)[1], 3) AS p50, round(found[2], 3) AS p90,
       round(found[3], 3) AS p99, round(max(seconds), 3) AS longest,
       (SELECT round(least(100, 100 * {most:UInt32} / count()), 2) FROM scored_subjects) AS percent_read
FROM
(
    SELECT score.name AS name,
           (toUnixTimestamp64Micro(score.decided_at)
            - toUnixTimestamp64Micro(greatest(outcome.recorded_at, wait.recorded_at))) / 1e6 AS seconds
    FROM drawn AS score
    INNER JOIN (
        SELECT subject, id, min(recorded_at) AS recorded_at
        FROM outcomes
        WHERE subject IN (SELECT subject FROM drawn)
        GROUP BY subject, id
    ) AS outcome
        ON outcome.subject = score.subject AND outcome.id = score.outcome_id
    INNER JOIN (
        SELECT subject, wait_id, recorded_at FROM wait_outlines WHERE subject IN (SELECT subject FROM drawn)
    ) AS wait
        ON wait.subject = score.subject AND wait.wait_id = score.wait_id
)
GROUP BY name
ORDER BY name"""


WAITS = (
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
        "latency",
        "Seconds from when both wait and outcome were in Kafka until the decision; of many, a sample",
        _LATENCY,
        {"most": "20000"},
    ),
    NamedQuery(
        "pending-why",
        "What is pending, and why: the time, the join, or code that failed",
        """\
SELECT deadline, name, agent, subject, run_id, why, wait_id AS id
FROM
(
    SELECT toNullable(deadline) AS deadline, toString(name) AS name, toString(agent) AS agent, subject,
           run_id, wait_id, if(overdue, 'its deadline has passed: the join has yet to decide (upshot doctor)',
               concat('waits for an outcome about its subject until the deadline, mode ', mode)) AS why
    FROM open_waits
    UNION ALL
    SELECT deadline, toString(name), toString(agent), subject, run_id, followup_id,
           concat('a follow-up is not done: ', if(overdue, 'its time has passed', 'its time has yet to come'))
    FROM pending_followups
)
WHERE ({agent:String} = '' OR agent = {agent:String}) AND ({name:String} = '' OR name = {name:String})
ORDER BY deadline NULLS LAST, subject, id
LIMIT {limit:UInt32}""",
        {"agent": "", "name": "", "limit": "100"},
    ),
)

__all__ = ["ALL_PENDING", "WAITS"]
