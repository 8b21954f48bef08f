"""The population of an experiment by the clock, in SQL: who counts, who is excluded and why, who is maturing.

Everything starts from exposures, never from scores: a unit without a score counts as a failure or is counted
as missing (intention to treat); starting from scores would compare the survivors alone.

A unit is its first exposure ever: variant, phase and clock are those of that moment, which is the lesser of
the producer's time and Kafka's. It is mature once `horizon + window + grace` have passed. Its value is that
of the scores recorded by `as_of`, of runs exposed within the horizon (of its first run alone for a horizon of
zero). An outcome from before the exposure doesn't count.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.reader import Reader
from upshot.insights.statistics.moments import Moments

#: Why a unit is left out of every comparison.
EXCLUSIONS = {
    "several_variants": "was given more than one variant",
    "forced": "had its variant forced, for a test",
    "unknown_variant": "has a variant that the experiment doesn't list",
}

_UNITS = """\
SELECT
    unit,
    min(at) AS first_at,
    argMin(tuple(toString(variant), toString(phase), run_id), tuple(at, run_id)) AS first,
    multiIf(
        max(strategy = 'forced'), 'forced',
        uniqExact(variant) > 1, 'several_variants',
        NOT has(JSONExtract({arms:String}, 'Array(String)'), first.1), 'unknown_variant',
        ''
    ) AS exclusion,
    uniqExact(phase) > 1 AS carried,
    groupUniqArray(tuple(run_id, at)) AS runs
FROM
(
    SELECT unit, run_id, variant, phase, strategy, least(exposed_at, recorded_at) AS at
    FROM exposures
    WHERE experiment = {experiment:String} AND recorded_at <= {as_of:DateTime64(6, 'UTC')}
)
WHERE run_id NOT IN (SELECT run_id FROM runs WHERE origin = 'replay')
GROUP BY unit"""

_RUN_IDS = """\
SELECT run_id FROM exposures
WHERE experiment = {experiment:String} AND recorded_at <= {as_of:DateTime64(6, 'UTC')}"""

#: A run's value of a score as of an instant: of each score the revision that was current then.
_SCORED = f"""\
SELECT
    run_id,
    avg(latest) AS value,
    max(occurred) AS occurred_at,
    max(decided) AS decided_at,
    max(why) AS reason,
    countIf(latest IS NULL) AS expired
FROM
(
    SELECT
        run_id,
        score_id,
        argMax(tuple(value), precedence).1 AS latest,
        argMax(tuple(occurred_at), precedence).1 AS occurred,
        argMax(decided_at, precedence) AS decided,
        argMax(toString(reason), precedence) AS why
    FROM scores
    WHERE name = {{metric:String}} AND step_id IS NULL AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
        AND run_id IN ({_RUN_IDS})
    GROUP BY run_id, score_id
)
GROUP BY run_id"""

_MEASURED = {
    column: f"""\
SELECT run_id, sum(ifNull({column}, 0)) AS value
FROM steps WHERE run_id IN ({_RUN_IDS}) GROUP BY run_id"""
    for column in ("cost_usd", "input_tokens", "output_tokens")
} | {
    "seconds": f"""\
SELECT run_id, dateDiff('millisecond', started_at, ended_at) / 1000 AS value
FROM runs WHERE run_id IN ({_RUN_IDS}) AND started_at IS NOT NULL AND ended_at IS NOT NULL""",
    "failed": f"SELECT run_id, toFloat64(status = 'failed') AS value FROM runs WHERE run_id IN ({_RUN_IDS})",
}


def _values(metric: PlannedMetric) -> str:
    """A row for each run with a value, or whose wait expired."""
    if metric.source == "score":
        return _SCORED
    return (
        "SELECT run_id, toNullable(toFloat64(value)) AS value, "
        "CAST(NULL, 'Nullable(DateTime64(6, \\'UTC\\'))') AS occurred_at, "
        "toDateTime64(0, 6, 'UTC') AS decided_at, 'measured' AS reason, 0 AS expired "
        f"FROM ({_MEASURED[metric.name]})"
    )


#: The runs of each unit that count, each with its value, its cost and how the value came about.
#: A clock of whole seconds can date an outcome up to a second before the exposure that it followed.
_OF_RUNS = """\
SELECT
    unit, first_at, first.1 AS variant, first.2 AS phase, exclusion, carried, run_id, run_at,
    first_at + toIntervalMicrosecond({matures_after:Int64}) AS matures_at,
    matures_at <= {as_of:DateTime64(6, 'UTC')} AS mature,
    %(segment)s AS run_segment,
    ifNull(scored.occurred_at, run_at) < run_at - toIntervalSecond(1) AS early,
    scored.value IS NOT NULL AND NOT early AS known,
    if(known, assumeNotNull(scored.value), 0) AS run_value,
    ifNull(spent.cost, 0) AS cost,
    multiIf(
        known AND scored.reason = 'deadline', 'deadline',
        known AND scored.reason != 'measured' AND scored.decided_at > matures_at, 'revised',
        known, 'outcome',
        early, 'before_exposure',
        scored.expired > 0, 'expired',
        asked.waits > 0, 'open',
        run.status IN ('failed', 'cancelled'), 'run_failed',
        'never_asked'
    ) AS run_cause
