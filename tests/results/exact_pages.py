"""What an experiment's page shows of units, from the exact views: the measure of its queries on rows."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from upshot.insights.experiments import exact
from upshot.insights.experiments.charting import Spread
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.units import parameters
from upshot.insights.pages.experiments import course_query, times_query
from upshot.insights.pages.query import Row
from upshot.insights.reader import Reader

_UNITS = """
SELECT
    first_at, unit, first_run AS run_id, variant, phase,
    multiIf(exclusion != '', exclusion, NOT mature, 'maturing', cause) AS state,
    y AS value, c AS cost_usd, matures_at, exclusion, cause
FROM (%s)
ORDER BY first_at DESC, unit"""
_WITH_TIMES = f"""
SELECT
    unit.*,
    if(
        cause IN ('outcome', 'revised'),
        toUnixTimestamp64Micro(scored.occurred_at) - toUnixTimestamp64Micro(first_at), NULL
    ) AS came_after,
    toUnixTimestamp64Micro(least(matures_at, {{as_of:DateTime64(6, 'UTC')}}))
        - toUnixTimestamp64Micro(first_at) AS seen_for
FROM (%s) AS unit
LEFT ANY JOIN ({exact.SCORED}) AS scored USING (run_id)
ORDER BY first_at DESC, unit"""
SHOWN = ("first_at", "unit", "run_id", "variant", "phase", "state", "value", "cost_usd", "matures_at")


def exact_units(reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime) -> list[Row]:
    """Every unit shown, the latest first, with the microseconds to its outcome, and until nobody looked."""
    sql = _WITH_TIMES % (_UNITS % exact.units_of(metric))
    units = reader.query(sql, parameters(plan, metric, as_of)).objects()
    return [unit for unit in units if unit["phase"] not in plan.other_phases]


def exact_times(units: list[Row], seconds: int, steps: int) -> Counter[tuple[str, int, bool]]:
    """Units that are compared, by variant, part of the time and whether their outcome came."""
    found: Counter[tuple[str, int, bool]] = Counter()
    for unit in units:
        came = unit["came_after"] is not None
        micros = max(0, int(unit["came_after"] if came else unit["seen_for"]))
        if not unit["exclusion"]:
            found[unit["variant"], min(steps - 1, micros // (1_000_000 * seconds)), came] += 1
    return found


def assert_charts_alike(reader: Reader, plan: ExperimentPlan, at: datetime, spread: Spread) -> None:
    """A chart leads to SQL of its own, which has its numbers."""
    sums = course_query(plan, spread.charting, at).rows(reader)
    assert [
        (int(row["slot"]), row["phase"], row["variant"], int(row["n"]), round(float(row["sum_y"]), 9))
        for row in sums
    ] == [(*each[:3], each.moments.n, round(each.moments.y, 9)) for each in spread.matured if each.moments.n]
    if spread.charting.metric.source != "score":
        return
    times = times_query(plan, spread.charting, at).rows(reader)
    assert sorted(
        (int(row["slot"]), row["variant"], int(row["outcomes"]), int(row["without"])) for row in times
    ) == [tuple(each) for each in spread.left]


__all__ = ["SHOWN", "assert_charts_alike", "exact_times", "exact_units"]
