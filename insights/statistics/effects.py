"""Differences between a variant and the control, with their standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from upshot.insights.statistics.moments import Moments

MIN_UNITS = 50
MIN_SUCCESSES = 10


@dataclass(frozen=True)
class Effect:
    """Variant less control. `n` is the number of units of both together."""

    difference: float
    error: float
    n: int


def of_means(control: Moments, variant: Moments) -> Effect:
    """The difference of the means of independent units; the error is Welch's, sqrt(s²/n + s²/n)."""
    error = sqrt(control.variance / control.n + variant.variance / variant.n)
    return Effect(variant.mean - control.mean, error, control.n + variant.n)


def of_ratios(control: Moments, variant: Moments) -> Effect:
    """The difference of the ratios Σy/Σm, where a unit has several runs or its denominator varies.

    Errors by the delta method over units (Deng, Knoblich, Lu: arXiv 1803.06336).
    """
    error = sqrt(ratio_variance(control) + ratio_variance(variant))
    return Effect(ratio(variant) - ratio(control), error, control.n + variant.n)


def ratio(moments: Moments) -> float:
    """Σy/Σm; needs a denominator above zero."""
    return moments.y / moments.m


def ratio_variance(moments: Moments) -> float:
    """The variance of Σy/Σm over clusters: (s²y - 2R·s_ym + R²·s²m) / (n·m̄²)."""
    r, mean_m = ratio(moments), moments.m / moments.n
    spread = moments.variance - 2 * r * moments.covariance_ym + r * r * moments.variance_m
    return max(spread, 0.0) / (moments.n * mean_m * mean_m)


def relative(control: Moments, variant: Moments) -> Effect:
    """The relative difference R_variant / R_control - 1, by the delta method; needs a control above zero."""
    r_control, r_variant = ratio(control), ratio(variant)
    quotient = r_variant / r_control
    variance = ratio_variance(variant) + quotient * quotient * ratio_variance(control)
    return Effect(quotient - 1, sqrt(variance) / abs(r_control), control.n + variant.n)


def beyond_margin(control: Moments, variant: Moments, margin: float) -> Effect:
    """How far a variant's ratio lies above (1 + margin) × control's: a guardrail without a division.

    Negative and significantly so: the variant keeps within the margin. Works with a control of zero.
    """
    factor = 1 + margin
    variance = ratio_variance(variant) + factor * factor * ratio_variance(control)
    return Effect(ratio(variant) - factor * ratio(control), sqrt(variance), control.n + variant.n)


def adjusted(control: Moments, variant: Moments) -> Effect:
    """The difference of means less its part explained by a covariate from before the exposure (CUPED).

    θ is the covariance within the arms over the variance within the arms (Deng et al., WSDM 2013): θ from the
    pooled units would take a part of the effect for a difference of the covariate. A covariate from after the
    exposure, such as a judge's score of the run, must never be given: it can turn the effect's sign.
    """
    explained = (control.n - 1) * control.covariance_xy + (variant.n - 1) * variant.covariance_xy
    spread = (control.n - 1) * control.variance_x + (variant.n - 1) * variant.variance_x
    theta = explained / spread if spread > 0 else 0.0
    difference = variant.mean - control.mean - theta * (variant.x / variant.n - control.x / control.n)
    variance = sum(
        (arm.variance - 2 * theta * arm.covariance_xy + theta * theta * arm.variance_x) / arm.n
        for arm in (control, variant)
    )
    return Effect(difference, sqrt(max(variance, 0.0)), control.n + variant.n)


def combined(phases: Sequence[Effect]) -> Effect:
    """One effect of several phases, weighted by their units.

    Counts are never pooled across phases: weights of the variants differ between phases, and a drift of the
    rate would pass for an effect (Simpson's paradox). Effects within a phase are comparable. Needs one phase.
    """
    n = sum(phase.n for phase in phases)
    difference = sum(phase.difference * phase.n / n for phase in phases)
    variance = sum((phase.error * phase.n / n) ** 2 for phase in phases)
    return Effect(difference, sqrt(variance), n)


def enough(arm: Moments, boolean: bool) -> bool:
    """Whether an arm's normal approximation may be trusted: 50 units.

    For a boolean 10 successes and 10 failures.
    """
    if arm.n < MIN_UNITS:
        return False
    return not boolean or min(arm.y, arm.n - arm.y) >= MIN_SUCCESSES


__all__ = [
    "MIN_SUCCESSES",
    "MIN_UNITS",
    "Effect",
    "adjusted",
    "beyond_margin",
    "combined",
    "enough",
    "of_means",
    "of_ratios",
    "ratio",
    "ratio_variance",
    "relative",
]
