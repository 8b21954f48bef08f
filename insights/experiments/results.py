"""Results of an experiment: a pure function of its plan and its populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from scipy.stats import chi2_contingency

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import Cell, Population
from upshot.insights.statistics.adaptive import AdaptivePhase, aipw
from upshot.insights.statistics.allocation import Allocation, allocation
from upshot.insights.statistics.chances import Chance, chance
from upshot.insights.statistics.costs import Cost, cost_per_success
from upshot.insights.statistics.effects import (
    Effect,
    beyond_margin,
    combined,
    enough,
    of_ratios,
    ratio,
)
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.multiplicity import e_bh, holm
from upshot.insights.statistics.sequences import Interval, below, two_sided

#: A test of equal missing rates warns below this.
MISSING_BELOW = 0.001
_UNASKED = ("expired", "never_asked", "run_failed", "open", "before_exposure")


@dataclass(frozen=True)
class Arm:
    """One variant under one metric."""

    variant: str
    exposed: int
    excluded: Mapping[str, int]
    maturing: int
    next_at: datetime | None
    matured: int
    causes: Mapping[str, int]
    moments: Moments
    value: float | None
    """The rate or mean over mature units, of all phases; for display. None without a mature unit."""
    cost: Cost | None
    """The cost of one success, for a boolean score; None for other metrics."""
    is_enough: bool


@dataclass(frozen=True)
class Comparison:
    """A variant against control under one metric. All intervals are always valid."""

    variant: str
    effect: Effect
    interval: Interval
    adjusted_p: float
    """p after Holm over the variants and metrics that decide; p itself for the others."""
    chance: Chance
    guardrail: Interval | None
    """For a guardrail: how far the variant lies beyond the margin, one-sided; safe where high < 0."""

    @property
    def is_safe(self) -> bool:
        """Whether a guardrail's margin is kept for sure."""
        return self.guardrail is not None and self.guardrail.high < 0


@dataclass(frozen=True)
class MetricResult:
    """One metric: its arms, control first, and each other arm against control."""

    metric: PlannedMetric
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...]
    population: Population
    missing_p: float
    """The p-value of equal shares of units without an outcome; below 0.001 the arms differ in what is
    missing.
    """

    def arm(self, variant: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.variant == variant)

    def against_control(self, variant: str) -> Comparison | None:
        """The comparison of that variant; None where an arm has fewer than two mature units."""
        return next((each for each in self.comparisons if each.variant == variant), None)

    @property
    def differs_in_missing(self) -> bool:
        """Whether arms differ in how many of their units have no outcome."""
        return self.missing_p < MISSING_BELOW


@dataclass(frozen=True)
class SampleRatio:
    """The units of a phase against its weights."""

    phase: str
    counts: Mapping[str, int]
    weights: Mapping[str, float]
    allocation: Allocation


@dataclass(frozen=True)
class Results:
    """Everything that is known of an experiment as of an instant."""

    plan: ExperimentPlan
    as_of: datetime
    metrics: tuple[MetricResult, ...]
    ratios: tuple[SampleRatio, ...]
    first_exposed_at: datetime | None
    unknown_variants: Mapping[str, int]

    @property
    def stopped(self) -> SampleRatio | None:
        """The phase whose units don't fit its weights; nothing else can then be trusted."""
        return next((each for each in self.ratios if each.allocation.stopped), None)

    @property
    def deciding(self) -> MetricResult | None:
        """The metric that the experiment ends on."""
        return next((each for each in self.metrics if each.metric.use == "decision"), None)


def results(plan: ExperimentPlan, populations: Sequence[Population]) -> Results:
    """Compute the results of populations, one for each metric of the plan, all as of one instant."""
    metrics = _with_holm(plan, [_metric(plan, each) for each in populations])
    cells = populations[0].cells if populations else ()
    exposed = [cell.first_exposed_at for cell in cells]
    unknown: dict[str, int] = {}
    for cell in cells:
        if cell.exclusion == "unknown_variant":
            unknown[cell.variant] = unknown.get(cell.variant, 0) + cell.exposed
    return Results(
        plan,
        populations[0].as_of if populations else datetime.max,
        tuple(metrics),
        tuple(_ratio(phase, cells) for phase in plan.phases if phase.weights),
        min(exposed, default=None),
        unknown,
    )


def segments(plan: ExperimentPlan, population: Population) -> dict[str, MetricResult]:
    """The same metric in each segment of a population that was read with `by`; exploratory."""
    names = sorted({cell.segment for cell in population.cells})
    return {
        name: _metric(
            plan,
            replace(population, cells=tuple(cell for cell in population.cells if cell.segment == name)),
        )
        for name in names
    }


def shown(found: Mapping[str, MetricResult], alpha: float = 0.05) -> set[tuple[str, str]]:
    """The (segment, variant) whose difference holds at a false discovery rate of alpha, at this look."""
    values = {
        f"{segment}\0{each.variant}": each.interval.e
        for segment, result in found.items()
        for each in result.comparisons
    }
    return {(name.partition("\0")[0], name.partition("\0")[2]) for name in e_bh(values, alpha)}


def _metric(plan: ExperimentPlan, population: Population) -> MetricResult:
    metric = population.metric
    arms = tuple(_arm(plan, metric, variant, population.cells) for variant in plan.arms)
    comparisons = [_comparison(plan, metric, variant, population.cells) for variant in plan.arms[1:]]
    return MetricResult(
        metric, arms, tuple(each for each in comparisons if each), population, _missing_p(arms)
    )


