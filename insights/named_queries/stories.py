"""Named queries about one run, one subject, and the past."""

from __future__ import annotations

from upshot.insights.named_queries.query import NamedQuery


def _story(condition: str) -> str:
    """Everything that is known about a run or a subject, in the order of time."""
    about_runs = "run_id" in condition
    of_runs = f"""\
    SELECT when.1 AS at, when.2 AS event, agent AS name, run_id, '' AS subject, when.3 AS detail, run_id AS id
    FROM run_outlines
    ARRAY JOIN [(started_at, 'run started', concat('version ', version)),
                (ended_at, 'run ended', concat(status, if(error = '', '', concat(': ', error))))] AS when
    WHERE {condition} AND when.1 IS NOT NULL
    UNION ALL
    SELECT started_at, 'step', name, run_id, '',
           concat(status, if(model = '', '', concat(', ', model)), 
                  if(attempt > 1, concat(', attempt ', toString(attempt)), '')),
           step_id
    FROM step_outlines WHERE {condition}
    UNION ALL
    SELECT toNullable(exposed_at), 'exposure', experiment, run_id, '', variant, exposure_id
    FROM exposures WHERE {condition}
    UNION ALL
"""
    # First by an index what may be meant, then these by their keys: waits and scores are sorted by other ids.
    # The subjects are looked up once, for the waits and for the outcomes.
    asked = f"WITH (SELECT groupUniqArray(subject) FROM waited_subjects WHERE {condition}) AS asked\n"
    outcomes = "subject IN (SELECT arrayJoin(asked))" if about_runs else condition
    waited = f"{outcomes} AND {condition}"
    scored = f"score_id IN (SELECT score_id FROM scored_subjects WHERE {condition}) AND {condition}"
    return f"""\
{asked if about_runs else ""}\
SELECT at, event, name, run_id, subject, detail, id
FROM
(
{of_runs if about_runs else ""}\
    SELECT toNullable(opened_at) AS at, 'wait opened' AS event, toString(name) AS name, run_id AS run_id,
           subject AS subject, concat('mode ', mode, ', until ', toString(deadline)) AS detail, wait_id AS id
    FROM wait_outlines WHERE {waited}
    UNION ALL
    SELECT toNullable(time), 'outcome', toString(type), '', subject, concat('from ', source), id
    FROM outcomes WHERE {outcomes}
    UNION ALL
    SELECT toNullable(decided_at), 'score', toString(name), run_id, subject,
           concat(if(value IS NULL, 'no value', toString(value)), ', revision ',
                   toString(revision), ', ', reason),
           score_id
    FROM score_revisions WHERE {scored}
    UNION ALL
    SELECT toNullable(opened_at), 'pending follow-up', toString(name), run_id, subject,
           if(overdue, 'its time has passed', 'its time has yet to come'), followup_id
    FROM followup_outlines WHERE {condition}
)
ORDER BY at NULLS FIRST, event, name, id"""


STORIES = (
    NamedQuery(
        "history-of-run",
        "Every revision of every score of one run",
        """\
SELECT name, step_id, revision, value, kind, reason, late, decided_at, occurred_at, subject, outcome_id,
       source, comment
FROM score_revisions
WHERE score_id IN (SELECT score_id FROM scored_subjects WHERE run_id = {run_id:String})
    AND run_id = {run_id:String}
ORDER BY name, score_id, revision""",
        {"run_id": ""},
    ),
    NamedQuery(
        "scores-as-of",
        "The current scores as they stood at one instant; the next page is `after` the highest score_id",
        """\
WITH
    (
        SELECT if(count() < {limit:UInt32}, char(244, 143, 191, 191), max(score_id))
        FROM
        (
            SELECT DISTINCT score_id FROM score_outlines
            WHERE score_id > {after:String} AND decided_at <= {as_of:DateTime64(6, 'UTC')}
            ORDER BY score_id LIMIT {limit:UInt32}
        )
    ) AS last
SELECT run_id, step_id, name, value, kind, revision, reason, subject, decided_at, score_id
FROM
(
    SELECT * FROM score_revisions
    WHERE score_id > {after:String} AND score_id <= last AND decided_at <= {as_of:DateTime64(6, 'UTC')}
        AND (kind = '' OR (name, kind) IN (SELECT name, kind FROM score_kinds))
    ORDER BY precedence DESC
    LIMIT 1 BY score_id
)
WHERE value IS NOT NULL
ORDER BY run_id, name, score_id""",
        {"as_of": "2100-01-01 00:00:00", "after": "", "limit": "50000"},
    ),
    NamedQuery(
        "late-revisions",
        "How many scores changed after they were decided, and why",
        """\
SELECT name, reason, late, sum(times) AS revisions, uniqExact(score_id) AS scores, max(decided_at) AS last_at
FROM
(
    SELECT name, reason, late, score_id, 1 AS times, decided_at
    FROM changed_scores
    WHERE revision > 1 AND reason != 'given'
    UNION ALL
    SELECT name, reason, late, score_id, revision - 1, decided_at
    FROM score_rows
    WHERE reason = 'given' AND revision > 1
)
GROUP BY name, reason, late
ORDER BY name, revisions DESC, reason, late""",
    ),
    NamedQuery(
        "story-of-run",
        "All that is known about a run, in the order of time: steps, waits, outcomes, scores",
        _story("run_id = {run_id:String}"),
        {"run_id": ""},
    ),
    NamedQuery(
        "about-subject",
        "All that is known about a subject, in the order of time: waits, outcomes, scores, follow-ups",
        _story("subject = {subject:String}"),
        {"subject": ""},
    ),
)

__all__ = ["STORIES"]
