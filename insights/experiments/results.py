"""Results of an experiment: a pure function of its plan and its populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce

from scipy.stats import chi2, chi2_contingency

from upshot.insights.experiments.comparing import Comparison, Sums, adaptive_phases, comparison
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import Cell, Population
from upshot.insights.experiments.served_by import Confounded
from upshot.insights.experiments.versions import ScorerVersion
from upshot.insights.statistics.allocation import Allocation, allocation
from upshot.insights.statistics.costs import Cost, cost_per_success
from upshot.insights.statistics.effects import enough, ratio
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.multiplicity import e_bh, holm

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
    versions: tuple[ScorerVersion, ...] = ()
    """The versions of the metrics' scorers, by phase."""
    confounded: tuple[Confounded, ...] = ()
    """Variants that other versions of the agent served than control."""
    unknown_phases: Mapping[str, int] = field(default_factory=dict)
    """Units of phases that the plan lacks: nobody knows their weights, so that they are left out."""

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
    populations = [_of_shown_phases(plan, each) for each in populations]
    metrics = _with_holm(plan, [_metric(plan, each) for each in populations])
    cells = populations[0].cells if populations else ()
    counted = [cell for cell in cells if not cell.exclusion] or cells
    return Results(
        plan,
        populations[0].as_of if populations else datetime.max,
        tuple(metrics),
        tuple(_ratio(plan, phase, cells) for phase in plan.phases if phase.weights),
        min((cell.first_exposed_at for cell in counted), default=None),
        _exposed(cells, "unknown_variant", "variant"),
        unknown_phases=_exposed(cells, "unknown_phase", "phase"),
    )


def segments(plan: ExperimentPlan, population: Population) -> dict[str, MetricResult]:
    """The same metric in each segment of a population that was read with `by`; exploratory."""
    population = _of_shown_phases(plan, population)
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


def _of_shown_phases(plan: ExperimentPlan, population: Population) -> Population:
    """The population without phases that nobody asked for."""
    cells = (cell for cell in population.cells if cell.phase not in plan.other_phases)
    return replace(population, cells=tuple(cells))


def _exposed(cells: Sequence[Cell], exclusion: str, by: str) -> dict[str, int]:
    """The units left out for one reason, by a field of their cells."""
    found: dict[str, int] = {}
    for cell in cells:
        if cell.exclusion == exclusion:
            found[getattr(cell, by)] = found.get(getattr(cell, by), 0) + cell.exposed
    return found


def _metric(plan: ExperimentPlan, population: Population) -> MetricResult:
    metric = population.metric
    by_variant: dict[str, list[Cell]] = {}
    sums: Sums = {}
    for cell in population.cells:
        by_variant.setdefault(cell.variant, []).append(cell)
        if not cell.exclusion:
            place = cell.phase, cell.variant
            sums[place] = sums.get(place, Moments()) + cell.moments
    arms = tuple(_arm(plan, metric, variant, by_variant.get(variant, [])) for variant in plan.arms)
    given = adaptive_phases(plan, sums) if plan.adaptive else []
    comparisons = [comparison(plan, metric, variant, sums, given) for variant in plan.arms[1:]]
    return MetricResult(
        metric, arms, tuple(each for each in comparisons if each), population, _missing_p(population.cells)
    )


def _arm(plan: ExperimentPlan, metric: PlannedMetric, variant: str, own: Sequence[Cell]) -> Arm:
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


def _ratio(plan: ExperimentPlan, phase: PlannedPhase, cells: Sequence[Cell]) -> SampleRatio:
    """Units by their first variant. Forced units are outside of the sum, units with two variants inside."""
    counts: dict[str, int] = dict.fromkeys(phase.weights, 0)
    for cell in cells:
        if cell.phase == phase.phase and cell.exclusion in ("", "several_variants"):
            counts[cell.variant] = counts.get(cell.variant, 0) + cell.exposed
    looked_at = len(plan.phases) if plan.adaptive else 1
    return SampleRatio(phase.phase, counts, phase.weights, allocation(counts, phase.weights, looked_at))


def _missing_p(cells: Sequence[Cell]) -> float:
    """χ² of each phase, added up: shares that changed from phase to phase are no difference of the arms."""
    statistic, freedom = 0.0, 0
    for phase in {cell.phase for cell in cells}:
        table: dict[str, tuple[int, int]] = {}
        for cell in cells:
            if cell.phase == phase and not cell.exclusion and cell.matured:
                missing, all_units = table.get(cell.variant, (0, 0))
                gone = sum(cell.causes.get(cause, 0) for cause in _UNASKED)
                table[cell.variant] = missing + gone, all_units + cell.matured
        missing = sum(gone for gone, _ in table.values())
        if len(table) > 1 and 0 < missing < sum(units for _, units in table.values()):
            counts = [[gone, units - gone] for gone, units in table.values()]
            found = chi2_contingency(counts, correction=False)
            statistic, freedom = statistic + float(found.statistic), freedom + int(found.dof)
    return float(chi2.sf(statistic, freedom)) if freedom else 1.0


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
