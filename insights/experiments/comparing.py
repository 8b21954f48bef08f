"""A variant against control under one metric, from the sums of each phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.statistics.adaptive import AdaptivePhase, aipw
from upshot.insights.statistics.chances import Chance, chance
from upshot.insights.statistics.effects import Effect, beyond_margin, combined, enough, of_ratios
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.sequences import Interval, above, below, two_sided

#: The sums of the units compared, by phase and variant.
Sums = dict[tuple[str, str], Moments]


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
    harm: Interval | None = None
    """For a guardrail: the same from below; the variant is beyond the margin for sure where low > 0."""
    is_enough: bool = True
    """Whether both arms have units enough in the phases that gave both: no other phase is compared."""

    @property
    def is_safe(self) -> bool:
        """Whether a guardrail's margin is kept for sure."""
        return self.guardrail is not None and self.guardrail.high < 0

    @property
    def is_beyond(self) -> bool:
        """Whether a guardrail's margin is exceeded for sure."""
        return self.harm is not None and self.harm.low > 0


def comparison(
    plan: ExperimentPlan,
    metric: PlannedMetric,
    variant: str,
    sums: Sums,
    given: Sequence[AdaptivePhase],
) -> Comparison | None:
    """A variant against control under a metric; None where no phase has mature units of both.

    Phases are combined by their effects: counts of phases with other weights are never pooled. `given` are
    the phases of an adaptive experiment.
    """
    pairs = [
        tuple(sums.get((phase.phase, arm), Moments()) for arm in (plan.control, variant))
        for phase in plan.phases
    ]
    pairs = [pair for pair in pairs if all(one.n > 1 and one.m > 0 for one in pair)]
    if not pairs:
        return None
    effect = combined([of_ratios(*pair) for pair in pairs])
    if plan.adaptive and len(pairs) > 1:
        both = [phase for phase in given if min(phase.probabilities[arm] for arm in (plan.control, variant))]
        if sum(moments.n for phase in both for moments in phase.arms.values()) > 1:
            effect = aipw(both, plan.control, variant)
    interval = two_sided(effect, plan.planned, plan.alpha)
    guardrail = harm = None
    if metric.use == "guardrail":
        beyond = combined([_beyond(metric, *pair) for pair in pairs])
        guardrail, harm = (side(beyond, plan.planned, plan.alpha) for side in (below, above))
    good = Effect(-effect.difference, effect.error, effect.n) if metric.lower_is_better else effect
    is_enough = all(enough(reduce(Moments.__add__, arm), metric.boolean) for arm in zip(*pairs, strict=True))
    return Comparison(variant, effect, interval, interval.p, chance(good), guardrail, harm, is_enough)


def adaptive_phases(plan: ExperimentPlan, sums: Sums) -> list[AdaptivePhase]:
    """Phases that have mature units, oldest first, each with the shares of all arms."""
    phases = []
    for phase in plan.phases:
        total = sum(phase.weights.values())
        arms = {arm: sums.get((phase.phase, arm), Moments()) for arm in plan.arms}
        if total > 0 and any(moments.n for moments in arms.values()):
            shares = {arm: phase.weights.get(arm, 0.0) / total for arm in plan.arms}
            phases.append(AdaptivePhase(shares, arms))
    return phases


def _beyond(metric: PlannedMetric, control: Moments, variant: Moments) -> Effect:
    """How far the variant is worse than the margin allows; below zero is within the margin."""
    if metric.lower_is_better:
        return beyond_margin(control, variant, metric.margin)
    inside = beyond_margin(control, variant, -metric.margin)
    return Effect(-inside.difference, inside.error, inside.n)


__all__ = ["Comparison", "Sums", "adaptive_phases", "comparison"]
