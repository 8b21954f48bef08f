"""Immediate scores of a judge (a model, a check, a click) against the outcome that came later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

from scipy.special import ndtri
from scipy.stats import chi2

from upshot.insights.statistics.moments import Moments


@dataclass(frozen=True)
class EarlyRead:
    """An arm's mean from mature units and the judge's scores of the others; never a decision."""

    mean: float
    error: float
    weight: float
    """λ: how far the judge is believed; 0 where it says nothing of the outcome."""
    saved: float
    """The part of the variance that the judge's scores save; 0 for a useless judge."""

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """An interval for one look."""
        width = float(ndtri(1 - alpha / 2)) * self.error
        return self.mean - width, self.mean + width


def early_read(mature: Moments, waiting: int, waiting_mean: float) -> EarlyRead:
    """Prediction-powered mean of one arm (Angelopoulos, Duchi, Zrnic: PPI++, arXiv 2311.01453).

    `mature` has outcomes as y and the judge's scores as x; `waiting_mean` is the judge's mean score of the
    `waiting` units still without an outcome. λ = Cov(y, f) / ((1 + n/N)·Var f); the variance falls to
    1 - ρ²/(1 + n/N) of that of mature units alone. Each arm has a λ of its own, so that a judge who favours
    an arm cannot favour its estimate.
    """
    n, variance_f = mature.n, mature.variance_x
    plain = sqrt(mature.variance / n)
    if waiting == 0 or variance_f == 0 or mature.variance == 0:
        return EarlyRead(mature.mean, plain, 0.0, 0.0)
    crowd = 1 + n / waiting
    weight = mature.covariance_xy / (crowd * variance_f)
    saved = mature.covariance_xy**2 / (variance_f * mature.variance) / crowd
    mean = mature.mean - weight * (mature.x / n - waiting_mean)
    return EarlyRead(mean, plain * sqrt(max(1 - saved, 0.0)), weight, saved)


@dataclass(frozen=True)
class Judged:
    """Mature units of one arm with the same judge's score: their number and their successes."""

    score: float
    n: int
    successes: int


@dataclass(frozen=True)
class Bin:
    """About a tenth of the units, by the judge's score."""

    low: float
    high: float
    n: int
    rate: float


@dataclass(frozen=True)
class Calibration:
    """How well a judge foretells the outcome."""

    n: int
    auc: float
    """The chance that a success has a higher score than a failure; 0.5 is a coin; NaN without both."""
    brier: float
    """The mean squared error of the score as a probability; NaN for scores outside 0 to 1."""
    bins: tuple[Bin, ...]


def calibration(judged: Sequence[Judged], bins: int = 10) -> Calibration:
    """The judge's AUC (ties count half), Brier score and success rates by decile of its score."""
    ordered = sorted((each for each in judged if each.n > 0), key=lambda each: each.score)
    n = sum(each.n for each in ordered)
    return Calibration(n, _auc(ordered), _brier(ordered, n), tuple(_bins(ordered, n, bins)))


def _auc(ordered: Sequence[Judged]) -> float:
    successes = sum(each.successes for each in ordered)
    failures = sum(each.n - each.successes for each in ordered)
    if not successes or not failures:
        return nan
    below, won, at, scores = 0, 0.0, 0, [each.score for each in ordered]
    while at < len(ordered):
        end = at
        while end < len(ordered) and scores[end] == scores[at]:
            end += 1
        good = sum(each.successes for each in ordered[at:end])
        bad = sum(each.n - each.successes for each in ordered[at:end])
        won += good * (below + bad / 2)
        below, at = below + bad, end
    return won / (successes * failures)


def _brier(ordered: Sequence[Judged], n: int) -> float:
    if not ordered or ordered[0].score < 0 or ordered[-1].score > 1:
        return nan
    squares = sum(
        each.successes * (1 - each.score) ** 2 + (each.n - each.successes) * each.score**2 for each in ordered
    )
    return squares / n


def _bins(ordered: Sequence[Judged], n: int, bins: int) -> list[Bin]:
    """Neighbouring scores together until each bin has its share; one score is never split."""
    found: list[Bin] = []
    held: list[Judged] = []
    passed = 0
    for index, each in enumerate(ordered):
        held.append(each)
        passed += each.n
        same_score_follows = index + 1 < len(ordered) and ordered[index + 1].score == each.score
        if (passed * bins >= n * (len(found) + 1) or index + 1 == len(ordered)) and not same_score_follows:
            units = sum(one.n for one in held)
            found.append(Bin(held[0].score, each.score, units, sum(one.successes for one in held) / units))
            held = []
    return found


@dataclass(frozen=True)
class Gap:
    """Whether arms differ in their outcomes at equal judge's scores: the judge then favours an arm."""

    p: float
    difference: float
    """Variant's success rate less control's at equal scores, averaged over bins."""


def gap(control: Sequence[Judged], variant: Sequence[Judged], bins: int = 10) -> Gap:
    """Cochran-Mantel-Haenszel test over bins of the judge's score; the difference by Mantel-Haenszel weights.

    A small p: at the same score of the judge, one arm succeeds more often, so that the judge's scores must
    not be compared between the arms. For one look.
    """
    edges = [each.high for each in calibration([*control, *variant], bins).bins]
    excess, variance, weighted, weights = 0.0, 0.0, 0.0, 0.0
    for low, high in zip([None, *edges], edges, strict=False):
        n_c, good_c = _within(control, low, high)
        n_v, good_v = _within(variant, low, high)
        n, good = n_c + n_v, good_c + good_v
        if min(n_c, n_v) == 0 or n < 2:
            continue
        excess += good_v - good * n_v / n
        variance += good * (n - good) * n_c * n_v / (n * n * (n - 1))
        weighted += n_c * n_v / n * (good_v / n_v - good_c / n_c)
        weights += n_c * n_v / n
    p = float(chi2.sf(excess * excess / variance, 1)) if variance > 0 else 1.0
    return Gap(p, weighted / weights if weights else nan)


def _within(judged: Sequence[Judged], low: float | None, high: float) -> tuple[int, int]:
    inside = [each for each in judged if each.score <= high and (low is None or each.score > low)]
    return sum(each.n for each in inside), sum(each.successes for each in inside)


__all__ = ["Bin", "Calibration", "EarlyRead", "Gap", "Judged", "calibration", "early_read", "gap"]
