"""The tables of an experiment's page: a metric's arms with their effects, and segments."""

from __future__ import annotations

from typing import Any

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.results import MetricResult, shown
from upshot.insights.experiments.verdict import difference
from upshot.web.charts.forest import Estimate, Whisker, reach, whisker
from upshot.web.formats import number, percent


def metric_card(result: MetricResult, plan: ExperimentPlan) -> dict[str, Any]:
    """A metric's table: a row for each arm, with the place of its effect on the common scale."""
    metric = result.metric
    estimates = {
        each.variant: Estimate(each.interval.low, each.effect.difference, each.interval.high)
        for each in result.comparisons
    }
    top = reach(list(estimates.values()))
    rows = []
    for arm in result.arms:
        each = result.against_control(arm.variant)
        place: Whisker | None = None
        if each:
            place = whisker(estimates[arm.variant], top, lower_is_better=metric.lower_is_better)
        rows.append(
            {
                "arm": arm,
                "value": _value(arm.value, metric),
                "comparison": each,
                "difference": difference(each, metric) if each else "",
                "whisker": place,
                "maturity": _maturity(arm),
                "is_control": arm.variant == plan.control,
            }
        )
    scale = f"{100 * top:.3g} pts" if metric.boolean else f"{top:.3g}"
    return {"metric": metric, "result": result, "rows": rows, "scale": scale,
            "has_cost": any(arm.cost for arm in result.arms)}  # fmt: skip


def _value(value: float | None, metric: PlannedMetric) -> str:
    if value is None:
        return number(None)
    return percent(value) if metric.boolean else number(value)


def _maturity(arm: Any) -> list[dict[str, Any]]:
    """Units that are compared, matured without an outcome, and still maturing, as shares of all exposed."""
    whole = max(1, arm.exposed)
    silent = sum(arm.causes.get(cause, 0) for cause in ("expired", "never_asked", "open"))
    silent = min(silent, arm.matured)
    counts = (
        ("matured", arm.matured - silent, "mature with an outcome"),
        ("expired", silent, "mature without an outcome"),
        ("maturing", arm.maturing, "maturing"),
        ("excluded", sum(arm.excluded.values()), "excluded"),
    )
    found, x = [], 0.0
    for kind, count, label in counts:
        width = round(1000 * count / whole, 1)
        if count:
            found.append({"kind": kind, "x": round(x, 1), "width": width, "label": f"{count:,} {label}"})
        x += width
    return found


def segment_rows(parts: dict[str, MetricResult], plan: ExperimentPlan) -> list[dict[str, Any]]:
    """A row for each segment and variant; `holds`: among all segments together."""
    holds = shown(parts, plan.alpha)
    return [
        {
            "segment": segment,
            "variant": each.variant,
            "mature": result.arm(each.variant).moments.n,
            "value": _value(result.arm(each.variant).value, result.metric),
            "difference": difference(each, result.metric),
            "holds": (segment, each.variant) in holds,
        }
        for segment, result in parts.items()
        for each in result.comparisons
    ]


__all__ = ["metric_card", "segment_rows"]
