"""Named queries about input that found no use."""

from __future__ import annotations

from upshot.insights.named_queries.query import RECENT, NamedQuery, beginning

INPUT = (
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
        "unmatched-outcomes",
        "Outcomes that nobody ever waited for, by type; recent: of the last 7 days with outcomes",
        f"""\
WITH
    {beginning("SELECT max(recorded_at) AS newest FROM outcomes", 7)} AS began,
    recent AS (SELECT subject, id, type, time FROM outcomes WHERE recorded_at >= began)
SELECT type, count() AS outcomes, min(time) AS first_at, max(time) AS last_at,
       argMax(subject, (time, id)) AS last_subject, began AS since
FROM recent
WHERE (subject, type) NOT IN
(
    SELECT subject, arrayJoin(outcome_types) FROM wait_outlines WHERE subject IN (SELECT subject FROM recent)
)
GROUP BY type
ORDER BY outcomes DESC, type""",
        {"since": RECENT},
    ),
)

__all__ = ["INPUT"]