def _arm(plan: ExperimentPlan, metric: PlannedMetric, variant: str, cells: Sequence[Cell]) -> Arm:
    own = [cell for cell in cells if cell.variant == variant]
    counted = [cell for cell in own if not cell.exclusion]
    excluded: dict[str, int] = {}
    for cell in own:
        if cell.exclusion:
            excluded[cell.exclusion] = excluded.get(cell.exclusion, 0) + cell.exposed
    moments = reduce(Moments.__add__, (cell.moments for cell in counted), Moments())
    costs = reduce(Moments.__add__, (cell.costs for cell in counted), Moments())
    has_cost = metric.boolean and metric.source == "score" and costs.y > 0
    return Arm(
        variant=variant,
        exposed=sum(cell.exposed for cell in own),
        excluded=excluded,
        maturing=sum(cell.maturing for cell in counted),
        next_at=min((cell.next_at for cell in counted if cell.next_at), default=None),
        matured=sum(cell.matured for cell in counted),
        causes={cause: sum(cell.causes[cause] for cell in counted) for cause in _causes(counted)},
        moments=moments,
        value=ratio(moments) if moments.m > 0 else None,
        cost=cost_per_success(costs, plan.planned, plan.alpha) if has_cost else None,
        is_enough=enough(moments, metric.boolean),
    )


def _causes(cells: Sequence[Cell]) -> list[str]:
    return list(cells[0].causes) if cells else []


def _comparison(
    plan: ExperimentPlan, metric: PlannedMetric, variant: str, cells: Sequence[Cell]
) -> Comparison | None:
    """Phases are combined by their effects: counts of phases with other weights are never pooled."""
    pairs = [
        (_of(cells, phase.phase, plan.control), _of(cells, phase.phase, variant)) for phase in plan.phases
    ]
    pairs = [pair for pair in pairs if all(one.n > 1 and one.m > 0 for one in pair)]
    if not pairs:
        return None
    effect = combined([of_ratios(*pair) for pair in pairs])
    if plan.adaptive and len(pairs) > 1:
        effect = aipw(_adaptive_phases(plan, cells, variant), plan.control, variant)
    interval = two_sided(effect, plan.planned, plan.alpha)
    guardrail = None
    if metric.use == "guardrail":
        guardrail = below(combined([_beyond(metric, *pair) for pair in pairs]), plan.planned, plan.alpha)
    good = Effect(-effect.difference, effect.error, effect.n) if metric.lower_is_better else effect
    return Comparison(variant, effect, interval, interval.p, chance(good), guardrail)


def _adaptive_phases(plan: ExperimentPlan, cells: Sequence[Cell], variant: str) -> list[AdaptivePhase]:
    """Phases that gave both control and the variant and have mature units, oldest first."""
    phases = []
    for phase in plan.phases:
        total = sum(phase.weights.values())
        arms = {arm: _of(cells, phase.phase, arm) for arm in plan.arms}
        is_compared = min(phase.weights.get(arm, 0.0) for arm in (plan.control, variant)) > 0
        if is_compared and any(moments.n for moments in arms.values()):
            shares = {arm: phase.weights.get(arm, 0.0) / total for arm in plan.arms}
            phases.append(AdaptivePhase(shares, arms))
    return phases


def _beyond(metric: PlannedMetric, control: Moments, variant: Moments) -> Effect:
    """How far the variant is worse than the margin allows; below zero is within the margin."""
    if metric.lower_is_better:
        return beyond_margin(control, variant, metric.margin)
    inside = beyond_margin(control, variant, -metric.margin)
    return Effect(-inside.difference, inside.error, inside.n)


def _of(cells: Sequence[Cell], phase: str, variant: str) -> Moments:
    own = (
        cell.moments for cell in cells if (cell.phase, cell.variant, cell.exclusion) == (phase, variant, "")
    )
    return reduce(Moments.__add__, own, Moments())


def _with_holm(plan: ExperimentPlan, metrics: Sequence[MetricResult]) -> list[MetricResult]:
    decisive = {
        f"{result.metric.name}\0{each.variant}": each.interval.p
        for result in metrics
        if result.metric.use == "decision"
        for each in result.comparisons
    }
    adjusted = holm(decisive)
    return [
        replace(
            result,
            comparisons=tuple(
                replace(
                    each, adjusted_p=adjusted.get(f"{result.metric.name}\0{each.variant}", each.adjusted_p)
                )
                for each in result.comparisons
            ),
        )
        for result in metrics
    ]


def _ratio(phase: PlannedPhase, cells: Sequence[Cell]) -> SampleRatio:
    """Units by their first variant. Forced units are outside of the sum, units with two variants inside."""
    counts: dict[str, int] = dict.fromkeys(phase.weights, 0)
    for cell in cells:
        if cell.phase == phase.phase and cell.exclusion in ("", "several_variants"):
            counts[cell.variant] = counts.get(cell.variant, 0) + cell.exposed
    return SampleRatio(phase.phase, counts, phase.weights, allocation(counts, phase.weights))


def _missing_p(arms: Sequence[Arm]) -> float:
    table = [
        (sum(arm.causes.get(cause, 0) for cause in _UNASKED), arm.matured) for arm in arms if arm.matured
    ]
    missing = sum(row[0] for row in table)
    if len(table) < 2 or missing == 0 or missing == sum(row[1] for row in table):
        return 1.0
    return float(chi2_contingency([[gone, n - gone] for gone, n in table], correction=False).pvalue)


__all__ = [
    "MISSING_BELOW",
    "Arm",
    "Comparison",
    "MetricResult",
    "Results",
    "SampleRatio",
    "results",
    "segments",
    "shown",
]
