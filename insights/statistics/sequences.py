"""Asymptotic confidence sequences: intervals that hold at every look, however often somebody looks.

Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: "Time-uniform central limit theory and asymptotic confidence
sequences", arXiv 2103.06476. With n units seen so far and ρ fixed before the start, the interval

    δ ± √(n·SE²) · √[ 2(nρ²+1)/(nρ)² · ln(√(nρ²+1)/α) ]

covers the true difference at all n together with probability 1 - α.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, sqrt

from upshot.insights.statistics.effects import Effect


@dataclass(frozen=True)
class Interval:
    """An always-valid interval with its p-value and e-value; one-sided intervals have an infinite end."""

    low: float
    high: float
    p: float
    e: float


def rho(alpha: float, planned: float) -> float:
    """The ρ that makes the interval narrowest at `planned` units.

    √[(-2 ln α + ln(-2 ln α + 1)) / planned].
    """
    return sqrt((-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned)


def half_width(error: float, n: int, planned: float, alpha: float = 0.05) -> float:
    """Half the width of the two-sided interval after n units with this standard error."""
    grown = n * rho(alpha, planned) ** 2
    return error * sqrt(2 * (grown + 1) / grown * log(sqrt(grown + 1) / alpha))


def two_sided(effect: Effect, planned: float, alpha: float = 0.05) -> Interval:
    """The interval of an effect, always valid; the values p and e test a difference of zero."""
    width = half_width(effect.error, effect.n, planned, alpha)
    e = e_value(effect, planned, alpha)
    return Interval(effect.difference - width, effect.difference + width, min(1.0, 1 / e), e)


def e_value(effect: Effect, planned: float, alpha: float = 0.05) -> float:
    """The evidence against no difference: exp(½(δ/SE)²·nρ²/(nρ²+1)) / √(nρ²+1); 1/e is an always-valid p."""
    grown = effect.n * rho(alpha, planned) ** 2
    return _exp(_exponent(effect, grown) - log(grown + 1) / 2)


def above(effect: Effect, planned: float, alpha: float = 0.05) -> Interval:
    """The one-sided lower bound: low is exceeded by the true difference at every look; p tests δ ≤ 0."""
    width = _one_sided_width(effect, planned, alpha)
    p, e = _one_sided_test(effect, planned, alpha)
    return Interval(effect.difference - width, inf, p, e)


def below(effect: Effect, planned: float, alpha: float = 0.05) -> Interval:
    """The one-sided upper bound, as guardrails need it; p tests δ ≥ 0."""
    mirrored = above(Effect(-effect.difference, effect.error, effect.n), planned, alpha)
    return Interval(-inf, -mirrored.low, mirrored.p, mirrored.e)


def _one_sided_width(effect: Effect, planned: float, alpha: float) -> float:
    grown = effect.n * rho(2 * alpha, planned) ** 2
    return effect.error * sqrt(2 * (grown + 1) / grown * log(1 + sqrt(grown + 1) / (2 * alpha)))


def _one_sided_test(effect: Effect, planned: float, alpha: float) -> tuple[float, float]:
    """The α at which the bound would touch zero, with ρ as it was fixed; its reciprocal is the evidence."""
    if effect.difference <= 0:
        return 1.0, 1.0
    grown = effect.n * rho(2 * alpha, planned) ** 2
    excess = _exp(_exponent(effect, grown)) - 1
    p = min(1.0, sqrt(grown + 1) / (2 * excess)) if excess > 0 else 1.0
    return p, 1 / p if p > 0 else inf


def _exponent(effect: Effect, grown: float) -> float:
    if effect.error == 0:
        return inf if effect.difference else 0.0
    return (effect.difference / effect.error) ** 2 / 2 * grown / (grown + 1)


def _exp(power: float) -> float:
    return inf if power > 700 else exp(power)


__all__ = ["Interval", "above", "below", "e_value", "half_width", "rho", "two_sided"]
