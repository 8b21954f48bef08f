"""Single scores of the past that a rule would have fired for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from upshot.insights.alerts.filters import rule_filters
from upshot.insights.reader import Reader
from upshot.schemas.alert_rules import AlertRule

_FIRED = """\
FROM
(
    SELECT
        score_id, run_id, value, reason, agent, attributes, exposures, recorded_at,
        least(ifNull(occurred_at, decided_at), decided_at) AS happened_at
    FROM scores
    WHERE recorded_at > {since:DateTime64(6, 'UTC')} AND recorded_at <= {until:DateTime64(6, 'UTC')}
        AND ({score:String} = '' OR name = {score:String})
)
WHERE %s"""


@dataclass(frozen=True)
class PastScore:
    """A score that a rule would have fired for."""

    at: datetime
    run_id: str
    agent: str
    value: float | None


def past_scores(
    reader: Reader, rule: AlertRule, since: datetime, until: datetime, most: int
) -> tuple[int, list[PastScore]]:
    """How many scores recorded in that time the rule would have fired for, and the last of them by time."""
    conditions, parameters = _conditions(rule)
    parameters |= {"since": since, "until": until, "score": rule.score or "", "most": most}
    fired = _FIRED % " AND ".join(conditions)
    [[count]] = reader.query(f"SELECT uniqExact(score_id) {fired}", parameters).rows
    rows = reader.query(
        "SELECT min(happened_at) AS at, any(run_id), any(agent), argMin(tuple(value), recorded_at).1 "
        f"{fired} GROUP BY score_id ORDER BY at DESC LIMIT {{most:UInt32}}",
        parameters,
    ).rows
    found = [
        PastScore(datetime.fromisoformat(at).replace(tzinfo=UTC), run_id, agent, value)
        for at, run_id, agent, value in reversed(rows)
    ]
    return int(count), found


def _conditions(rule: AlertRule) -> tuple[list[str], dict[str, object]]:
    found, parameters = rule_filters(rule, "agent", "attributes[{}]".format)
    if rule.kind == "expired":
        found.append("reason = 'expired'")
    for sign, line in (("<", rule.below), (">", rule.above), ("=", rule.equals)):
        if line is not None:
            found.append(f"value {sign} {{line:Float64}}")
            parameters["line"] = float(line)
    return found, parameters


__all__ = ["PastScore", "past_scores"]
