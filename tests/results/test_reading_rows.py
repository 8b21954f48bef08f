"""Results from the rows are those of the exact views, as of any instant; later facts wait for their rows."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.results.conftest import DAY, NOON, WEEK, Story, assert_alike
from tests.results.exact_pages import (
    SHOWN,
    assert_charts_alike,
    exact_times,
    exact_units,
)
from upshot.insights.experiments.charting import STEPS, Charting, Slots
from upshot.insights.experiments.plan import PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import exact_population, population, populations
from upshot.insights.experiments.reading import read_charted, read_results
from upshot.insights.experiments.written_rows import read_by
from upshot.insights.pages.experiments import times_query, units_query

pytestmark = pytest.mark.stack

SOLVED = PlannedMetric("solved", window=WEEK)
METRICS = (
    (SOLVED, ""),
    (PlannedMetric("solved", boolean=False, window=WEEK, horizon=3 * DAY, missing="exclude"), "tier"),
    (PlannedMetric("cost_usd", boolean=False, grace=timedelta(hours=1)), ""),
)
#: Metrics of one scan, of two more, and of one alone: their numbers are one another's neighbours.
MANY = (
    *(metric for metric, _ in METRICS),
    PlannedMetric("solved", "exploratory", boolean=False, missing="exclude"),
    PlannedMetric("failed", "guardrail"),
    PlannedMetric("unheard-of", "exploratory"),
    PlannedMetric("seconds", "exploratory", boolean=False, missing="exclude"),
)
#: Producers' clocks that are wrong, by less and by more than can be.
CLOCKS = [sign * timedelta(days=days) for sign in (1, -1) for days in (0.01, 2, 300, 9_000)]


def play(story: Story, chance: random.Random, units: int) -> None:
    """Units with runs, revisions and repetitions of every kind, at any time of two weeks."""
    clocks = random.Random(units)
    for number in range(units):
        runs = chance.choice((1, 1, 2, 4))
        arm = chance.choice(("plain", "warm"))
        for _ in range(runs):
            day = round(chance.uniform(0, 14), chance.choice((0, 3)))
            run = story.unit(
                f"u{number}",
                chance.choice((arm, arm, arm, "plain", "🦊")) if chance.random() < 0.2 else arm,
                day,
                phase=chance.choice("12"),
                strategy="forced" if chance.random() < 0.05 else "bucket",
                waits=chance.random() < 0.8,
                cost=chance.choice((None, 0.1, 0.25)),
                value=chance.choice((None, True, False)),
                after=round(chance.uniform(-0.2, 9), 2),
                attributes={"tier": chance.choice(("pro", "free"))},
                origin="replay" if chance.random() < 0.05 else "live",
                status=chance.choice(("completed", "failed")),
                clock=clocks.choice(CLOCKS) if clocks.random() < 0.1 else timedelta(0),
            )
            if chance.random() < 0.4:
                by_time = {"reason": "deadline", "occurred_at": None}
                kinds = ({}, by_time, {"occurred_at": NOON - DAY}, {"late": True})
                story.score(run, chance.choice((True, False)), day + 10, revision=2, **chance.choice(kinds))
            if chance.random() < 0.2:
                gone = {"reason": chance.choice(("expired", "reopened")), "occurred_at": None}
                story.score(run, None, day + 11, revision=3, **gone)
            if chance.random() < 0.2:
                story.event(
                    "scores", day + 1, run_id=run, name="solved", value=chance.random(), decided_at=NOON
                )
            if chance.random() < 0.2:
                again = {"experiment": "tone", "variant": arm, "exposure_id": f"again-{run}", "phase": "1"}
                story.event("exposures", day + chance.random(), run_id=run, unit=f"u{number}", **again)
    story.records += chance.sample(story.records, len(story.records) // 10)
    chance.shuffle(story.records)


#: Phases that aren't listed, not asked for, or opened by shipping; and exposures after that.
PLANS: tuple[dict[str, Any], ...] = (
    {"phases": [PlannedPhase(name, {"plain": 1.0, "warm": 1.0}) for name in "12"]},
    {"other_phases": ("2",)},
    {"ended": NOON + 6.5 * DAY, "ended_phases": ("2",)},
)


async def test_rows_and_exact_views_agree_as_of_every_day(story: Story, plan: Any) -> None:
    play(story, random.Random(11), 60)
    await story.stored()
    for metric, by in METRICS:
        for day in (0.5, 6, 13.125, 40):
            made = plan(metric)
            found = story.population(made, metric, NOON + day * DAY, by)
            at_once = populations(story.reader, made, MANY, NOON + day * DAY, by)
            for each in at_once:
                assert_alike(each, exact_population(story.reader, made, each.metric, each.as_of, by))
    for changed in PLANS:
        whole = story.population(plan(**changed), SOLVED, NOON + 40 * DAY)
        assert {cell.exclusion for cell in whole.cells} >= {"", "several_variants"}
    assert sum(cell.exposed for cell in found.cells) > 30
    assert len({cause for cell in found.cells for cause, n in cell.causes.items() if n}) > 1


@pytest.mark.parametrize("metric", MANY[:3])
async def test_charts_have_the_units_of_their_results(story: Story, plan: Any, metric: PlannedMetric) -> None:
    play(story, random.Random(13), 60)
    reader, every = await story.stored(), plan(*MANY)
    for day in (6, 13.125):
        results, spread = read_charted(reader, every, NOON + day * DAY, metric)
        assert spread
        for charted, read in zip(
            results.metrics, read_results(reader, every, results.as_of).metrics, strict=True
        ):
            assert_alike(charted.population, read.population)
        assert_charts_alike(reader, every, results.as_of, spread)
    assert spread.matured and (len(spread.left) > 3) == (metric.source == "score")


@pytest.mark.parametrize(("metric", "changed"), [(METRICS[0][0], PLANS[1]), (METRICS[1][0], PLANS[0])])
async def test_the_pages_units_and_times_are_those_of_the_exact_views(
    story: Story, plan: Any, metric: PlannedMetric, changed: dict[str, Any]
) -> None:
    play(story, random.Random(12), 60)
    reader, made = await story.stored(), plan(metric, **changed)
    for day in (0.5, 13.125, 40):
        as_of = NOON + day * DAY
        expected = exact_units(reader, made, metric, as_of)
        query = units_query(made, metric, as_of)
        found = query.rows(reader)
        for row in (*found, *expected):
            row["value"], row["cost_usd"] = round(row["value"], 9), round(row["cost_usd"], 9)
        assert found == [{name: row[name] for name in SHOWN} for row in expected]
        first = query.first(reader, 5).rows
        assert [row["first_at"] for row in first] == [row["first_at"] for row in found[:5]]
        assert {row["unit"] for row in first} <= {row["unit"] for row in found}
        charting = Charting(metric, Slots(NOON, 3_600), 3_600)
        times = times_query(made, charting, as_of).rows(reader)
        assert exact_times(expected, charting.seconds, STEPS) == Counter(
            {
                (row["variant"], int(row["slot"]), came): int(row[name])
                for row in times
                for name, came in (("outcomes", True), ("without", False))
                if int(row[name])
            }
        )
    assert {row["state"] for row in found} >= {
        "outcome",
        "deadline",
        "forced",
        "several_variants",
        "bad_clock",
    }
    assert len({int(row["slot"]) for row in times}) > 3


async def test_results_wait_for_the_rows(story: Story, plan: Any) -> None:
    """An outcome that is stored and in no row yet moves the results back to before it was recorded."""
    for number in range(4):
        run = story.unit(f"u{number}", "warm" if number % 2 else "plain", 0, value=False)
    await story.stored()
    now = NOON + 30 * DAY
    assert read_by(story.reader, now) == now
    story.records.clear()
    story.score(run, True, 20, revision=2, late=True)
    await story.stored(write=False)
    assert NOON + 20 * DAY - timedelta(seconds=1) < read_by(story.reader, now) < NOON + 20 * DAY
    results = read_results(story.reader, plan(), now)
    assert results.as_of < NOON + 20 * DAY
    assert results.metrics[0].arm("warm").moments.y == 0
    assert_alike(
        population(story.reader, plan(), SOLVED, results.as_of),
        exact_population(story.reader, plan(), SOLVED, results.as_of),
    )
    story.write_rows()
    assert read_results(story.reader, plan(), now).metrics[0].arm("warm").moments.y == 1
