"""Judges against outcomes: the early read and its promise, calibration against direct computation."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from upshot.insights.statistics.judges import Judged, calibration, early_read, gap
from upshot.insights.statistics.moments import Moments


def test_an_early_read_covers_the_truth_with_a_smaller_error() -> None:
    random, covered, narrower = np.random.default_rng(6), 0, []
    for _ in range(500):
        skill = random.uniform(0.1, 0.7, 1_200)
        outcome = random.uniform(size=1_200) < skill
        judge = skill + random.normal(0, 0.05, 1_200)
        mature = Moments.of(outcome[:200], covariates=judge[:200])
        read = early_read(mature, 1_000, float(judge[200:].mean()))
        low, high = read.interval()
        covered += low <= 0.4 <= high
        narrower.append(read.saved)
    assert 0.91 <= covered / 500 <= 0.98
    assert np.mean(narrower) > 0.08


def test_a_judge_who_knows_nothing_changes_nothing() -> None:
    mature = Moments.of([0, 1, 1, 0] * 50, covariates=[0.5] * 200)
    read = early_read(mature, 1_000, 0.9)
    assert (read.mean, read.weight, read.saved) == (0.5, 0.0, 0.0)
    assert early_read(mature, 0, 0.0).mean == 0.5


def test_the_weight_and_the_saving_are_those_of_the_paper() -> None:
    random = np.random.default_rng(3)
    f = random.normal(size=300)
    y = 0.8 * f + random.normal(size=300)
    read = early_read(Moments.of(y, covariates=f), 900, 0.2)
    covariance = np.cov(f, y)
    crowd = 1 + 300 / 900
    assert read.weight == pytest.approx(covariance[0, 1] / (crowd * covariance[0, 0]), rel=1e-9)
    assert read.saved == pytest.approx(np.corrcoef(f, y)[0, 1] ** 2 / crowd, rel=1e-9)
    assert read.mean == pytest.approx(y.mean() - read.weight * (f.mean() - 0.2), rel=1e-9)


def grouped(scores: np.ndarray, outcomes: np.ndarray) -> list[Judged]:
    return [
        Judged(float(score), int((scores == score).sum()), int(outcomes[scores == score].sum()))
        for score in np.unique(scores)
    ]


def test_auc_and_brier_are_those_of_the_pairs() -> None:
    random = np.random.default_rng(2)
    scores = random.integers(0, 11, 300) / 10
    outcomes = random.uniform(size=300) < scores
    found = calibration(grouped(scores, outcomes)[::-1])
    good, bad = scores[outcomes], scores[~outcomes]
    pairs = (good[:, None] > bad[None, :]).mean() + (good[:, None] == bad[None, :]).mean() / 2
    assert found.auc == pytest.approx(pairs, rel=1e-12)
    assert found.brier == pytest.approx(((scores - outcomes) ** 2).mean(), rel=1e-12)
    assert found.n == sum(each.n for each in found.bins) == 300
    assert all(a.high < b.low for a, b in zip(found.bins, found.bins[1:], strict=False))


def test_ten_bins_of_scores_that_are_all_different() -> None:
    found = calibration([Judged(i / 1000, 1, i % 2) for i in range(1000)])
    assert [each.n for each in found.bins] == [100] * 10


@pytest.mark.parametrize("judged", [[], [Judged(0.5, 3, 3)], [Judged(0.5, 3, 0), Judged(0.7, 0, 0)]])
def test_a_judge_without_successes_or_failures(judged: list[Judged]) -> None:
    assert isnan(calibration(judged).auc)


def test_scores_beyond_probabilities_have_no_brier_score() -> None:
    assert isnan(calibration([Judged(7.0, 3, 1), Judged(9.0, 3, 2)]).brier)


def test_a_judge_who_favours_an_arm_is_found() -> None:
    control = [Judged(score / 10, 200, 20 * score) for score in range(1, 10)]
    flattered = [Judged(score / 10, 200, 20 * score - 16) for score in range(1, 10)]
    found, fair = gap(control, flattered), gap(control, control)
    assert found.p < 1e-3 and found.difference == pytest.approx(-0.08)
    assert fair.p == pytest.approx(1.0) and fair.difference == 0


def test_the_gap_is_that_of_cochran_mantel_haenszel() -> None:
    control = [Judged(0.1, 100, 20), Judged(0.5, 120, 50), Judged(0.9, 80, 70)]
    variant = [Judged(0.1, 90, 25), Judged(0.5, 130, 70), Judged(0.9, 100, 88)]
    tables = [
        np.array([[v.successes, v.n - v.successes], [c.successes, c.n - c.successes]])
        for c, v in zip(control, variant, strict=True)
    ]
    oracle = StratifiedTable(tables).test_null_odds()
    assert gap(control, variant).p == pytest.approx(oracle.pvalue, rel=1e-9)


def test_arms_without_a_score_in_common() -> None:
    assert isnan(gap([], []).difference) and gap([], []).p == 1.0
    assert isnan(gap([Judged(0.1, 50, 5)], [Judged(0.9, 50, 45)], bins=2).difference)
