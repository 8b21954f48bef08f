"""How many units an experiment needs, from texts on the command line or in a form."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from upshot.errors import ConfigurationError

#: Squares of larger deviations are no numbers.
_LARGEST = 1e100


@dataclass(frozen=True)
class StatedSize:
    """What somebody has written; texts as they came, empty where nothing was written."""

    mde: str
    rate: str = ""
    mean: float | None = None
    deviation: float | None = None
    weights: str = "1,1"
    per_day: float | None = None
    alpha: float = 0.05
    power: float = 0.8


@dataclass(frozen=True)
class NeededUnits:
    """Units in all arms together, looking daily and for a single look; the days in which they arrive."""

    daily: int
    once: int
    days: float | None

    @property
    def sentence(self) -> str:
        """The units for people."""
        found = f"{self.daily:,} units in all, looking daily; {self.once:,} for a single look at the end"
        if self.days is None:
            return found
        return f"{found}; {self.days:,.1f} days, and the window until the last of them is mature"


def needed(stated: StatedSize) -> NeededUnits:
    """The units needed. Raises ConfigurationError, saying how to write what can't be meant."""
    from upshot.insights.statistics.power import (  # scipy is slow
        compared_pair,
        of_all_arms,
        units_for_one_look,
        units_needed,
    )

    effect = _number(stated.mde, "mde")
    shares = [_number(part, "weights") for part in stated.weights.split(",")]
    pair = compared_pair(shares[0], shares[1:])
    if len(shares) < 2 or not min(shares) > 0 or pair is None:
        raise ConfigurationError("weights are two or more numbers above zero, such as 1,1")
    if not 0 < stated.alpha < 0.5 or not 0 < stated.power < 1 or effect <= 0:
        raise ConfigurationError("alpha lies between 0 and 0.5, power between 0 and 1, mde above 0")
    if stated.per_day is not None and not stated.per_day > 0:
        raise ConfigurationError("units per day are a number above zero")
    variances = _variances(stated, effect)
    try:
        daily, once = (
            of_all_arms(count(variances, pair, effect, stated.alpha, stated.power), pair, shares)
            for count in (units_needed, units_for_one_look)
        )
    except (OverflowError, ValueError):
        raise ConfigurationError("no number of units is large enough: name a larger mde") from None
    return NeededUnits(daily, once, daily / stated.per_day if stated.per_day else None)


def _variances(stated: StatedSize, effect: float) -> tuple[float, float]:
    if stated.rate:
        p = _number(stated.rate, "rate")
        if not 0 < p < 1 or not 0 < p + effect < 1:
            raise ConfigurationError("rate and rate plus mde lie between 0% and 100%")
        return p * (1 - p), (p + effect) * (1 - p - effect)
    if stated.mean is None or stated.deviation is None or not 0 < stated.deviation < _LARGEST:
        raise ConfigurationError("name a rate such as 40%, or a mean and a deviation above 0")
    return stated.deviation**2, stated.deviation**2


def _number(text: str, name: str) -> float:
    try:
        value = float(text.strip().removesuffix("%"))
        if not isfinite(value):
            raise ValueError
    except ValueError:
        raise ConfigurationError(f"{name} is a number such as 0.05 or 5%, not {text!r:.100}") from None
    return value / 100 if text.strip().endswith("%") else value


__all__ = ["NeededUnits", "StatedSize", "needed"]
