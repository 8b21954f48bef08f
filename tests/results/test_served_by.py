"""Versions of the agent behind the variants, and the time that outcomes take, on the real engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.results.conftest import DAY, NOON, WEEK, Story
from upshot.insights.experiments.delays import delays
from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.reading import read_results
from upshot.insights.experiments.served_by import Confounded, of_counts
from upshot.insights.experiments.verdict import verdict

pytestmark = pytest.mark.stack
SOLVED = PlannedMetric("solved", window=WEEK)
HOUR = timedelta(hours=1)


async def test_variants_of_other_versions_are_named(story: Story, plan: Any) -> None:
    for number in range(60):
        arm = "warm" if number % 2 else "plain"
        story.unit(f"u{number}", arm, 0, value=True, version="2" if arm == "warm" else "1")
    found = read_results(await story.stored(), plan(SOLVED), NOON + 30 * DAY)
    assert found.confounded == (Confounded("1", "warm", "plain", "2", 1.0, 0.0),)
    [text] = [text for text in verdict(found).warnings if "version" in text]
    assert "phase 1: warm was served by version 2 of the agent in 100% of its runs, and plain in 0%" in text


@pytest.mark.parametrize(
    ("plain", "warm"),
    [
        ({"1": 500, "2": 500}, {"1": 480, "2": 520}),  # a deploy in the middle
        ({"1": 5}, {"2": 5}),  # too few to tell
        ({"": 1000}, {"": 1000}),  # nobody states a version
    ],
)
def test_deploys_in_the_middle_are_no_fault(plan: Any, plain: dict[str, int], warm: dict[str, int]) -> None:
    assert list(of_counts(plan(SOLVED), {"1": {"plain": plain, "warm": warm}})) == []


async def test_the_time_that_nearly_all_outcomes_take(story: Story, plan: Any) -> None:
    for number in range(1, 101):
        run = story.unit(f"u{number}", "plain", 0)
        story.score(run, True, number / 10, occurred_at=NOON + number / 10 * DAY - HOUR)
    story.unit("silent", "plain", 0)
    story.unit("young", "plain", 25, value=True, after=1 / 24)
    reader = await story.stored()
    found = delays(reader, plan(SOLVED), story.population(plan(SOLVED), SOLVED, NOON + 30 * DAY))
    assert found is not None and found.outcomes == 100
    assert found.after_exposure / DAY == pytest.approx(9.9, abs=0.05)
    assert found.after_occurrence == HOUR
    assert not found.are_covered
    longer = PlannedMetric("solved", window=WEEK, grace=3 * DAY)
    again = delays(reader, plan(longer), story.population(plan(longer), longer, NOON + 30 * DAY))
    assert again is not None and again.are_covered
    few = story.population(plan(SOLVED), SOLVED, NOON + 8 * DAY)
    assert delays(reader, plan(SOLVED), few) is None, "too few have been recorded"
