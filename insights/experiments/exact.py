"""The units of an experiment from the exact views, in SQL: joined for all, slow for many, and the measure of
`row_units`.
"""

from __future__ import annotations

from collections.abc import Sequence

from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.row_units import PLACE
from upshot.insights.experiments.units import BAD_CLOCK, CAUSES, MADE_AT, UNLISTED, WITHIN

_FIRST = {"variant": "first.1", "phase": "first.2"}
_UNITS = f"""\
SELECT
    unit,
    min(at) AS first_at,
    argMin(tuple(toString(variant), toString(phase), run_id, bad_clock), place) AS first,
    multiIf(
        max(strategy = 'forced'), 'forced',
        uniqExact(variant) > 1, 'several_variants',
        first.4, 'bad_clock',
        {UNLISTED % _FIRST},
        ''
    ) AS exclusion,
    uniqExact(phase) > 1 AS carried,
    arraySort(pair -> pair.2, groupUniqArray(tuple(run_id, at, stated_at))) AS pairs,
    arrayFilter((pair, nth) -> nth = 1, pairs, arrayEnumerateUniq(arrayMap(pair -> pair.1, pairs))) AS runs
FROM
(
    SELECT
        unit, run_id, variant, phase, strategy, {MADE_AT} AS at, {BAD_CLOCK} AS bad_clock,
        least(exposed_at, recorded_at) AS stated_at,
        {PLACE} AS place
    FROM exposures
    WHERE experiment = {{experiment:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
)
WHERE {WITHIN % "at"} AND run_id NOT IN (SELECT run_id FROM runs WHERE origin = 'replay')
GROUP BY unit"""

_RUN_IDS = """\
SELECT run_id FROM exposures
WHERE experiment = {experiment:String} AND recorded_at <= {as_of:DateTime64(6, 'UTC')}"""

#: Rows of a view as their runs are known: those of a trace whose root states another run id are that run's.
_BY_RUN = """\
(
    SELECT run_id%(columns)s FROM %(view)s
    WHERE (%(where)s) AND run_id IN (%(ids)s) AND run_id NOT IN (SELECT run_id FROM run_aliases)
    UNION ALL
    SELECT alias.known_as AS run_id%(columns)s
    FROM
    (
        SELECT run_id%(columns)s FROM %(view)s
        WHERE (%(where)s) AND run_id IN (SELECT run_id FROM run_aliases)
    ) AS told
    INNER JOIN run_aliases AS alias ON alias.run_id = told.run_id
    WHERE alias.known_as IN (%(ids)s)
)"""


def _by_run(view: str, columns: Sequence[str], where: str) -> str:
    listed = "".join(f", {column}" for column in columns)
    return _BY_RUN % {"view": view, "columns": listed, "where": where, "ids": _RUN_IDS}


_SCORES = _by_run(
    "scores",
    ("score_id", "value", "precedence", "occurred_at", "decided_at", "reason", "revision"),
    "name = {metric:String} AND step_id IS NULL AND recorded_at <= {as_of:DateTime64(6, 'UTC')}",
)
_WAITS = _by_run("waits", (), "name = {metric:String} AND recorded_at <= {as_of:DateTime64(6, 'UTC')}")

#: A run's value of a score as of an instant: of each score the revision that was current then.
SCORED = f"""\
SELECT
    run_id,
    avg(latest) AS value,
    max(occurred) AS occurred_at,
    max(decided) AS decided_at,
    max(why) AS reason,
    max(revised) AS revised,
    countIf(latest IS NULL) AS expired
FROM
(
    SELECT
        run_id,
        score_id,
        argMax(tuple(value), precedence).1 AS latest,
        argMax(tuple(occurred_at), precedence).1 AS occurred,
        argMax(decided_at, precedence) AS decided,
        argMax(toString(reason), precedence) AS why,
        argMax(revision > 1, precedence) AS revised
    FROM {_SCORES}
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
SELECT run_id, (toUnixTimestamp64Micro(ended_at) - toUnixTimestamp64Micro(started_at)) / 1e6 AS value
FROM runs WHERE run_id IN ({_RUN_IDS}) AND started_at IS NOT NULL AND ended_at IS NOT NULL""",
    "failed": f"SELECT run_id, toFloat64(status = 'failed') AS value FROM runs WHERE run_id IN ({_RUN_IDS})",
}


def _values(metric: PlannedMetric) -> str:
    """A row for each run with a value, or whose wait expired."""
    if metric.source == "score":
        return SCORED
    return (
        "SELECT run_id, toNullable(toFloat64(value)) AS value, "
        "CAST(NULL, 'Nullable(DateTime64(6, \\'UTC\\'))') AS occurred_at, "
        "toDateTime64(0, 6, 'UTC') AS decided_at, 'measured' AS reason, 0 AS revised, 0 AS expired "
        f"FROM ({_MEASURED[metric.name]})"
    )


