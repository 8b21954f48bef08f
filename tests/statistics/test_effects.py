"""Differences and their errors, against statsmodels, direct computation and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from upshot.insights.statistics.effects import (
    Effect,
    adjusted,
    beyond_margin,
    combined,
    enough,
    of_means,
    of_ratios,
    ratio_variance,
    relative,
)
from upshot.insights.statistics.moments import Moments

RANDOM = np.random.default_rng(11)
A, B = RANDOM.gamma(2.0, 3.0, 400), RANDOM.gamma(2.2, 3.0, 350)


def test_moments_are_those_of_the_units_however_they_are_split() -> None:
    m, x = RANDOM.integers(1, 5, 400), RANDOM.normal(size=400)
    whole = Moments.of(A, m, x)
    halves = Moments.of(A[:123], m[:123], x[:123]) + Moments.of(A[123:], m[123:], x[123:])
    for name in ("mean", "variance", "variance_m", "variance_x", "covariance_ym", "covariance_xy"):
        assert getattr(halves, name) == pytest.approx(getattr(whole, name), rel=1e-9)
    assert whole.mean == pytest.approx(A.mean(), rel=1e-12)
    assert whole.variance == pytest.approx(A.var(ddof=1), rel=1e-9)
    assert whole.covariance_ym == pytest.approx(np.cov(A, m)[0, 1], rel=1e-9)
    assert whole.covariance_xy == pytest.approx(np.cov(A, x)[0, 1], rel=1e-9)


def test_a_covariance_of_equal_sums_may_be_negative() -> None:
    assert Moments.of([1, 2, 3], covariates=[3, 2, 1]).covariance_xy == -1


def test_means_are_welchs() -> None:
    effect = of_means(Moments.of(A), Moments.of(B))
    oracle = stats.ttest_ind(B, A, equal_var=False)
    assert effect.difference / effect.error == pytest.approx(oracle.statistic, rel=1e-9)
    golden = of_means(Moments.of_successes(5000, 2000), Moments.of_successes(5000, 2250))
    assert golden.error == pytest.approx(0.00987519640, abs=1e-11)
    assert golden.difference / golden.error == pytest.approx(5.06319, abs=1e-5)
    assert golden.n == 10_000


def test_a_ratios_error_is_that_of_the_linearised_units() -> None:
    m = RANDOM.integers(1, 6, 400).astype(float)
    y = RANDOM.binomial(m.astype(int), 0.4).astype(float)
    moments = Moments.of(y, m)
    linear = (y - y.sum() / m.sum() * m) / m.mean()
    assert ratio_variance(moments) == pytest.approx(linear.var(ddof=1) / 400, rel=1e-9)


def test_runs_of_one_user_are_no_independent_units() -> None:
    """Under the null, the delta method over users errs in 5 % of the experiments.

    Runs as units in far more.
    """
    random, wrong, right = np.random.default_rng(5), 0, 0
    for _ in range(400):
        clusters, runs = [], []
        for _arm in range(2):
            rate = random.beta(0.4, 0.6, 200)
            m = random.poisson(20, 200) + 1
            y = random.binomial(m, rate)
            clusters.append(Moments.of(y, m))
            runs.append(Moments.of_successes(int(m.sum()), int(y.sum())))
        ours, theirs = of_ratios(*clusters), of_means(*runs)
        right += abs(ours.difference) > 1.96 * ours.error
        wrong += abs(theirs.difference) > 1.96 * theirs.error
    assert 0.02 <= right / 400 <= 0.09
    assert wrong / 400 > 0.5


def test_a_covariate_from_before_saves_variance_and_moves_no_mean() -> None:
    random = np.random.default_rng(7)
    x = random.normal(size=2000)
    y = 1.5 * x + random.normal(size=2000)
    control, variant = (Moments.of(y[part] + lift, covariates=x[part])
                        for part, lift in ((slice(0, 1000), 0.0), (slice(1000, 2000), 0.3)))  # fmt: skip
    effect, plain = adjusted(control, variant), of_means(control, variant)
    assert effect.difference == pytest.approx(0.3, abs=3 * effect.error)
    assert effect.error < 0.6 * plain.error
    without = Moments.of(y[:1000]), Moments.of(y[1000:])
    assert adjusted(*without) == of_means(*without)


def test_theta_is_taken_within_the_arms() -> None:
    """With arms far apart in x, θ of the pooled units would be another one; the oracle is a regression."""
    random = np.random.default_rng(8)
    xa, xb = random.normal(0, 1, 500), random.normal(3, 1, 500)
    ya, yb = 2 * xa + random.normal(size=500), 2 * xb + 1 + random.normal(size=500)
    design = np.column_stack([np.ones(1000), np.r_[np.zeros(500), np.ones(500)], np.r_[xa, xb]])
    oracle = sm.OLS(np.r_[ya, yb], design).fit()
    effect = adjusted(Moments.of(ya, covariates=xa), Moments.of(yb, covariates=xb))
    assert effect.difference == pytest.approx(oracle.params[1], rel=1e-9)


def test_a_judges_score_of_the_run_itself_would_turn_the_sign() -> None:
    """The reason why a covariate from after the exposure is refused.

    The variant lifts what the judge sees.
    """
    random = np.random.default_rng(9)
    n = 20_000
    hard = random.normal(size=(2, n))
    judge = hard + np.array([[0.0], [1.0]])
    outcome = 0.6 * hard + np.array([[0.0], [0.06]]) + random.normal(size=(2, n))
    effect = adjusted(*(Moments.of(outcome[arm], covariates=judge[arm]) for arm in (0, 1)))
    assert of_means(*(Moments.of(outcome[arm]) for arm in (0, 1))).difference > 0.03
    assert effect.difference < -0.3


def test_relative_differences_and_margins_agree() -> None:
    control, variant = Moments.of(A), Moments.of(B)
    lift = relative(control, variant)
    assert lift.difference == pytest.approx(B.mean() / A.mean() - 1)
    assert beyond_margin(control, variant, lift.difference).difference == pytest.approx(0, abs=1e-12)
    assert beyond_margin(Moments.of([0.0] * 60), Moments.of(B), 0.1).difference > 0


def test_phases_are_combined_by_their_effects() -> None:
    """Simpson: the variant is worse in both phases, and better in the pooled counts."""
    phases = [
        (Moments.of_successes(900, 180), Moments.of_successes(100, 15)),
        (Moments.of_successes(100, 80), Moments.of_successes(900, 675)),
    ]
    pooled = of_means(phases[0][0] + phases[1][0], phases[0][1] + phases[1][1])
    effect = combined([of_means(*phase) for phase in phases])
    assert pooled.difference > 0.3
    assert effect.difference == pytest.approx(-0.05)
    assert effect.n == 2000
    assert combined([Effect(0.1, 0.02, 50)]) == Effect(0.1, 0.02, 50)


@pytest.mark.parametrize(
    ("n", "successes", "trusted"),
    [(49, 20, False), (50, 10, True), (50, 9, False), (50, 41, False), (50, 40, True)],
)
def test_a_few_units_are_not_enough(n: int, successes: int, trusted: bool) -> None:
    assert enough(Moments.of_successes(n, successes), boolean=True) is trusted
    assert enough(Moments.of_successes(n, successes), boolean=False) is (n >= 50)