FROM
(
    SELECT unit, first_at, first, exclusion, carried, pair.1 AS run_id, pair.2 AS run_at
    FROM (%(units)s)
    ARRAY JOIN arrayFilter(
        each -> each.1 = first.3 OR each.2 < first_at + toIntervalMicrosecond({horizon:Int64}), runs
    ) AS pair
) AS exposed
LEFT ANY JOIN (%(values)s) AS scored USING (run_id)
LEFT ANY JOIN (SELECT run_id, status, attributes FROM runs WHERE run_id IN (%(ids)s)) AS run USING (run_id)
LEFT ANY JOIN
(
    SELECT run_id, count() AS waits FROM waits
    WHERE name = {metric:String} AND recorded_at <= {as_of:DateTime64(6, 'UTC')} AND run_id IN (%(ids)s)
    GROUP BY run_id
) AS asked USING (run_id)
LEFT ANY JOIN
(
    SELECT run_id, sum(ifNull(cost_usd, 0)) AS cost FROM steps WHERE run_id IN (%(ids)s) GROUP BY run_id
) AS spent USING (run_id)"""

_OF_UNITS = """\
SELECT
    unit, first_at, variant, phase, exclusion, carried, mature, matures_at,
    argMin(run_id, tuple(run_at, run_id)) AS first_run,
    argMin(run_segment, tuple(run_at, run_id)) AS segment,
    argMin(run_cause, tuple(run_at, run_id)) AS cause,
    sum(run_value) AS y,
    if({missing:String} = 'exclude', sum(known), count()) AS m,
    sum(cost) AS c
FROM
(
%s
)
GROUP BY unit, first_at, variant, phase, exclusion, carried, mature, matures_at"""

CAUSES = {
    "outcome": "by an outcome",
    "deadline": "by the deadline",
    "revised": "revised after maturity",
    "expired": "expired without an answer",
    "open": "still open",
    "before_exposure": "decided by an outcome from before the exposure",
    "run_failed": "the run failed before it asked",
    "never_asked": "never asked",
}
_CAUSES = ",\n    ".join(f"countIf(compared AND cause = '{cause}') AS by_{cause}" for cause in CAUSES)

_CELLS = f"""\
SELECT
    phase, variant, exclusion, segment,
    count() AS exposed,
    countIf(carried) AS carried,
    min(first_at) AS first_exposed_at,
    countIf(NOT mature) AS maturing,
    minIf(matures_at, NOT mature) AS next_at,
    countIf(mature) AS matured,
    {_CAUSES},
    countIf(compared AND m > 0) AS n,
    sumIf(y, compared) AS sum_y, sumIf(y * y, compared) AS sum_yy,
    sumIf(m, compared) AS sum_m, sumIf(m * m, compared) AS sum_mm, sumIf(y * m, compared) AS sum_ym,
    sumIf(c, compared) AS sum_c, sumIf(c * c, compared) AS sum_cc, sumIf(c * y, compared) AS sum_cy
