"""How many units an experiment needs, and when they will be mature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf, sqrt

from scipy.special import ndtri

from upshot.insights.statistics.sequences import half_width


def units_needed(
    variances: Sequence[float], weights: Sequence[float], mde: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """The units in all arms together after which an effect of `mde` is found with this power, looking daily.

    The smallest n with half_width(n) + z_power·SE(n) ≤ mde, where n is also the planned size. `variances` and
    `weights` are control's first, then the variant's with the largest error; e.g. p(1-p) for a rate.
    """
    unit_error = _unit_error(variances, weights)
    factor = half_width(1.0, 1, 1, alpha) + float(ndtri(power))
    return ceil((factor * unit_error / mde) ** 2)


def units_for_one_look(
    variances: Sequence[float], weights: Sequence[float], mde: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """The same for a test of fixed size that nobody looks at before its end."""
    factor = float(ndtri(1 - alpha / 2)) + float(ndtri(power))
    return ceil((factor * _unit_error(variances, weights) / mde) ** 2)


def compared_pair(control: float, others: Iterable[float]) -> tuple[float, float] | None:
    """The weights of control and of the smallest other arm, whose comparison needs the most units.

    None where the control or every other arm has no weight.
    """
    positive = [weight for weight in others if weight > 0]
    return (control, min(positive)) if positive and control > 0 else None


def of_all_arms(units: int, pair: tuple[float, float], weights: Iterable[float]) -> int:
    """The units of all arms together of which the pair's arms get so many."""
    return ceil(units * sum(weights) / sum(pair))


def detectable(
    variances: Sequence[float],
    weights: Sequence[float],
    n: int,
    planned: float,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The smallest effect found with this power at n units, looking daily."""
    error = _unit_error(variances, weights) / sqrt(n) if n > 0 else inf
    return half_width(error, n, planned, alpha) + float(ndtri(power)) * error if n > 0 else inf


def _unit_error(variances: Sequence[float], weights: Sequence[float]) -> float:
    """The standard error of the difference times √n, n over all arms."""
    total = sum(weights)
    return sqrt(sum(variance * total / weight for variance, weight in zip(variances, weights, strict=True)))


@dataclass(frozen=True)
class Forecast:
    """When the needed units will be mature; `at` is None if no more units arrive."""

    at: datetime | None
    exposed_already: bool
    """True if the units which decide are exposed already: the date is known, it isn't extrapolated."""


def forecast(
    needed: int,
    mature: int,
    maturing: Sequence[tuple[datetime, int]],
    per_day: float,
    as_of: datetime,
    window: timedelta,
) -> Forecast:
    """The date of the decision: from units that are exposed and mature at known times, beyond these from
    arrivals.

    `maturing` has (time of maturity, units), in order; `per_day` is the mean of new units of the last 7 days;
    `window` the time from exposure to maturity. Units that arrive from now on mature from as_of + window.
    """
    if mature >= needed:
        return Forecast(as_of, True)
    total = mature
    for at, units in maturing:
        total += units
        if total >= needed:
            return Forecast(at, True)
    if per_day <= 0:
        return Forecast(None, False)
    days = (needed - total) / per_day
    if days > 36_500:
        return Forecast(None, False)
    return Forecast(as_of + window + timedelta(days=days), False)


__all__ = [
    "Forecast",
    "compared_pair",
    "detectable",
    "forecast",
    "of_all_arms",
    "units_for_one_look",
    "units_needed",
]
