"""A judge's immediate scores against the outcomes that came later, and an early read from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from upshot.insights.experiments.exact import units_of
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.row_units import EXCLUSION, NAMED, units_of_rows
from upshot.insights.experiments.units import parameters
from upshot.insights.experiments.written_rows import has_all_rows
from upshot.insights.reader import Reader
from upshot.insights.statistics.judges import (
    Calibration,
    EarlyRead,
    Gap,
    Judged,
    calibration,
    early_read,
    gap,
)
from upshot.insights.statistics.moments import Moments

#: Units with scores equal to this many decimals are read as one group.
_DECIMALS = 3

_GROUPS = f"""\
SELECT named.variant AS variant, judged AS score, mature, count() AS n, sum(y) AS successes
FROM (%s) AS units
INNER JOIN ({NAMED}) AS named ON named.arm = units.arm
WHERE NOT isNaN(judged) AND {EXCLUSION} = ''
GROUP BY variant, score, mature
ORDER BY variant, score, mature"""
_EXACT_GROUPS = """\
SELECT variant, judged.score AS score, mature, count() AS n, sum(y) AS successes
FROM
(
    SELECT variant, first_run AS run_id, mature, y FROM
    (
%s
    )
    WHERE exclusion = ''
) AS units
INNER JOIN
(
    SELECT run_id, round(avg(latest), {decimals:UInt8}) AS score
    FROM
    (
        SELECT run_id, score_id, argMax(tuple(value), precedence).1 AS latest
        FROM scores
        WHERE name = {judge:String} AND step_id IS NULL AND recorded_at <= {as_of:DateTime64(6, 'UTC')}
        GROUP BY run_id, score_id
    )
    WHERE latest IS NOT NULL
    GROUP BY run_id
) AS judged USING (run_id)
GROUP BY variant, score, mature
ORDER BY variant, score, mature"""


@dataclass(frozen=True)
class JudgedArm:
    """One variant under a judge."""

    variant: str
    calibration: Calibration
    early: EarlyRead | None
    """The mean with the judge's help; None with fewer than two mature units. Never a decision."""
    gap: Gap | None
    """Whether this variant succeeds more or less often than control at equal scores; None for control."""


@dataclass(frozen=True)
class Judgement:
    """How well a judge foretells a boolean metric, by variant, control first."""

    judge: str
    metric: PlannedMetric
    arms: tuple[JudgedArm, ...]


def judgement(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, judge: str, as_of: datetime
) -> Judgement:
    """Compare the scores named `judge` of the units' first runs with the values of a boolean metric."""
    has_rows = has_all_rows(reader)
    return _judgement(
        plan, metric, judge, judged_groups(reader, plan, metric, judge, as_of, of_rows=has_rows)
    )


def judged_groups(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, judge: str, as_of: datetime, *, of_rows: bool
) -> list[dict[str, Any]]:
    """Units by variant, judge's score and maturity: from the rows, or from the exact views."""
    sql = _GROUPS % units_of_rows([metric], "judged") if of_rows else _EXACT_GROUPS % units_of(metric)
    further = {"judge": judge, "decimals": _DECIMALS}
    return reader.query(sql, parameters(plan, metric, as_of) | further).objects()


def _judgement(
    plan: ExperimentPlan, metric: PlannedMetric, judge: str, rows: Sequence[dict[str, Any]]
) -> Judgement:
    mature: dict[str, list[Judged]] = {arm: [] for arm in plan.arms}
    waiting: dict[str, list[Judged]] = {arm: [] for arm in plan.arms}
    for row in rows:
        group = Judged(float(row["score"]), int(row["n"]), round(float(row["successes"])))
        (mature if int(row["mature"]) else waiting)[row["variant"]].append(group)
    control = mature[plan.control]
    arms = [
        JudgedArm(
            arm,
            calibration(mature[arm]),
            _early(mature[arm], waiting[arm]),
            None if arm == plan.control else gap(control, mature[arm]),
        )
        for arm in plan.arms
    ]
    return Judgement(judge, metric, tuple(arms))


def _early(mature: Sequence[Judged], waiting: Sequence[Judged]) -> EarlyRead | None:
    moments = reduce(Moments.__add__, (_moments(group) for group in mature), Moments())
    if moments.n < 2:
        return None
    n = sum(group.n for group in waiting)
    mean = sum(group.n * group.score for group in waiting) / n if n else 0.0
    return early_read(moments, n, mean)


def _moments(group: Judged) -> Moments:
    """Units with the same score x: y is 1 for the successes among them."""
    n, successes, score = group.n, group.successes, group.score
    return Moments(n, successes, successes, n, n, successes, n * score, n * score * score, successes * score)


__all__ = ["JudgedArm", "Judgement", "judged_groups", "judgement"]
