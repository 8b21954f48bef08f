"""Adjustment by earlier outcomes against least squares, and versions of scorers, on the real engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from tests.results.conftest import DAY, NOON, WEEK, Story
from upshot.insights.experiments.adjusting import adjustment
from upshot.insights.experiments.plan import PlannedMetric, PlannedPhase
from upshot.insights.experiments.reading import read_results
from upshot.insights.experiments.verdict import verdict

pytestmark = pytest.mark.stack

SOLVED = PlannedMetric("solved", window=WEEK, boolean=False)
EARLIER = {"experiment": "older", "variant": "a", "phase": "1"}


def history(story: Story, unit: str, value: float, day: float, known: float | None = None) -> None:
    """A run of another experiment with the same unit, and its score."""
    run = f"before-{unit}-{len(story.records)}"
    story.event("exposures", day, run_id=run, unit=unit, exposed_at=NOON + day * DAY, **EARLIER)
    story.score(run, value, day + 1 if known is None else known)


async def test_the_adjusted_difference_is_that_of_least_squares(story: Story, plan: Any) -> None:
    random = np.random.default_rng(3)
    y, x, arms = [], [], []
    for number in range(120):
        arm, habit = number % 2, float(random.normal())
        value = round(habit + 0.5 * arm + 0.3 * float(random.normal()), 3)
        story.unit(f"u{number}", "warm" if arm else "plain", 20, value=value)
        if number % 5:
            history(story, f"u{number}", round(habit, 3), 2)
        y.append(value)
        x.append(round(habit, 3) if number % 5 else float("nan"))
        arms.append(arm)
    # Known only after the exposure: a variant could have moved this score, so it is refused.
    history(story, "u0", 1_000.0, 18, known=21)
    reader = await story.stored()
    found = adjustment(reader, plan(SOLVED), SOLVED, NOON + 60 * DAY)
    known = np.array(x)
    filled = np.where(np.isnan(known), np.nanmean(known), known)
    fitted = sm.OLS(np.array(y), sm.add_constant(np.column_stack([arms, filled]))).fit()
    [compared] = found.comparisons
    assert (found.units, found.with_history) == (120, 96)
    assert compared.effect.difference == pytest.approx(fitted.params[1], rel=1e-9)
    assert compared.plain.difference == pytest.approx(
        np.mean(np.array(y)[1::2]) - np.mean(np.array(y)[::2]), rel=1e-9
    )
    assert compared.effect.error == pytest.approx(fitted.HC2_se[1], rel=0.05)
    assert 0.5 < compared.explained < 1
    assert compared.interval.low < 0.5 < compared.interval.high


async def test_a_number_stated_before_the_exposure_adjusts(story: Story, plan: Any) -> None:
    """What was stated or changed later is left out: a variant could have moved it."""
    random = np.random.default_rng(4)
    y, x, arms = [], [], []
    for number in range(60):
        arm, size = number % 2, round(float(random.normal()), 3)
        value = round(size + 0.5 * arm + 0.3 * float(random.normal()), 3)
        run = story.unit(f"u{number}", "warm" if arm else "plain", 20, value=value, attributes={"size": size})
        story.event("runs", 22, run_id=run, occurred_at=NOON + 22 * DAY, attributes={"size": 1e6, "late": 1})
        y.append(value)
        x.append(size)
        arms.append(arm)
    story.unit("unknown", "warm", 20, value=1.5, attributes={"size": "large"})
    reader = await story.stored()
    found = adjustment(reader, plan(SOLVED), SOLVED, NOON + 60 * DAY, "size")
    covariate = np.array([*x, np.mean(x)])
    fitted = sm.OLS(np.array([*y, 1.5]), sm.add_constant(np.column_stack([[*arms, 1], covariate]))).fit()
    [compared] = found.comparisons
    assert (found.units, found.with_history, found.attribute) == (61, 60, "size")
    assert compared.effect.difference == pytest.approx(fitted.params[1], rel=1e-9)
    assert compared.explained > 0.5
    late = adjustment(reader, plan(SOLVED), SOLVED, NOON + 60 * DAY, "late")
    assert (late.with_history, late.comparisons[0].effect) == (0, late.comparisons[0].plain)


async def test_without_any_history_nothing_is_adjusted(story: Story, plan: Any) -> None:
    for number in range(20):
        story.unit(f"u{number}", "warm" if number % 2 else "plain", 1, value=number % 3)
    found = adjustment(await story.stored(), plan(SOLVED), SOLVED, NOON + 60 * DAY)
    [compared] = found.comparisons
    assert (found.with_history, compared.effect) == (0, compared.plain)


async def test_a_version_promoted_inside_a_phase_is_named(story: Story, plan: Any) -> None:
    phases = [PlannedPhase("1", {"plain": 1.0, "warm": 1.0}), PlannedPhase("2", {"plain": 1.0, "warm": 2.0})]
    for number in range(6):
        phase = "1" if number < 4 else "2"
        run = story.unit(f"u{number}", "warm", 1, value=True, phase=phase)
        story.event(
            "deferrals",
            1,
            run_id=run,
            followup_id=f"f{number}",
            scorer="solved",
            version="1",
            deferred_at=NOON,
        )
    rescored = {"reason": "rescored", "attributes": {"scorer_version": "2"}}
    run = next(
        r for r in (f"run-u0-{n}" for n in range(99)) if any(r.encode() in s.value for s in story.records)
    )
    story.score(run, False, 9, revision=2, **rescored)
    whole = plan(SOLVED, phases=phases)
    results = read_results(await story.stored(), whole, NOON + 30 * DAY)
    assert [(each.phase, each.version, each.units) for each in results.versions] == [
        ("1", "1", 3),
        ("1", "2", 1),
        ("2", "1", 2),
    ]
    [warning] = [text for text in verdict(results).warnings if "scorer" in text]
    assert "phase 1 has solved from several versions of its scorer (1: 3 units, 2: 1 units)" in warning
