"""Bayesian numbers for display: never a decision, since they are not valid under repeated looks."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi, sqrt

from scipy.special import ndtr

from upshot.insights.statistics.effects import Effect


@dataclass(frozen=True)
class Chance:
    """A flat prior's view of an effect: the chance that the variant is better, and the loss if it isn't."""

    to_win: float
    expected_loss: float
    """The mean of max(-δ, 0), in the metric's unit: the price of shipping the variant, were it wrong."""


def chance(effect: Effect) -> Chance:
    """The normal posterior of an effect under a flat prior."""
    if effect.error == 0:
        return Chance(float(effect.difference > 0), max(-effect.difference, 0.0))
    z = effect.difference / effect.error
    density = exp(-z * z / 2) / sqrt(2 * pi)
    return Chance(float(ndtr(z)), effect.error * density - effect.difference * float(ndtr(-z)))


__all__ = ["Chance", "chance"]
