"""Time to outcome: Kaplan-Meier and Aalen-Johansen curves, and the log-rank test, from counts per time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

from scipy.stats import chi2


@dataclass(frozen=True)
class Departures:
    """Units leaving at one time since their exposure:
    by a cause (`bad`, `good` …), or censored, still open.
    """

    time: float
    causes: Mapping[str, int]
    censored: int = 0

    @property
    def events(self) -> int:
        """Units that leave by any cause."""
        return sum(self.causes.values())


@dataclass(frozen=True)
class Point:
    """A curve at one time: the probability, and its standard error by Greenwood's formula."""

    time: float
    probability: float
    error: float


def kaplan_meier(departures: Sequence[Departures]) -> list[Point]:
    """The probability of no outcome by each time at which one comes; times ascending.

    Units that are still open are censored: they count for as long as they were seen, neither as successes nor
    as failures.
    """
    at_risk = sum(each.events + each.censored for each in departures)
    probability, greenwood = 1.0, 0.0
    points: list[Point] = []
    for each in departures:
        if each.events:
            probability *= 1 - each.events / at_risk
            if at_risk > each.events:
                greenwood += each.events / (at_risk * (at_risk - each.events))
            points.append(Point(each.time, probability, probability * sqrt(greenwood)))
        at_risk -= each.events + each.censored
    return points


def aalen_johansen(departures: Sequence[Departures], cause: str) -> list[tuple[float, float]]:
    """The probability that this cause has come by each time, where other causes end a unit's time as well.

    One minus Kaplan-Meier of one cause alone would count units that another cause took as if they could still
    come to it.
    """
    at_risk = sum(each.events + each.censored for each in departures)
    survival, incidence = 1.0, 0.0
    curve: list[tuple[float, float]] = []
    for each in departures:
        if each.events:
            came = each.causes.get(cause, 0)
            incidence += survival * came / at_risk
            survival *= 1 - each.events / at_risk
            if came:
                curve.append((each.time, incidence))
        at_risk -= each.events + each.censored
    return curve


def median_time(points: Sequence[Point]) -> float:
    """The first time by which half of the units have their outcome; NaN if half never have."""
    return next((point.time for point in points if point.probability <= 0.5), nan)


def log_rank(control: Sequence[Departures], variant: Sequence[Departures]) -> float:
    """The p-value of equal times to outcome in both arms; valid for one look, so for display only."""
    ours, theirs = _by_time(control), _by_time(variant)
    n_ours = sum(each.events + each.censored for each in control)
    n_theirs = sum(each.events + each.censored for each in variant)
    excess, variance = 0.0, 0.0
    for time in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(time, Departures(time, {})), theirs.get(time, Departures(time, {}))
        n, events = n_ours + n_theirs, a.events + b.events
        if events and n > 1:
            excess += a.events - events * n_ours / n
            variance += events * n_ours * n_theirs * (n - events) / (n * n * (n - 1))
        n_ours -= a.events + a.censored
        n_theirs -= b.events + b.censored
    return float(chi2.sf(excess * excess / variance, 1)) if variance > 0 else 1.0


def _by_time(departures: Sequence[Departures]) -> dict[float, Departures]:
    return {each.time: each for each in departures}


__all__ = ["Departures", "Point", "aalen_johansen", "kaplan_meier", "log_rank", "median_time"]
