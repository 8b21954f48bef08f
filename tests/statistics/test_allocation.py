"""Sample ratio mismatch: where it stops, its oracle, and its e-value over many looks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from upshot.insights.statistics.allocation import allocation, unserved

EVEN = {"plain": 1.0, "warm": 1.0}


def test_it_stops_at_one_in_a_thousand() -> None:
    stopped, goes_on = (allocation({"plain": n, "warm": 10_000 - n}, EVEN) for n in (5_165, 5_164))
    assert stopped.stopped and stopped.p == pytest.approx(0.00097, abs=5e-6)
    assert not goes_on.stopped


@pytest.mark.parametrize(
    "weights", [{"a": 95, "b": 5}, {"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 3, "b": 1, "c": 0}]
)
def test_chi_square_is_scipys(weights: dict[str, float]) -> None:
    random = np.random.default_rng(2)
    shares = np.array(list(weights.values())) / sum(weights.values())
    counts = dict(zip(weights, random.multinomial(5_000, shares).tolist(), strict=True))
    planned = shares[shares > 0]
    oracle = stats.chisquare([n for arm, n in counts.items() if weights[arm]], planned * 5_000)
    found = allocation(counts, weights)
    assert found.p == pytest.approx(oracle.pvalue, rel=1e-9)
    assert not found.stopped


def test_uneven_weights_are_no_mismatch() -> None:
    assert not allocation({"plain": 9_500, "warm": 500}, {"plain": 19, "warm": 1}).stopped
    assert allocation({"plain": 9_500, "warm": 500}, EVEN).proven


@pytest.mark.parametrize("weights", [{"plain": 1, "warm": 1, "off": 0}, EVEN])
def test_a_unit_in_an_arm_without_weight_stops_by_itself(weights: dict[str, float]) -> None:
    found = allocation({"plain": 50, "warm": 50, "off": 1}, weights)
    assert found.strays == ("off",) and found.stopped and found.p == 1.0


@pytest.mark.parametrize("counts", [{}, {"plain": 0, "warm": 0}, {"plain": 1}])
def test_nothing_to_compare(counts: dict[str, int]) -> None:
    assert not allocation(counts, EVEN).stopped
    assert not allocation({"only": 7}, {"only": 1}).stopped


def test_the_e_value_proves_nothing_that_is_not_there() -> None:
    """Under the weights, the e-value's mean is 1 at any look,
    so it passes 1,000 once in a thousand at most.
    """
    random = np.random.default_rng(4)
    values = [allocation({"plain": n, "warm": 2_000 - n}, EVEN).e for n in random.binomial(2_000, 0.5, 4_000)]
    assert np.mean(values) == pytest.approx(1.0, abs=0.1)
    assert max(values) < 1_000


def test_the_e_value_finds_a_loss_of_three_in_a_hundred() -> None:
    assert allocation({"plain": 100_000, "warm": 97_000}, EVEN).proven


def test_an_arm_that_nobody_serves_is_told_from_one_that_had_no_luck() -> None:
    """Half and half, 20 units leave an arm empty once in a million; 19 twice."""
    assert unserved({"plain": 20}, EVEN) == ["warm"]
    assert unserved({"plain": 19}, EVEN) == []
    assert unserved({"plain": 20, "warm": 1}, EVEN) == []
    assert unserved({"plain": 1_000}, {"plain": 999, "warm": 1}) == []
    assert unserved({"plain": 20_000}, {"plain": 999, "warm": 1, "off": 0}) == ["warm"]
    assert unserved({}, {"plain": 1}) == unserved({"stray": 9}, {"plain": 1}) == unserved({}, {}) == []
