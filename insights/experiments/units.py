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
    "bad_clock": "has a clock that can't be right",
    "unknown_variant": "has a variant that the experiment doesn't list",
    "unknown_phase": "was exposed in a phase that the experiment doesn't list",
}
#: Later than any exposure; its place still fits into 64 bits.
_FAR = datetime(2150, 1, 1, tzinfo=UTC)
#: SQL: whether the producer's clock can't be right. What is imported may be a year old, and clocks that are
#: ahead by less stand corrected by Kafka's.
BAD_CLOCK = "(exposed_at > recorded_at + toIntervalDay(1) OR exposed_at < recorded_at - toIntervalDay(366))"
#: SQL: when an exposure counts as made: by the producer's clock or Kafka's, whichever is first.
MADE_AT = f"if({BAD_CLOCK}, recorded_at, least(exposed_at, recorded_at))"
#: SQL: whether an exposure made at that instant belongs to the experiment: once a variant is shipped, all get
#: it, and units that come again would look as if they had two variants.
WITHIN = """NOT has(JSONExtract({ended_phases:String}, 'Array(String)'), phase)
    AND %s < {ended:DateTime64(6, 'UTC')}"""
#: SQL: whether units are of a phase that nobody asked for: nothing shows them.
HIDDEN = "has(JSONExtract({other_phases:String}, 'Array(String)'), %(phase)s)"
#: SQL: why units of a variant and phase are left out, by the lists of the plan; `multiIf` goes around.
UNLISTED = f"""{HIDDEN}, 'other_phase',
        NOT has(JSONExtract({{arms:String}}, 'Array(String)'), %(variant)s), 'unknown_variant',
        NOT has(JSONExtract({{phases:String}}, 'Array(String)'), %(phase)s), 'unknown_phase'"""
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


def parameters_of_plan(plan: ExperimentPlan, as_of: datetime) -> dict[str, object]:
    """The parameters of every query about exposures."""
    return {
        "experiment": plan.experiment,
        "arms": json.dumps(plan.arms),
        "phases": json.dumps([phase.phase for phase in plan.phases]),
        "other_phases": json.dumps(plan.other_phases),
        "ended_phases": json.dumps(plan.ended_phases),
        "ended": plan.ended or _FAR,
        "as_of": as_of,
    }


def parameters(
    plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, by: str = ""
) -> dict[str, object]:
    """The parameters of every query about units."""
    return parameters_of_plan(plan, as_of) | {
        "metric": metric.name,
        "by": by,
        "horizon": round(metric.horizon.total_seconds() * 1_000_000),
        "matures_after": round(metric.matures_after.total_seconds() * 1_000_000),
        "missing": metric.missing,
    }


def instant(text: str) -> datetime:
    """An instant as ClickHouse writes it."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


__all__ = [
    "BAD_CLOCK",
    "CAUSES",
    "EXCLUSIONS",
    "HIDDEN",
    "MADE_AT",
    "UNLISTED",
    "WITHIN",
    "Cell",
    "Population",
    "instant",
    "parameters",
    "parameters_of_plan",
]
