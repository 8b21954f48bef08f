"""Time to outcome against scipy and statsmodels."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from scipy import stats
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from upshot.insights.statistics.survival import (
    Departures,
    aalen_johansen,
    kaplan_meier,
    log_rank,
    median_time,
)

CENSORED, GOOD, BAD = 0, 1, 2


def drawn(seed: int, scale: float, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Whole hours, so that times are shared; a third is censored."""
    random = np.random.default_rng(seed)
    times = np.ceil(random.exponential(scale, n))
    return times, random.choice([CENSORED, GOOD, BAD], n, p=[0.3, 0.5, 0.2])


def departures(times: np.ndarray, what: np.ndarray) -> list[Departures]:
    return [
        Departures(
            float(time),
            {
                "good": int(((times == time) & (what == GOOD)).sum()),
                "bad": int(((times == time) & (what == BAD)).sum()),
            },
            int(((times == time) & (what == CENSORED)).sum()),
        )
        for time in np.unique(times)
    ]


def test_kaplan_meier_is_statsmodels_and_scipys() -> None:
    times, what = drawn(1, 20.0)
    points = kaplan_meier(departures(times, what))
    oracle = SurvfuncRight(times, what != CENSORED)
    assert [point.time for point in points] == list(oracle.surv_times)
    assert [point.probability for point in points] == pytest.approx(list(oracle.surv_prob), rel=1e-9)
    errors = [point.error for point in points]
    assert errors[:-1] == pytest.approx(list(oracle.surv_prob_se)[:-1], rel=1e-9) and errors[-1] == 0
    sample = stats.CensoredData.right_censored(times, what == CENSORED)
    assert [point.probability for point in points] == pytest.approx(
        list(stats.ecdf(sample).sf.evaluate([point.time for point in points])), rel=1e-9
    )
    assert median_time(points) == oracle.quantile(0.5)


def test_competing_ends() -> None:
    times, what = drawn(2, 20.0)
    oracle = CumIncidenceRight(times, what)
    ours = dict(aalen_johansen(departures(times, what), "good"))
    theirs = dict(zip(oracle.times, oracle.cinc[0], strict=True))
    assert ours == pytest.approx({time: theirs[time] for time in ours}, rel=1e-9)
    last = sum(aalen_johansen(departures(times, what), cause)[-1][1] for cause in ("good", "bad"))
    assert last <= 1.0


def test_log_rank_is_scipys() -> None:
    (ta, wa), (tb, wb) = drawn(3, 20.0), drawn(4, 26.0)
    oracle = stats.logrank(
        stats.CensoredData.right_censored(ta, wa == CENSORED),
        stats.CensoredData.right_censored(tb, wb == CENSORED),
    )
    assert log_rank(departures(ta, wa), departures(tb, wb)) == pytest.approx(oracle.pvalue, rel=1e-9)


def test_nothing_came_yet() -> None:
    waiting = [Departures(5.0, {}, 10)]
    assert kaplan_meier(waiting) == [] and isnan(median_time([])) and log_rank(waiting, waiting) == 1.0
    assert aalen_johansen(waiting, "good") == []
    assert [point.probability for point in kaplan_meier([Departures(1.0, {"good": 3})])] == [0.0]
