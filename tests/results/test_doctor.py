"""The doctor's line about experiments, on the real engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.results.conftest import DAY, NOON, Story
from upshot.experiments.assignment import Assigned, Assigner
from upshot.experiments.definition import declared
from upshot.ops.doctor.experiments import examine_assignments, examine_experiments

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


def assign(story: Story, units: int) -> None:
    """The choices of so many units by the hash, half and half."""
    definition = replace(declared("tone", {"plain": 1, "warm": 1}, control="plain", unit="user"), phase="1")
    assigner = Assigner(definition)
    for number in range(units):
        given = assigner.assign(f"u{number}", {})
        assert isinstance(given, Assigned)
        story.unit(f"u{number}", given.variant, today(), waits=False)


async def test_assignments_are_computed_again(story: Story) -> None:
    register(story, 0)
    assign(story, 60)
    story.unit("tester", "warm", today(), strategy="forced", waits=False)
    story.unit("old", "plain", today() - 3, waits=False)
    assert examine_assignments(await story.stored()).state == "fine"
    story.records.clear()
    for number in range(5):
        story.unit(f"u{number}", "plain", today(), waits=False)
        story.unit(f"u{number}", "warm", today(), waits=False)
    found = examine_assignments(await story.stored())
    assert (found.state, found.found) == ("notice", "tone: 5 of 70 recent assignments differ from the hash")
    assert "upshot experiments verify tone" in found.to_do


async def test_an_arm_that_no_agent_serves(story: Story) -> None:
    register(story, 0)
    for number in range(19):
        story.unit(f"u{number}", "plain", today(), strategy="external", waits=False)
    assert examine_assignments(await story.stored()).state == "fine", "chance alone does so in 2 of a million"
    story.records.clear()
    story.unit("u19", "plain", today(), strategy="external", waits=False)
    found = examine_assignments(await story.stored())
    assert found.state == "notice"
    assert (
        "tone: warm is an arm that no agent serves, none of 20 units of phase 1 was given it" in found.found
    )
    assert "deploy code that has the arm" in found.to_do
