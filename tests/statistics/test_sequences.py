"""Confidence sequences: golden numbers, their inverse, and simulations with a look after every batch."""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
import pytest

from benchmarks.experiments.null_delays import SHAPES, WAYS, false_positives
from upshot.insights.statistics.effects import Effect, of_means
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.sequences import above, below, e_value, half_width, rho, two_sided

GOLDEN = of_means(Moments.of_successes(5000, 2000), Moments.of_successes(5000, 2250))


def test_golden_numbers() -> None:
    assert rho(0.05, 5000) == pytest.approx(0.0398400668, abs=1e-10)
    assert half_width(GOLDEN.error, GOLDEN.n, 5000) == pytest.approx(0.0302326888, abs=1e-10)
    interval = two_sided(GOLDEN, 5000)
    assert interval.p == pytest.approx(2.38099e-5, rel=1e-5)
    assert (interval.low, interval.high) == pytest.approx((0.05 - 0.0302326888, 0.05 + 0.0302326888))


@pytest.mark.parametrize(("part", "width"), [(0.05, 2.41), (0.1, 1.97), (0.5, 1.57), (1, 1.549), (10, 1.65)])
def test_the_price_of_looking_daily(part: float, width: float) -> None:
    n = 5000
    assert half_width(1.0, n, n / part) / 1.959964 == pytest.approx(width, abs=0.006)


def test_the_interval_touches_zero_where_p_is_alpha() -> None:
    for alpha in (0.05, 0.01):
        width = half_width(0.01, 3000, 5000, alpha)
        edge = Effect(width, 0.01, 3000)
        assert 1 / e_value(edge, 5000, alpha) == pytest.approx(alpha, rel=1e-9)
        bound = above(edge, 5000, alpha)
        assert above(Effect(width - bound.low, 0.01, 3000), 5000, alpha).p == pytest.approx(alpha, rel=1e-9)


def test_one_sided_bounds_mirror_each_other_and_are_narrower() -> None:
    low, high = above(GOLDEN, 5000), below(GOLDEN, 5000)
    assert low.high == inf and high.low == -inf
    assert 0.05 - low.low == pytest.approx(high.high - 0.05)
    assert two_sided(GOLDEN, 5000).low < low.low < 0.05
    assert high.p == 1.0 and low.p < 1e-4
    grown = 10_000 * rho(0.1, 5000) ** 2
    width = GOLDEN.error * sqrt(2 * (grown + 1) / grown * log(1 + sqrt(grown + 1) / 0.1))
    assert 0.05 - low.low == pytest.approx(width, rel=1e-12)


def test_no_spread_at_all() -> None:
    assert two_sided(Effect(0.0, 0.0, 100), 5000).p == 1.0
    sure = two_sided(Effect(1.0, 0.0, 100), 5000)
    assert sure.p == 0.0 and sure.e == inf and (sure.low, sure.high) == (1.0, 1.0)
    assert above(Effect(1.0, 0.0, 100), 5000).p == 0.0


def test_many_looks_err_in_at_most_five_of_a_hundred_experiments() -> None:
    """100 looks at A/A experiments.

    The z test errs far too often, the sequence and its one-sided bound don't.
    """
    random, repeats = np.random.default_rng(3), 600
    wrong = {"z": 0, "two-sided": 0, "above": 0}
    for _ in range(repeats):
        a, b = (np.cumsum(random.binomial(50, 0.3, 100)) for _ in range(2))
        claimed = set()
        for look in range(1, 101):
            n = 50 * look
            effect = of_means(
                Moments.of_successes(n, int(a[look - 1])), Moments.of_successes(n, int(b[look - 1]))
            )
            if abs(effect.difference) > 1.96 * effect.error:
                claimed.add("z")
            if two_sided(effect, 5000).p <= 0.05:
                claimed.add("two-sided")
            if above(effect, 5000).low > 0:
                claimed.add("above")
        for name in claimed:
            wrong[name] += 1
    assert wrong["z"] / repeats > 0.25
    assert 0 < wrong["two-sided"] / repeats <= 0.06
    assert 0 < wrong["above"] / repeats <= 0.06


@pytest.mark.parametrize("shape", SHAPES)
def test_outcomes_that_come_later_in_one_arm(shape: str) -> None:
    """Mature units with the sequence are right.

    The three wrong ways are found wrong by the same simulation.
    """
    wrong = false_positives(shape, 50, 120)
    pending, resolved, mature, ours = (wrong[way] for way in WAYS)
    assert pending > 0.5
    assert resolved > 0.15
    assert mature > 0.1
    assert ours <= 0.05
