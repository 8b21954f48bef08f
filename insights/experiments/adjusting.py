"""Differences less what was known of the units before (CUPED): the same question, a narrower interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.row_units import EXCLUSION, NAMED, units_of_rows
from upshot.insights.experiments.units import parameters
from upshot.insights.reader import Reader
from upshot.insights.statistics.effects import Effect, adjusted, combined, of_means
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.sequences import Interval, two_sided

#: A unit without a covariate has the mean of the others, a constant that no variant can move.
_SUMS_OF = """\
SELECT
    phase, variant, count() AS n, sum(y) AS sum_y, sum(y * y) AS sum_yy,
    sum(x) AS sum_x, sum(x * x) AS sum_xx, sum(x * y) AS sum_xy, sum(has_history) AS with_history
FROM 
(
    SELECT phase, variant, y, NOT isNaN(known) AS has_history, if(has_history, known, average) AS x
    FROM
    (
        SELECT
            phase, variant, y, known,
            ifNull((SELECT avgOrNull(known) FROM covered WHERE NOT isNaN(known)), 0) AS average
        FROM covered
    )
)
GROUP BY phase, variant
ORDER BY phase, variant"""
#: The units that are compared, from the rows.
_UNITS = f"""\
WITH units AS
(
    SELECT unit, first_micros, named.phase AS phase, named.variant AS variant, y, %(known)s AS known
    FROM (%(units)s) AS each
    INNER JOIN ({NAMED}) AS named ON named.arm = each.arm
    WHERE mature AND m > 0 AND {EXCLUSION} = ''
),"""
#: A unit's covariate: the mean over its earlier runs, exposed to any experiment under the same unit, of the
#: score of this name as it was known before the first exposure: later knowledge could come from a variant.
_EARLIER = """
earlier AS
(
    SELECT unit, avg(value) AS x FROM
    (
        SELECT
            units.unit AS unit, row.run_key AS run_key,
            fromUnixTimestamp64Micro(units.first_micros, 'UTC') AS at,
            any(row.answer_values[arrayFirstIndex(
                (name, began, ended) -> name = {metric:String} AND began < at AND ended >= at,
                row.answer_names, row.answer_began, row.answer_ended
            )]) AS value
        FROM exposure_rows AS row
        INNER JOIN units ON units.unit = row.unit_key
        WHERE NOT row.carried AND notEmpty(row.answer_names)
        GROUP BY unit, run_key, at
    )
    WHERE value IS NOT NULL
    GROUP BY unit
),
covered AS
(
    SELECT
        units.phase AS phase, units.variant AS variant, units.y AS y,
        if(earlier.unit = 0, nan, earlier.x) AS known
    FROM units
    LEFT ANY JOIN earlier ON earlier.unit = units.unit
)
"""
_OF_HISTORY = f"{_UNITS}{_EARLIER}{_SUMS_OF}"
_OF_NUMBER = f"{_UNITS}\ncovered AS (SELECT phase, variant, y, known FROM units)\n{_SUMS_OF}"


@dataclass(frozen=True)
class AdjustedComparison:
    """A variant against control, with and without what was known of the units."""

    variant: str
    plain: Effect
    effect: Effect
    interval: Interval

    @property
    def explained(self) -> float:
        """The share of the variance that the history explains."""
        return 1 - (self.effect.error / self.plain.error) ** 2 if self.plain.error > 0 else 0.0


@dataclass(frozen=True)
class Adjustment:
    """A metric's differences, adjusted; `with_history` of `units` have earlier outcomes, or the attribute."""

    metric: PlannedMetric
    units: int
    with_history: int
    comparisons: tuple[AdjustedComparison, ...]
    attribute: str = ""
    """What adjusts, if an attribute of the runs."""


def adjustment(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, attribute: str = ""
) -> Adjustment:
    """A metric's differences of means, adjusted by earlier outcomes; phases are combined by their effects.

    With `attribute`: by this attribute of the unit's first run, where it is a number that was stated before
    the exposure.
    """
    sql = _OF_NUMBER if attribute else _OF_HISTORY
    units = units_of_rows([metric], "number" if attribute else "")
    asked = parameters(plan, metric, as_of, attribute)
    filled = sql % {"units": units, "known": "number" if attribute else "nan"}
    rows = reader.query(filled, asked).objects()
    sums = {(str(row["phase"]), str(row["variant"])): _moments(row) for row in rows}
    found = [each for variant in plan.arms[1:] if (each := _compared(plan, sums, variant)) is not None]
    return Adjustment(
        metric,
        sum(moments.n for moments in sums.values()),
        sum(int(row["with_history"]) for row in rows),
        tuple(found),
        attribute,
    )


def _compared(
    plan: ExperimentPlan, sums: Mapping[tuple[str, str], Moments], variant: str
) -> AdjustedComparison | None:
    pairs = [
        (sums[phase.phase, plan.control], sums[phase.phase, variant])
        for phase in plan.phases
        if (phase.phase, plan.control) in sums and (phase.phase, variant) in sums
    ]
    pairs = [pair for pair in pairs if min(pair[0].n, pair[1].n) > 1]
    if not pairs:
        return None
    effect = combined([adjusted(*pair) for pair in pairs])
    plain = combined([of_means(*pair) for pair in pairs])
    return AdjustedComparison(variant, plain, effect, two_sided(effect, plan.planned, plan.alpha))


def _moments(row: Mapping[str, object]) -> Moments:
    n = int(str(row["n"]))
    y, yy, x, xx, xy = (float(str(row[f"sum_{name}"])) for name in ("y", "yy", "x", "xx", "xy"))
    return Moments(n, y, yy, n, n, y, x, xx, xy)


__all__ = ["AdjustedComparison", "Adjustment", "adjustment"]
