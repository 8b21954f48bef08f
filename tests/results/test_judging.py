"""A judge's scores beside outcomes, on the real engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.results.conftest import DAY, NOON, WEEK, Story
from upshot.insights.experiments.judging import judged_groups, judgement
from upshot.insights.experiments.plan import PlannedMetric

pytestmark = pytest.mark.stack

SOLVED = PlannedMetric("solved", window=WEEK)


def judged(story: Story, run: str, score: float, day: float = 0.0) -> None:
    story.event("scores", day, run_id=run, name="helpful", value=score, decided_at=NOON + day * DAY)


async def test_a_judge_is_compared_with_what_happened(story: Story, plan: Any) -> None:
    for number in range(20):
        for variant, lift in (("plain", 0.0), ("warm", 0.1)):
            run = story.unit(f"{variant}-{number}", variant, value=number >= 10)
            judged(story, run, round(number / 25 + lift, 2))
    for number in range(10):
        judged(story, story.unit(f"waiting-{number}", "warm", 29), 0.9)
    unjudged = story.unit("unjudged", "plain", value=True)
    assert unjudged
    reader = await story.stored()
    found = judgement(reader, plan(SOLVED), SOLVED, "helpful", NOON + 30 * DAY)
    asked = (reader, plan(SOLVED), SOLVED, "helpful", NOON + 30 * DAY)
    assert judged_groups(*asked, of_rows=True) == judged_groups(*asked, of_rows=False)
    plain, warm = found.arms
    assert (plain.variant, plain.calibration.n, plain.calibration.auc) == ("plain", 20, 1.0)
    assert plain.gap is None and warm.gap is not None
    assert plain.early is not None and plain.early.mean == 0.5
    assert warm.early is not None and warm.early.mean > 0.5


async def test_a_judge_who_said_nothing(story: Story, plan: Any) -> None:
    story.unit("a", "plain", value=True)
    found = judgement(await story.stored(), plan(SOLVED), SOLVED, "helpful", NOON + 30 * DAY)
    assert [(arm.calibration.n, arm.early) for arm in found.arms] == [(0, None), (0, None)]
