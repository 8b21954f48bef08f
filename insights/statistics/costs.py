"""Cost per success: a ratio of two sums that grow together."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

from upshot.insights.statistics.effects import MIN_SUCCESSES, Effect, ratio, ratio_variance
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.sequences import half_width


@dataclass(frozen=True)
class Cost:
    """The cost of one success in a variant. `low` and `high` are NaN below 10 successes."""

    cost: float
    successes: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there are successes enough for an interval."""
        return self.successes >= MIN_SUCCESSES


def cost_per_success(arm: Moments, planned: float, alpha: float = 0.05) -> Cost:
    """Σ cost / Σ successes, where y is a unit's cost and m its successes; always-valid interval by the delta
    method. Without a success the cost is NaN: it isn't known, and surely not zero."""
    if arm.m <= 0:
        return Cost(nan, arm.m, nan, nan)
    if arm.m < MIN_SUCCESSES or arm.n < 2:
        return Cost(ratio(arm), arm.m, nan, nan)
    width = half_width(sqrt(ratio_variance(arm)), arm.n, planned, alpha)
    return Cost(ratio(arm), arm.m, max(ratio(arm) - width, 0.0), ratio(arm) + width)


def difference(control: Moments, variant: Moments) -> Effect | None:
    """The difference of costs per success; None while an arm has fewer than 10 successes."""
    if min(control.m, variant.m) < MIN_SUCCESSES:
        return None
    error = sqrt(ratio_variance(control) + ratio_variance(variant))
    return Effect(ratio(variant) - ratio(control), error, control.n + variant.n)


__all__ = ["Cost", "cost_per_success", "difference"]
