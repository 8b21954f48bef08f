"""The doctor's line about experiments, on the real engine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.results.conftest import DAY, NOON, Story
from upshot.ops.doctor.experiments import examine_experiments

pytestmark = pytest.mark.stack


def today() -> float:
    """The day of the story that is today."""
    return (datetime.now(UTC) - NOON) / DAY - 0.01


def register(story: Story, day: float) -> None:
    variants = {"plain": 1, "warm": 1}
    story.event("experiments", day, experiment="tone", variants=variants, control="plain", changed_at=NOON)


async def test_all_is_well(story: Story) -> None:
    register(story, 0)
    story.unit("u", "warm", today())
    story.unit("old", "purple", today() - 3)
    assert examine_experiments(await story.stored()).state == "fine"


async def test_runs_without_an_exposure_and_variants_that_nobody_listed(story: Story) -> None:
    register(story, 0)
    day = today()
    story.unit("u", "purple", day)
    story.unit("v", "anything", day, run="of-another")
    for number in range(3):
        attributes = {"upshot.not_exposed": {"tone": "no_unit"}}
        story.event("runs", day, run_id=f"r{number}", agent="support", attributes=attributes)
    found = examine_experiments(await story.stored())
    assert found.state == "notice"
    assert "tone: the control without an exposure in 3 runs (no_unit)" in found.found
    assert "tone: 1 exposures to purple" in found.found
    assert "choose(unit=…)" in found.to_do and "upshot experiments set" in found.to_do
