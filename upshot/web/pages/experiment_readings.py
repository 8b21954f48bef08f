"""Further readings of an experiment: a judge against the outcomes, and differences adjusted by the past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from upshot.ingest.answers import Problem
from upshot.insights.experiments.adjusting import Adjustment, adjustment
from upshot.insights.experiments.judging import Judgement, judgement
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.report import adjustment_json, judgement_json
from upshot.insights.experiments.verdict import signed
from upshot.insights.experiments.verify import Verified, verified
from upshot.web.formats import NOTHING, percent
from upshot.web.site import PageRequest


@dataclass(frozen=True)
class Readings:
    """What an address asks for beside the results: tables for people, data for programs."""

    judge: str = ""
    adjusts: bool = False
    attribute: str = ""
    judged: tuple[Mapping[str, str], ...] = ()
    adjusted: tuple[Mapping[str, Any], ...] = ()
    #: Stored assignments computed again; None where nobody wants to know.
    verified: tuple[Verified, ...] | None = None
    data: Mapping[str, Any] | None = None


async def further_readings(
    asked: PageRequest, plan: ExperimentPlan, metric: PlannedMetric | None, at: datetime
) -> Readings:
    """By the parameters `judge`, `adjust` and `adjust_by`, as `upshot experiments results` reads them, and
    `verify`, as `upshot experiments verify` does.
    """
    checked = None
    if asked.query.text("verify"):
        checked = tuple(await asked.read(verified, asked.reader, plan.experiment))
    judge, attribute = asked.query.text("judge"), asked.query.text("adjust_by")
    adjusts = bool(asked.query.text("adjust"))
    if metric is None or not (judge or adjusts or attribute):
        return Readings(judge, adjusts, attribute, verified=checked, data=_checked(checked))
    data = _checked(checked)
    judged: tuple[Mapping[str, str], ...] = ()
    if judge:
        if not metric.boolean:
            raise Problem(400, f"a judge is compared with a rate: {metric.name} is a mean")
        found = await asked.read(judgement, asked.reader, plan, metric, judge, at)
        judged, data["judge"] = _judged(found), judgement_json(found)
    adjusted = []
    for key, by in (("adjusted", ""), ("adjusted_by", attribute)):
        if by or (adjusts and key == "adjusted"):
            each = await asked.read(adjustment, asked.reader, plan, metric, at, by)
            adjusted.append({"by": by or "earlier outcomes", "found": each, "rows": _adjusted(each)})
            data[key] = adjustment_json(each)
    return Readings(judge, adjusts, attribute, judged, tuple(adjusted), checked, data)


def _checked(found: tuple[Verified, ...] | None) -> dict[str, Any]:
    return {} if found is None else {"verified": [vars(each) for each in found]}


def _judged(found: Judgement) -> tuple[Mapping[str, str], ...]:
    return tuple(
        {
            "variant": arm.variant,
            "n": f"{arm.calibration.n:,}",
            "auc": _decimals(arm.calibration.auc),
            "brier": _decimals(arm.calibration.brier),
            "early": (
                f"{percent(arm.early.mean)} ({percent(arm.early.interval()[0])} to "
                f"{percent(arm.early.interval()[1])})"
                if arm.early
                else NOTHING
            ),
            "gap": f"{100 * arm.gap.difference:+.1f} points (p {arm.gap.p:.2g})" if arm.gap else "",
        }
        for arm in found.arms
    )


def _decimals(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else NOTHING


def _adjusted(found: Adjustment) -> list[Mapping[str, str]]:
    metric = found.metric
    return [
        {
            "variant": each.variant,
            "difference": f"{signed(each.effect.difference, metric)} ({signed(each.interval.low, metric)} to "
            f"{signed(each.interval.high, metric)})",
            "explained": percent(each.explained, 0),
        }
        for each in found.comparisons
    ]


__all__ = ["Readings", "further_readings"]
