"""Cost per success, and the numbers that are for display only."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from scipy import stats

from upshot.insights.statistics.chances import chance
from upshot.insights.statistics.costs import cost_per_success, difference
from upshot.insights.statistics.effects import Effect
from upshot.insights.statistics.moments import Moments


def drawn(seed: int, n: int, rate: float) -> Moments:
    random = np.random.default_rng(seed)
    return Moments.of(random.gamma(2.0, 0.05, n), random.uniform(size=n) < rate)


def test_the_cost_of_a_success_covers_the_truth() -> None:
    covered = 0
    for seed in range(300):
        found = cost_per_success(drawn(seed, 500, 0.4), planned=500)
        covered += found.low <= 0.1 / 0.4 <= found.high
    assert covered / 300 > 0.95


def test_few_successes_have_no_interval_and_none_no_cost() -> None:
    few = cost_per_success(Moments.of([0.1] * 60, [1.0] * 9 + [0.0] * 51), 500)
    assert few.cost == pytest.approx(6 / 9) and not few.known and isnan(few.low)
    none = cost_per_success(Moments.of([0.1] * 60, [0.0] * 60), 500)
    assert isnan(none.cost) and none.successes == 0
    assert difference(Moments.of([0.1] * 60, [1.0] * 9 + [0.0] * 51), drawn(1, 500, 0.4)) is None


def test_the_difference_of_costs() -> None:
    effect = difference(drawn(1, 4_000, 0.4), drawn(2, 4_000, 0.2))
    assert effect is not None and effect.difference == pytest.approx(0.25, abs=4 * effect.error)


def test_chance_and_loss_are_those_of_the_normal() -> None:
    found = chance(Effect(0.02, 0.01, 100))
    assert found.to_win == pytest.approx(stats.norm.cdf(2))
    grid = np.linspace(-0.08, 0.12, 200_001)
    loss = np.trapezoid(np.maximum(-grid, 0) * stats.norm.pdf(grid, 0.02, 0.01), grid)
    assert found.expected_loss == pytest.approx(loss, rel=1e-4)
    assert chance(Effect(0.0, 0.01, 9)).expected_loss == pytest.approx(0.01 / sqrt(2 * np.pi))
    assert (chance(Effect(-0.5, 0.0, 9)).to_win, chance(Effect(-0.5, 0.0, 9)).expected_loss) == (0.0, 0.5)
