"""Sizes and dates of experiments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from upshot.insights.statistics.effects import of_means
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.power import detectable, forecast, units_for_one_look, units_needed
from upshot.insights.statistics.sequences import two_sided

RATES = (0.4 * 0.6, 0.45 * 0.55)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_golden_numbers() -> None:
    assert units_needed(RATES, (1, 1), 0.05) == 5_862
    assert units_for_one_look(RATES, (1, 1), 0.05) == 3_062  # 3,061.1, and a unit is whole


def test_one_look_is_statsmodels() -> None:
    oracle = NormalIndPower().solve_power(effect_size=0.1, alpha=0.05, power=0.8, ratio=1)
    assert units_for_one_look((1.0, 1.0), (1, 1), 0.1) == pytest.approx(2 * oracle, rel=1e-3)


def test_the_detectable_effect_is_the_inverse() -> None:
    n = units_needed((0.25, 0.25), (3, 1), 0.03)
    assert detectable((0.25, 0.25), (3, 1), n, n) == pytest.approx(0.03, rel=1e-3)
    assert detectable((0.25, 0.25), (1, 1), 0, 5000) == float("inf")


def test_the_power_is_there() -> None:
    """At the size computed, four experiments of five find the effect at the last look alone."""
    random, n, found = np.random.default_rng(1), units_needed(RATES, (1, 1), 0.05), 0
    for _ in range(400):
        arms = [Moments.of_successes(n // 2, int(random.binomial(n // 2, rate))) for rate in (0.4, 0.45)]
        found += two_sided(of_means(*arms), n).low > 0
    assert 0.74 <= found / 400 <= 0.86


@pytest.mark.parametrize(
    ("mde", "ours", "fixed"), [(0.1, 1_466, 1_580), (0.05, 5_862, 5_865), (0.01, 146_541, 176_795)]
)
def test_a_size_planned_for_the_effect_is_smaller_than_one_planned_for_everybody(
    mde: float, ours: int, fixed: int
) -> None:
    """GrowthBook's sequential test is the same formula with 5,000 planned units whatever the effect."""
    assert units_needed(RATES, (1, 1), mde) == ours
    assert detectable(RATES, (1, 1), fixed + 10, 5_000) <= mde < detectable(RATES, (1, 1), fixed - 10, 5_000)


@pytest.mark.parametrize(
    ("needed", "at", "exposed_already"),
    [
        (100, NOW, True),
        (150, NOW + DAY, True),
        (160, NOW + 2 * DAY, True),
        (180, NOW + 7 * DAY + 2 * DAY, False),
    ],
)
def test_the_date_of_the_decision(needed: int, at: datetime, exposed_already: bool) -> None:
    maturing = [(NOW + DAY, 50), (NOW + 2 * DAY, 10)]
    found = forecast(needed, 100, maturing, per_day=10.0, as_of=NOW, window=7 * DAY)
    assert (found.at, found.exposed_already) == (at, exposed_already)


@pytest.mark.parametrize("per_day", [0.0, 1e-9])
def test_no_date_without_arrivals(per_day: float) -> None:
    assert forecast(10**6, 0, [], per_day, NOW, DAY).at is None