#: The runs of each unit that count, each with its value, its cost and how the value came about.
#: A clock of whole seconds can date an outcome up to a second before the exposure that it followed.
_OF_RUNS = """\
SELECT
    unit, first_at, first.1 AS variant, first.2 AS phase, first.3 AS first_run, exclusion, carried, run_id,
    run_at,
    first_at + toIntervalMicrosecond({matures_after:Int64}) AS matures_at,
    matures_at <= {as_of:DateTime64(6, 'UTC')} AS mature,
    %(segment)s AS run_segment,
    ifNull(scored.occurred_at, stated_at) < stated_at - toIntervalSecond(1) AS early,
    scored.value IS NOT NULL AND NOT early AS known,
    if(known, assumeNotNull(scored.value), 0) AS run_value,
    ifNull(spent.cost, 0) AS cost,
    multiIf(
        known AND scored.reason = 'deadline', 'deadline',
        known AND scored.revised AND scored.decided_at > matures_at, 'revised',
        known, 'outcome',
        early, 'before_exposure',
        scored.expired > 0, 'expired',
        asked.waits > 0, 'open',
        run.status IN ('failed', 'cancelled'), 'run_failed',
        'never_asked'
    ) AS run_cause
FROM
(
    SELECT unit, first_at, first, exclusion, carried, pair.1 AS run_id, pair.2 AS run_at, pair.3 AS stated_at
    FROM (%(units)s)
    ARRAY JOIN arrayFilter(
        each -> each.1 = first.3 OR each.2 < first_at + toIntervalMicrosecond({horizon:Int64}), runs
    ) AS pair
) AS exposed
LEFT ANY JOIN (%(values)s) AS scored USING (run_id)
LEFT ANY JOIN (SELECT run_id, status, attributes FROM runs WHERE run_id IN (%(ids)s)) AS run USING (run_id)
LEFT ANY JOIN
(
    SELECT run_id, count() AS waits FROM %(waits)s GROUP BY run_id
) AS asked USING (run_id)
LEFT ANY JOIN
(
    SELECT run_id, sum(ifNull(cost_usd, 0)) AS cost FROM steps WHERE run_id IN (%(ids)s) GROUP BY run_id
) AS spent USING (run_id)"""

_OF_UNITS = """\
SELECT
    unit, first_at, variant, phase, exclusion, carried, mature, matures_at,
    first_run,
    anyIf(run_segment, run_id = first_run) AS segment,
    anyIf(run_cause, run_id = first_run) AS cause,
    sum(run_value) AS y,
    if({missing:String} = 'exclude', sum(known), count()) AS m,
    sum(cost) AS c
FROM
(
%s
)
GROUP BY unit, first_at, first_run, variant, phase, exclusion, carried, mature, matures_at"""

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
    countIf(compared AND m > 0) AS n_all,
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

SCHEDULE = f"""\
SELECT toStartOfHour(matures_at) + toIntervalHour(1) AS at, count() AS units
FROM
(
    SELECT exclusion, first_at + toIntervalMicrosecond({{matures_after:Int64}}) AS matures_at FROM ({_UNITS})
)
WHERE exclusion = '' AND matures_at > {{as_of:DateTime64(6, 'UTC')}}
GROUP BY at
ORDER BY at"""

ARRIVALS = f"""\
SELECT count() FROM ({_UNITS})
WHERE exclusion = '' AND first_at > {{as_of:DateTime64(6, 'UTC')}} - toIntervalDay(7)"""

SHARED = f"""\
SELECT count() FROM
(
    SELECT waits.subject AS subject
    FROM {_by_run("waits", ("subject",), "1")} AS waits
    INNER JOIN
    (
        SELECT run_id, variant FROM exposures
        WHERE experiment = {{experiment:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
            AND {WITHIN % MADE_AT}
    ) AS exposed USING (run_id)
    GROUP BY subject
    HAVING uniqExact(exposed.variant) > 1
)"""


def units_of(metric: PlannedMetric, *, segmented: bool = False) -> str:
    """SQL with a row for each unit: its place in the experiment, and y, m and c, its value, runs and cost."""
    return _OF_UNITS % (
        _OF_RUNS
        % {
            "units": _UNITS,
            "values": _values(metric),
            "ids": _RUN_IDS,
            "waits": _WAITS,
            "segment": "run.attributes[{by:String}]" if segmented else "''",
        }
    )


def cells_of(metric: PlannedMetric, *, segmented: bool = False) -> str:
    """SQL with a row for each phase, variant, exclusion and segment."""
    return _CELLS % units_of(metric, segmented=segmented)


__all__ = ["ARRIVALS", "SCHEDULE", "SCORED", "SHARED", "cells_of", "units_of"]