FROM
(
    SELECT *, mature AND exclusion = '' AS compared
    FROM
    (
%s
    )
)
GROUP BY phase, variant, exclusion, segment
ORDER BY phase, variant, exclusion, segment"""

_SCHEDULE = f"""\
SELECT toStartOfHour(matures_at) + toIntervalHour(1) AS at, count() AS units
FROM
(
    SELECT exclusion, first_at + toIntervalMicrosecond({{matures_after:Int64}}) AS matures_at FROM ({_UNITS})
)
WHERE exclusion = '' AND matures_at > {{as_of:DateTime64(6, 'UTC')}}
GROUP BY at
ORDER BY at"""

_ARRIVALS = f"""\
SELECT count() FROM ({_UNITS})
WHERE exclusion = '' AND first_at > {{as_of:DateTime64(6, 'UTC')}} - toIntervalDay(7)"""

_SHARED = f"""\
SELECT count() FROM
(
    SELECT waits.subject AS subject
    FROM (SELECT run_id, subject FROM waits WHERE run_id IN ({_RUN_IDS})) AS waits
    INNER JOIN
    (
        SELECT run_id, variant FROM exposures
        WHERE experiment = {{experiment:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
    ) AS exposed USING (run_id)
    GROUP BY subject
    HAVING uniqExact(exposed.variant) > 1
)"""


@dataclass(frozen=True)
class Cell:
    """Units with one phase, variant, exclusion and segment: their counts, and the sums of those compared."""

    phase: str
    variant: str
    exclusion: str
    segment: str
    exposed: int
    carried: int
    """Units that were exposed again in a later phase; they count in their first."""
    first_exposed_at: datetime
    maturing: int
    next_at: datetime | None
    matured: int
    causes: dict[str, int]
    moments: Moments
    """The metric's value over the unit's runs."""
    costs: Moments
    """The cost as y over the metric's value as m: for the cost of a success."""


@dataclass(frozen=True)
class Population:
    """All units of an experiment as one metric sees them, as of an instant."""

    metric: PlannedMetric
    as_of: datetime
    cells: tuple[Cell, ...]
    maturing: tuple[tuple[datetime, int], ...]
    """When units become mature that are exposed already: to the hour, in order."""
    arrivals_per_day: float
    """New units a day, the mean of the last 7 days."""
    shared_subjects: int
    """Subjects waited for by runs of several variants: one unit's variant may move another unit's outcome."""


def population(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, by: str = ""
) -> Population:
    """Read a metric's population. `by` names a run attribute whose values are the segments.

    `as_of` must not lie after the instant up to which the join and the store have read everything.
    """
    asked = parameters(plan, metric, as_of) | {"by": by}
    cells = reader.query(_CELLS % units_of(metric, segmented=bool(by)), asked).objects()
    schedule = reader.query(_SCHEDULE, asked).rows
    [[arrived]] = reader.query(_ARRIVALS, asked).rows
    [[shared]] = reader.query(_SHARED, asked).rows
    return Population(
        metric,
        as_of,
        tuple(_cell(row) for row in cells),
        tuple((_instant(at), int(units)) for at, units in schedule),
        int(arrived) / 7,
        int(shared),
    )


def units_of(metric: PlannedMetric, *, segmented: bool = False) -> str:
    """SQL with a row for each unit: its place in the experiment, and y, m and c, its value, runs and cost."""
    return _OF_UNITS % (
        _OF_RUNS
        % {
            "units": _UNITS,
            "values": _values(metric),
            "ids": _RUN_IDS,
            "segment": "run.attributes[{by:String}]" if segmented else "''",
        }
    )


def parameters(plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime) -> dict[str, object]:
    """The parameters of `units_of`."""
    return {
        "experiment": plan.experiment,
        "metric": metric.name,
        "arms": json.dumps(plan.arms),
        "as_of": as_of,
        "horizon": round(metric.horizon.total_seconds() * 1_000_000),
        "matures_after": round(metric.matures_after.total_seconds() * 1_000_000),
        "missing": metric.missing,
    }


def _cell(row: dict[str, Any]) -> Cell:
    n = int(row["n"])
    y, yy = float(row["sum_y"]), float(row["sum_yy"])
    return Cell(
        phase=row["phase"],
        variant=row["variant"],
        exclusion=row["exclusion"],
        segment=row["segment"],
        exposed=int(row["exposed"]),
        carried=int(row["carried"]),
        first_exposed_at=_instant(row["first_exposed_at"]),
        maturing=int(row["maturing"]),
        next_at=_instant(row["next_at"]) if int(row["maturing"]) else None,
        matured=int(row["matured"]),
        causes={cause: int(row[f"by_{cause}"]) for cause in CAUSES},
        moments=Moments(n, y, yy, float(row["sum_m"]), float(row["sum_mm"]), float(row["sum_ym"])),
        costs=Moments(n, float(row["sum_c"]), float(row["sum_cc"]), y, yy, float(row["sum_cy"])),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


__all__ = ["CAUSES", "EXCLUSIONS", "Cell", "Population", "parameters", "population", "units_of"]
