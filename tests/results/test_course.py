"""An experiment over time, on the real engine: units join as their time is up, and leave with an outcome."""

from __future__ import annotations

from typing import Any

import pytest

from tests.databases import Databases
from tests.results.conftest import DAY, NOON, WEEK, Story
from tests.results.exact_pages import assert_charts_alike
from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.reading import read_charted, read_results
from upshot.insights.experiments.written_rows import has_all_rows
from upshot.insights.pages.experiments import (
    course,
    times_to_outcome,
    units_query,
)
from upshot.insights.statistics.survival import kaplan_meier, median_time

pytestmark = pytest.mark.stack
SOLVED = PlannedMetric("solved", window=WEEK)
UNITS, DAYS = 12, 40


async def test_the_course_of_an_experiment_ends_at_its_present_result(story: Story, plan: Any) -> None:
    for number in range(UNITS):
        story.unit(f"u{number}", "warm" if number % 2 else "plain", number, value=number % 3 > 0)
    story.unit("silent", "warm", 3)
    story.unit("forced", "warm", 3, strategy="forced", value=True)
    reader, at, made = await story.stored(), NOON + DAYS * DAY, plan(SOLVED)
    found, spread = read_charted(reader, made, at, SOLVED)
    assert found == read_results(reader, made, at)
    assert spread and found.first_exposed_at == NOON == spread.charting.slots.start - WEEK

    points = course(made, spread, at)
    counts = [sum(arm.moments.n for arm in result.arms) for _, result in points]
    assert counts[0] == 2 and counts[-1] == UNITS + 1 and counts == sorted(counts)
    assert [then for then, _ in points] == sorted(then for then, _ in points) and points[-1][0] <= at
    assert points[-1][1].comparisons[0].effect == found.metrics[0].comparisons[0].effect

    times = times_to_outcome(spread)
    assert {arm: sum(each.events for each in left) for arm, left in times.items()} == {"plain": 6, "warm": 6}
    assert sum(each.censored for each in times["warm"]) == 1, (
        "a unit without an outcome leaves at its maturity"
    )
    assert 24 <= median_time(kaplan_meier(times["plain"])) < 26, "outcomes came after a day"
    assert_charts_alike(reader, made, at, spread)

    states = {row["unit"]: row["state"] for row in units_query(made, SOLVED, at).rows(reader)}
    assert states["silent"] == "open" and states["forced"] == "forced" and states["u1"] == "outcome"
    warm = units_query(made, SOLVED, at, "warm", "mature").rows(reader)
    assert len(warm) == UNITS / 2 + 1


async def test_charts_before_the_rows_of_older_runs_are_written(migrated: Databases, plan: Any) -> None:
    story, made, at = Story(migrated.take()), plan(SOLVED), NOON + DAYS * DAY
    for number in range(UNITS):
        story.unit(f"u{number}", "warm" if number % 2 else "plain", number, value=number % 3 > 0)
    reader = await story.stored(write=False)
    assert not has_all_rows(reader)
    found, spread = read_charted(reader, made, at, SOLVED)
    assert spread and spread.charting.slots.start == NOON + WEEK
    assert course(made, spread, at)[-1][1].comparisons[0].effect == found.metrics[0].comparisons[0].effect
    assert_charts_alike(reader, made, at, spread)
    migrated.give_back(story.settings)
