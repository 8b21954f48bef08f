"""Windows, silences and open waits in SQL, against the plain counting that they stand for."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from tests.results.conftest import NOON, Story
from upshot.alerts.windows import Grid, Timeline
from upshot.insights.alerts.waits import overdue
from upshot.insights.alerts.windows import timeline
from upshot.schemas.alert_rules import AlertRule
from upshot.streams.events.instants import Micros, micros

pytestmark = pytest.mark.stack

MINUTE = 60_000_000
HOUR: Micros = 60 * MINUTE
BEGIN = micros(NOON)
EVERY = 10 * MINUTE


def rule(**changed: Any) -> AlertRule:
    least = {
        "name": "r",
        "score": "merged",
        "every": "PT10M",
        "window": "PT1H",
        "changed_at": NOON.isoformat(),
    }
    line = {} if {"drop", "kind"} & changed.keys() else {"below": 0.6}
    return AlertRule.model_validate(least | {"kind": "rate"} | line | changed)


def revise(story: Story, number: int, revision: int, value: Any, minutes: float, **changed: Any) -> None:
    """A revision of a score, recorded so many minutes after noon."""
    at = NOON + timedelta(minutes=minutes)
    event: dict[str, Any] = {
        "score_id": f"s{number}",
        "run_id": f"r{number}",
        "name": "merged",
        "value": value,
        "revision": revision,
        "reason": "outcome",
        "agent": ("a", "b")[number % 2],
        "decided_at": at,
    }
    story.event("scores", minutes / 1440, **(event | changed))


def at(found: Timeline, group: tuple[str, ...], instant: Micros) -> tuple[int, float]:
    n, y = 0, 0.0
    for since, sums in found.get(group, ()):
        if since <= instant:
            n, y = sums.n, sums.y
    return n, y


async def test_windows_are_what_counting_each_by_itself_gives(story: Story) -> None:
    chance = random.Random(7)
    revisions = []
    for number in range(40):
        for revision in range(1, chance.randint(1, 3) + 1):
            revisions.append((number, revision, chance.choice([True, False, None]), chance.uniform(0, 300)))
    for number, revision, value, minutes in revisions:
        reason = "outcome" if value is not None else "reopened"
        revise(story, number, revision, value, minutes, reason=reason)
    reader = await story.stored()
    grid = Grid(EVERY, BEGIN - 1, BEGIN + 6 * HOUR)
    found = timeline(reader, rule(by=["agent"]), grid)
    later = timeline(reader, rule(by=["agent"]), Grid(EVERY, BEGIN + 2 * HOUR, BEGIN + 3 * HOUR))
    earlier = timeline(reader, rule(by=["agent"]), grid, timedelta(hours=1))
    for instant in range(grid.first, grid.last + 1, EVERY):
        for parity, agent in enumerate(("a", "b")):
            counted = _counted(revisions, parity, instant, instant)
            assert at(found, (agent,), instant) == counted, (instant - BEGIN) / MINUTE
            if BEGIN + 2 * HOUR < instant <= BEGIN + 3 * HOUR:
                assert at(later, (agent,), instant) == counted
            assert at(earlier, (agent,), instant) == _counted(revisions, parity, instant, instant - HOUR)


def _counted(revisions: list[Any], parity: int, as_of: Micros, end: Micros) -> tuple[int, float]:
    latest: dict[int, tuple[int, Any, Micros]] = {}
    for number, revision, value, minutes in revisions:
        when = round((BEGIN + minutes * MINUTE) / 1000) * 1000
        if number % 2 == parity and when <= as_of and revision >= latest.get(number, (0,))[0]:
            latest[number] = (revision, value, when)
    counted = [v for _, v, when in latest.values() if end - HOUR < when <= end and v is not None]
    return len(counted), float(sum(counted))


async def test_a_mature_window_waits_for_the_deadlines_of_its_waits(story: Story) -> None:
    for number, value in enumerate((True, False)):
        wait = {"run_id": f"r{number}", "name": "merged", "subject": f"pr:{number}", "wait_id": f"w{number}"}
        within = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "PT2H", "else": False}
        story.event("waits", 0, **wait, rule=within, opened_at=NOON)
        revise(story, number, 1, value, 10 + 50 * number, subject=f"pr:{number}", wait_id=f"w{number}")
    reader = await story.stored()
    grid = Grid(EVERY, BEGIN - 1, BEGIN + 6 * HOUR)
    decided = timeline(reader, rule(), grid)
    assert at(decided, (), BEGIN + 30 * MINUTE) == (1, 1.0), "quick outcomes come first"
    mature = timeline(reader, rule(population="matured"), grid)
    assert at(mature, (), BEGIN + 110 * MINUTE) == (0, 0.0)
    assert at(mature, (), BEGIN + 120 * MINUTE) == (2, 1.0)
    assert at(mature, (), BEGIN + 180 * MINUTE) == (0, 0.0)


async def test_filters_see_the_facts_of_the_run_and_replays_do_not_count(story: Story) -> None:
    for number, (plan, origin) in enumerate((("paying", "live"), ("free", "live"), ("paying", "replay"))):
        facts = {"agent": "support", "attributes": {"plan": plan}, "origin": origin}
        story.event("runs", 0, run_id=f"r{number}", **facts)
        revise(story, number, 1, False, 5, agent=None)
    revise(story, 9, 1, False, 5, agent=None, attributes={"plan": "paying"}, exposures=[_warm()])
    reader = await story.stored()
    grid = Grid(EVERY, BEGIN - 1, BEGIN + HOUR)
    ten = BEGIN + 10 * MINUTE
    assert at(timeline(reader, rule(where={"plan": "paying"}), grid), (), ten) == (2, 0.0)
    assert at(timeline(reader, rule(agent="support"), grid), (), ten) == (2, 0.0)
    by_plan = timeline(reader, rule(by=["plan", "variant:tone"]), grid)
    assert {group: at(by_plan, group, ten)[0] for group in by_plan} == {
        ("paying", ""): 1,
        ("free", ""): 1,
        ("paying", "warm"): 1,
    }
    assert at(timeline(reader, rule(variants={"tone": "warm"}), grid), (), ten) == (1, 0.0)


def _warm() -> dict[str, Any]:
    return {"experiment": "tone", "variant": "warm", "phase": "1", "probability": 0.5}


async def test_silence_counts_any_record_of_a_score(story: Story) -> None:
    revise(story, 1, 1, None, 5, reason="expired")
    reader = await story.stored()
    found = timeline(reader, rule(kind="silence", window="PT30M"), Grid(EVERY, BEGIN - 1, BEGIN + HOUR))
    assert [at(found, (), BEGIN + n * EVERY)[0] for n in range(6)] == [0, 1, 1, 1, 0, 0]


async def test_a_wait_is_overdue_until_it_is_answered_or_cancelled(story: Story) -> None:
    within = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P1D"}
    for number in range(4):
        wait = {"run_id": f"r{number}", "name": "merged", "subject": f"pr:{number}", "wait_id": f"w{number}"}
        story.event("waits", 0, **wait, rule=within, opened_at=NOON, agent="a" if number < 3 else "b")
    revise(story, 0, 1, True, 20, subject="pr:0", wait_id="w0")
    revise(story, 1, 1, True, 95, subject="pr:1", wait_id="w1")
    reader = await story.stored()
    slow = rule(kind="pending_for", agent="a")
    whole = overdue(reader, slow, Grid(EVERY, BEGIN - 1, BEGIN + 3 * HOUR))
    assert [(one.subject, one.state, (one.at - BEGIN) // MINUTE) for one in whole] == [
        ("pr:1", "firing", 60),
        ("pr:2", "firing", 60),
        ("pr:1", "resolved", 100),
    ]
    pieces = [
        one
        for n in range(18)
        for one in overdue(reader, slow, Grid(EVERY, BEGIN - 1 + n * EVERY, BEGIN + n * EVERY + EVERY - 1))
    ]
    assert pieces == whole
    assert len(overdue(reader, slow, Grid(EVERY, BEGIN - 1, BEGIN + 3 * HOUR), most=1)) == 2
