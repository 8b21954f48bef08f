"""Rules of alerts with what they raised, and how each receiver fares."""

from __future__ import annotations

from datetime import datetime

from upshot.insights.pages.query import PageQuery, Row
from upshot.insights.reader import Reader

_RAISED = """\
SELECT rule.name AS name, rule.kind AS kind, rule.enabled AS enabled, rule.severity AS severity,
    rule.score AS score, rule.notify AS notify, rule.muted_until AS muted_until, rule.version AS version,
    rule.changed_at AS changed_at, rule.changed_by AS changed_by, rule.record AS record,
    raised.last_fired_at AS last_fired_at, raised.alerts AS alerts, raised.firing AS firing
FROM alert_rules AS rule
LEFT ANY JOIN
(
    SELECT toString(name) AS name, toNullable(max(fired_at)) AS last_fired_at, count() AS alerts,
        countIf(state = 'firing') AS firing
    FROM alert_states
    GROUP BY name
) AS raised ON rule.name = raised.name"""

RULES = PageQuery(f"{_RAISED}\nORDER BY name")


def rule_row(reader: Reader, name: str) -> Row | None:
    """One rule with what it raised."""
    rows = reader.query(f"{_RAISED}\nWHERE rule.name = {{name:String}}", {"name": name}).objects()
    return rows[0] if rows else None


def rule_metric(score: str, seconds: int, since: datetime) -> PageQuery:
    """The score that a rule looks at, over all runs, by parts of the time since then."""
    return PageQuery(
        """\
SELECT toStartOfInterval(decided_at, INTERVAL {bucket:UInt32} SECOND) AS bucket, count() AS scored,
    if(countIf(kind = 'boolean') = 0, NULL, avgIf(value, kind = 'boolean')) AS rate,
    if(countIf(kind = 'number') = 0, NULL, avgIf(value, kind = 'number')) AS mean
FROM score_rows
WHERE name = {name:String} AND decided_at >= {since:DateTime64(6, 'UTC')}
GROUP BY bucket
ORDER BY bucket""",
        {"name": score, "bucket": seconds, "since": since},
    )


def rule_firing(rule: str, since: datetime) -> PageQuery:
    """When a rule fired since then, the latest first."""
    return PageQuery(
        """\
SELECT fired_at, if(state = 'firing', NULL, changed_at) AS resolved_at, alert_id, message
FROM alert_states
WHERE name = {rule:String} AND (state = 'firing' OR changed_at >= {since:DateTime64(6, 'UTC')})
ORDER BY fired_at DESC""",
        {"rule": rule, "since": since},
    )


RECEIVERS = PageQuery("""\
SELECT
    receiver,
    max(receiver_kind) AS kind,
    countIf(status = 'sent' AND changed_at > now64(6) - INTERVAL 1 DAY) AS sent,
    countIf(status IN ('pending', 'retrying')) AS waiting,
    countIf(status = 'failed') AS failed,
    countIf(status = 'dropped') AS dropped,
    maxOrNullIf(changed_at, status = 'sent') AS last_sent_at,
    maxOrNullIf(changed_at, status IN ('retrying', 'failed')) AS last_failed_at,
    argMaxIf(error, changed_at, status IN ('retrying', 'failed')) AS error,
    argMaxIf(last_status, changed_at, status IN ('retrying', 'failed')) AS last_status,
    minOrNullIf(next_attempt_at, status = 'retrying') AS next_attempt_at,
    ifNull(last_failed_at, toDateTime64(0, 6, 'UTC')) > ifNull(last_sent_at, toDateTime64(0, 6, 'UTC'))
        AS failing
FROM notices
WHERE changed_at > now64(6) - INTERVAL 30 DAY
GROUP BY receiver
ORDER BY receiver""")

NAMED_RECEIVERS = PageQuery(
    "SELECT receiver, arraySort(groupUniqArray(name)) AS rules\nFROM alert_rules ARRAY JOIN notify AS "
    "receiver\nWHERE enabled\nGROUP BY receiver\nORDER BY receiver"
)

__all__ = ["NAMED_RECEIVERS", "RECEIVERS", "RULES", "rule_firing", "rule_metric", "rule_row"]
