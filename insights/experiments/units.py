"""The units of an experiment as one metric sees them: counts, and sums of those that are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.statistics.moments import Moments

#: Why a unit is left out of every comparison.
EXCLUSIONS = {
    "several_variants": "was given more than one variant",
    "forced": "had its variant forced, for a test",
    "unknown_variant": "has a variant that the experiment doesn't list",
    "unknown_phase": "was exposed in a phase that the experiment doesn't list",
}
#: How the value of a unit came about.
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
    """Subjects waited for by runs of several variants: one unit's variant may move another unit's outcome.
    Of many exposures, the first half a million or so count.
    """


def parameters(
    plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, by: str = ""
) -> dict[str, object]:
    """The parameters of every query about units."""
    return {
        "experiment": plan.experiment,
        "metric": metric.name,
        "arms": json.dumps(plan.arms),
        "phases": json.dumps([phase.phase for phase in plan.phases]),
        "as_of": as_of,
        "by": by,
        "horizon": round(metric.horizon.total_seconds() * 1_000_000),
        "matures_after": round(metric.matures_after.total_seconds() * 1_000_000),
        "missing": metric.missing,
    }


def instant(text: str) -> datetime:
    """An instant as ClickHouse writes it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


__all__ = ["CAUSES", "EXCLUSIONS", "Cell", "Population", "instant", "parameters"]
