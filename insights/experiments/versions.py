"""The versions of the scorers behind the metrics: one promoted inside a phase changes the ruler."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.units import MADE_AT, WITHIN, parameters
from upshot.insights.reader import Reader

#: Most metrics are decided by rules: two columns say so.
_ANY = """\
SELECT count() FROM
(
    SELECT 1 FROM raw_deferrals WHERE scorer = {metric:String} LIMIT 1
    UNION ALL
    SELECT 1 FROM raw_scores WHERE reason = 'rescored' AND name = {metric:String} LIMIT 1
)"""
#: Of a run the version of its rescored score counts, else that of its follow-up.
_SQL = f"""\
SELECT toString(phase) AS phase, version, uniqExact(unit) AS units
FROM exposures
INNER JOIN
(
    SELECT run_id, argMax(told, at) AS version
    FROM
    (
        SELECT run_id, toString(version) AS told, toDateTime64(0, 6, 'UTC') AS at
        FROM deferrals WHERE scorer = {{metric:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
        UNION ALL
        SELECT run_id, attributes['scorer_version'] AS told, recorded_at AS at
        FROM scores
        WHERE name = {{metric:String}} AND reason = 'rescored'
            AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
    )
    WHERE told != ''
    GROUP BY run_id
) AS scored USING (run_id)
WHERE experiment = {{experiment:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
    AND {WITHIN % MADE_AT}
GROUP BY phase, version
ORDER BY phase, version"""


@dataclass(frozen=True)
class ScorerVersion:
    """How many units of a phase a version of a metric's scorer has evaluated, or will."""

    metric: str
    phase: str
    version: str
    units: int


def scorer_versions(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime
) -> list[ScorerVersion]:
    """The versions of a metric's scorer; none for a metric decided by rules, or given."""
    asked = parameters(plan, metric, as_of)
    if metric.source != "score" or not int(reader.query(_ANY, asked).rows[0][0]):
        return []
    rows = reader.query(_SQL, asked).rows
    return [ScorerVersion(metric.name, phase, version, int(units)) for phase, version, units in rows]


__all__ = ["ScorerVersion", "scorer_versions"]
