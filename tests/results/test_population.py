"""The population by the clock, on the real engine: each way of counting and of not counting, once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError

from tests.results.conftest import DAY, NOON, WEEK, Story
from upshot.experiments.changes import shipped
from upshot.insights.experiments.adjusting import adjustment
from upshot.insights.experiments.charting import Charting, Slots
from upshot.insights.experiments.judging import judged_groups, judgement
from upshot.insights.experiments.plan import PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import Cell, Population
from upshot.insights.experiments.registry import observed_plan, plan_of
from upshot.insights.experiments.results import results
from upshot.insights.experiments.verdict import verdict
from upshot.insights.pages.experiments import times_query, units_query
from upshot.insights.statistics.moments import Moments
from upshot.schemas.experiments import Experiment
from upshot.schemas.exposures import Exposure

pytestmark = pytest.mark.stack

SOLVED = PlannedMetric("solved", window=WEEK)


async def read(
    story: Story, plan: Any, metric: PlannedMetric = SOLVED, day: float = 30, by: str = ""
) -> Population:
    await story.stored()
    return story.population(plan(metric), metric, NOON + day * DAY, by)


def cell(found: Population, variant: str, exclusion: str = "", phase: str = "1", segment: str = "") -> Cell:
    [only] = [
        each
        for each in found.cells
        if (each.variant, each.exclusion, each.phase, each.segment) == (variant, exclusion, phase, segment)
    ]
    return only


def causes(of: Cell) -> dict[str, int]:
    return {cause: n for cause, n in of.causes.items() if n}


async def test_a_unit_counts_once_its_time_is_up(story: Story, plan: Any) -> None:
    story.unit("early", "plain", 0, value=True)
    story.unit("edge", "plain", 3, value=True)
    story.unit("late", "plain", 4, value=True)
    found = await read(story, plan, day=10)
    plain = cell(found, "plain")
    assert (plain.exposed, plain.matured, plain.maturing) == (3, 2, 1)
    assert plain.next_at == NOON + 11 * DAY
    assert plain.moments == Moments.of_successes(2, 2)
    assert [(at.day, units) for at, units in found.maturing] == [(12, 1)]
    assert found.arrivals_per_day == 1 / 7


async def test_each_cause_is_counted_and_all_of_them_are_failures(story: Story, plan: Any) -> None:
    story.unit("outcome", "plain", value=True)
    run = story.unit("deadline", "plain")
    story.score(run, False, 7.1, reason="deadline", occurred_at=None)
    run = story.unit("expired", "plain")
    story.score(run, None, 7.1, reason="expired", occurred_at=None)
    story.unit("never", "plain", waits=False)
    story.unit("failed", "plain", waits=False, status="failed")
    story.unit("open", "plain")
    run = story.unit("revised", "plain", value=False)
    story.score(run, True, 20, revision=2, late=True)
    run = story.unit("before", "plain")
    story.score(run, True, 0, occurred_at=NOON - DAY)
    found = cell(await read(story, plan), "plain")
    assert causes(found) == {
        "outcome": 1, "deadline": 1, "revised": 1, "expired": 1, "open": 1, "before_exposure": 1,
        "run_failed": 1, "never_asked": 1,
    }  # fmt: skip
    assert found.moments == Moments.of_successes(8, 2)


async def test_units_without_a_value_can_be_left_out(story: Story, plan: Any) -> None:
    story.unit("a", "plain", value=0.5)
    story.unit("b", "plain", waits=False)
    metric = PlannedMetric("solved", boolean=False, window=WEEK, missing="exclude")
    found = cell(await read(story, plan, metric), "plain")
    assert found.moments == Moments.of([0.5])
    assert causes(found) == {"outcome": 1, "never_asked": 1}


async def test_who_is_excluded_and_why(story: Story, plan: Any) -> None:
    story.unit("two", "plain", 0, value=True)
    story.unit("two", "warm", 1, value=True)
    story.unit("tester", "warm", strategy="forced", value=True)
    story.unit("stranger", "purple", value=True)
    story.unit("again", "plain", value=True, origin="replay")
    found = await read(story, plan)
    assert [(each.variant, each.exclusion, each.exposed) for each in found.cells] == [
        ("plain", "several_variants", 1),
        ("purple", "unknown_variant", 1),
        ("warm", "forced", 1),
    ]
    assert sum(each.moments.n for each in found.cells) == 0


async def test_two_variants_within_one_run_exclude_the_unit(story: Story, plan: Any) -> None:
    run = story.unit("u", "plain", value=True)
    story.event(
        "exposures", 0.1, run_id=run, unit="u", experiment="tone", variant="warm", exposure_id="other"
    )
    found = await read(story, plan)
    assert [(each.exclusion, each.exposed) for each in found.cells] == [("several_variants", 1)]


async def test_an_exposure_again_moves_no_clock_and_adds_no_run(story: Story, plan: Any) -> None:
    story.unit("u", "plain", 0, value=False)
    story.unit("u", "plain", 20, value=True)
    found = cell(await read(story, plan, day=21), "plain")
    assert (found.exposed, found.matured) == (1, 1)
    assert found.moments == Moments.of_successes(1, 0)


async def test_runs_within_the_horizon_count_as_one_cluster(story: Story, plan: Any) -> None:
    for day, value in ((0, True), (1, True), (2, False), (5, True)):
        story.unit("u", "plain", day, value=value)
    metric = PlannedMetric("solved", window=WEEK, horizon=3 * DAY)
    early = cell(await read(story, plan, metric, day=9.9), "plain")
    assert (early.matured, early.maturing) == (0, 1)
    found = cell(story.population(plan(metric), metric, NOON + 10 * DAY), "plain")
    assert found.moments == Moments.of([2], [3])


async def test_a_later_phase_holds_no_unit_of_an_earlier_one(story: Story, plan: Any) -> None:
    story.unit("u", "plain", 0, phase="1", value=True)
    story.unit("u", "plain", 5, phase="2", value=True)
    story.unit("v", "plain", 5, phase="2", value=True)
    phases = [PlannedPhase(name, {"plain": 1.0, "warm": 1.0}) for name in "12"]
    found = await read(story, partial(plan, phases=phases))
    assert (cell(found, "plain", phase="1").exposed, cell(found, "plain", phase="1").carried) == (1, 1)
    assert (cell(found, "plain", phase="2").exposed, cell(found, "plain", phase="2").carried) == (1, 0)


TONE = Experiment.model_validate(
    {
        "experiment": "tone",
        "control": "plain",
        "variants": {"plain": 1.0, "warm": 1.0},
        "unit": "user",
        "metrics": [{"name": "solved", "window": "P7D", "grace": "PT0S"}],
        "changed_at": NOON,
    }
)


async def test_units_that_come_again_after_shipping_keep_their_first_variant(story: Story) -> None:
    """All get the winner then; returning units of the control didn't get two variants for that."""
    for number in range(10):
        for variant in ("plain", "warm"):
            story.unit(f"{variant}-{number}", variant, number / 10, value=number < 5)
    before, after = plan_of(TONE), plan_of(shipped(TONE, "warm", NOON + 10 * DAY, "better", {}))
    assert [phase.phase for phase in after.phases] == ["1"] and after.ended_phases == ("2",)
    for number in range(8):
        story.unit(f"plain-{number}", "warm", 11, phase="2", strategy="fixed", value=True)
    story.unit("warm-0", "warm", 9.999, phase="2", strategy="fixed", value=True)
    story.unit("plain-9", "warm", 10, phase="1", value=True)
    story.unit("new", "warm", 12, phase="2", strategy="fixed", value=True)
    await story.stored()
    was = results(before, [story.population(before, before.metrics[0], NOON + 9.9 * DAY)])
    now = results(after, [story.population(after, after.metrics[0], NOON + 40 * DAY)])
    assert now.metrics[0].comparisons == was.metrics[0].comparisons
    for arm in now.metrics[0].arms:
        assert (arm.matured, arm.excluded, arm.causes["outcome"]) == (10, {}, 10)
    assert now.ratios == was.ratios
    [unmindful] = results(before, [story.population(before, before.metrics[0], NOON + 40 * DAY)]).metrics
    assert unmindful.arm("plain").excluded == {"several_variants": 9}, (
        "the record before knows of no shipping"
    )


async def test_units_of_unlisted_and_of_other_phases(story: Story, plan: Any) -> None:
    """The results, the list of units and the judge leave out the same units."""
    for phase in ("1", "code-7", "2"):
        for variant in ("plain", "warm"):
            for number in range(3):
                run = story.unit(f"{phase}-{variant}-{number}", variant, phase=phase, value=number > 0)
                story.event("scores", 0, run_id=run, name="helpful", value=number / 2, decided_at=NOON)
    reader, as_of = await story.stored(), NOON + 30 * DAY
    made = plan(SOLVED, other_phases=("2",))
    found = story.population(made, SOLVED, as_of)
    shown = results(made, [found])
    assert shown.unknown_phases == {"code-7": 6}
    assert [arm.moments.n for arm in shown.metrics[0].arms] == [3, 3]
    units = units_query(made, SOLVED, as_of).rows(reader)
    assert Counter(unit["state"] for unit in units) == {"outcome": 6, "unknown_phase": 6}
    mature = units_query(made, SOLVED, as_of, state="mature")
    assert {unit["phase"] for unit in mature.rows(reader)} == {"1"}
    judge = judgement(reader, made, SOLVED, "helpful", as_of)
    assert [arm.calibration.n for arm in judge.arms] == [3, 3]
    asked = (reader, made, SOLVED, "helpful", as_of)
    assert judged_groups(*asked, of_rows=True) == judged_groups(*asked, of_rows=False)
    assert adjustment(reader, made, SOLVED, as_of).units == 6
    times = times_query(made, Charting(SOLVED, Slots(NOON, 3_600), 3_600), as_of).rows(reader)
    assert sum(int(row["outcomes"]) + int(row["without"]) for row in times) == 6


async def test_as_of_a_day_that_lies_back(story: Story, plan: Any) -> None:
    run = story.unit("u", "plain", value=True)
    story.score(run, False, 20, revision=2, late=True)
    story.unit("later", "plain", 15, value=True)
    await story.stored()
    was = cell(story.population(plan(), SOLVED, NOON + 10 * DAY), "plain")
    now = cell(story.population(plan(), SOLVED, NOON + 30 * DAY), "plain")
    assert (was.exposed, was.moments.y, causes(was)) == (1, 1.0, {"outcome": 1})
    assert (now.exposed, now.moments.y, causes(now)) == (2, 1.0, {"outcome": 1, "revised": 1})


async def test_a_producers_clock_that_is_ahead_delays_nobody(story: Story, plan: Any) -> None:
    """The unit's clock is the lesser of the producer's time and Kafka's."""
    story.unit("u", "plain", 0, clock=DAY / 24, value=True)
    found = await read(story, plan, day=7)
    assert causes(cell(found, "plain")) == {"outcome": 1}


async def test_what_was_recorded_late_counts_from_when_it_happened(story: Story, plan: Any) -> None:
    """An agent without a network for days, or an import of the past."""
    story.unit("u", "plain", 10, clock=-6 * DAY)
    found = await read(story, plan, day=10.5)
    assert (cell(found, "plain").maturing, cell(found, "plain").next_at) == (1, NOON + 11 * DAY)


def test_an_exposure_from_1970_is_a_dead_letter() -> None:
    stated = {"run_id": "r", "experiment": "tone", "variant": "plain", "exposed_at": "1970-01-01T00:00:00Z"}
    with pytest.raises(ValidationError, match="outside the years 2000 to 2099"):
        Exposure.model_validate(stated)


async def test_a_clock_that_cannot_be_right_is_counted_apart(story: Story, plan: Any) -> None:
    """From 2001, its time would be up before an outcome can come; from the future, none would count."""
    began = datetime(2001, 1, 1, tzinfo=UTC)
    story.unit("past", "plain", 0, clock=began - NOON)
    story.unit("future", "warm", 0, clock=400 * DAY)
    story.unit("fine", "warm", 0, value=True)
    # Of a unit with a good first exposure nothing changes by a later one.
    story.unit("again", "plain", 0, value=True)
    story.unit("again", "plain", 1, clock=began - NOON)
    for day, compared in ((0.5, 0), (30, 1)):
        await story.stored()
        found = results(plan(), [story.population(plan(), SOLVED, NOON + day * DAY)])
        arms = found.metrics[0].arms
        assert [arm.excluded for arm in arms] == [{"bad_clock": 1}, {"bad_clock": 1}]
        assert [arm.moments.n for arm in arms] == [compared, compared]
        assert found.first_exposed_at == NOON
        assert any(
            "2 units have exposures dated more than a year" in text for text in verdict(found).warnings
        )
    shown = units_query(plan(), SOLVED, NOON + 30 * DAY).rows(story.reader)
    assert {row["unit"]: row["state"] for row in shown} == {
        "past": "bad_clock", "future": "bad_clock", "fine": "outcome", "again": "outcome",
    }  # fmt: skip


async def test_an_exposure_of_a_run_that_never_came(story: Story, plan: Any) -> None:
    story.event("exposures", 0, run_id="ghost", experiment="tone", variant="plain", exposed_at=NOON)
    found = cell(await read(story, plan), "plain")
    assert causes(found) == {"never_asked": 1}


@pytest.mark.parametrize(("name", "mean"), [("cost_usd", 0.2), ("failed", 0.5), ("seconds", 60.0)])
async def test_measures_that_every_run_has(story: Story, plan: Any, name: str, mean: float) -> None:
    ended = {"ended_at": (NOON + DAY / 1440).isoformat()}
    story.unit("a", "plain", cost=0.1, waits=False, status="failed", **ended)
    story.unit("b", "plain", cost=0.3, waits=False, status="completed", **ended)
    metric = PlannedMetric(name, boolean=False)
    found = cell(await read(story, plan, metric, day=1), "plain")
    assert found.moments.mean == pytest.approx(mean)
    assert causes(found) == {"outcome": 2}


async def test_costs_stand_beside_successes(story: Story, plan: Any) -> None:
    story.unit("a", "plain", cost=0.1, value=True)
    story.unit("b", "plain", cost=0.3, value=False)
    found = cell(await read(story, plan), "plain").costs
    assert (found.n, found.y, found.m) == (2, pytest.approx(0.4), 1.0)
    assert found.ym == pytest.approx(0.1) and found.yy == pytest.approx(0.1)


async def test_segments_by_an_attribute_of_the_first_run(story: Story, plan: Any) -> None:
    story.unit("a", "plain", value=True, attributes={"tier": "pro"})
    story.unit("b", "plain", value=False, attributes={"tier": "free"})
    found = await read(story, plan, by="tier")
    assert cell(found, "plain", segment="pro").moments.mean == 1.0
    assert cell(found, "plain", segment="free").moments.mean == 0.0


async def test_a_subject_of_two_variants_is_told(story: Story, plan: Any) -> None:
    a, b = story.unit("a", "plain", waits=False), story.unit("b", "warm", waits=False)
    rule = {"on": {"x": {"score": True}}, "within": "P7D", "else": False}
    for run in (a, b):
        story.event(
            "waits", 0, run_id=run, wait_id=run, name="solved", subject="t:shared", rule=rule, opened_at=NOON
        )
    assert (await read(story, plan)).shared_subjects == 1


async def test_names_that_look_like_sql(story: Story, plan: Any) -> None:
    odd = "it's \\ a\ttrap 🦊"
    story.event("exposures", 0, run_id="r", experiment="tone", variant=odd, exposed_at=NOON)
    await story.stored()
    made = plan(SOLVED, phases=[PlannedPhase("1", {"plain": 1.0, odd: 1.0})])
    found = story.population(made, SOLVED, NOON + 30 * DAY)
    assert [(each.variant, each.exclusion) for each in found.cells] == [(odd, "")]


async def test_a_trace_and_its_named_run_are_one(story: Story, plan: Any) -> None:
    """Evaluations in spans stand under the trace; waits and scores under the id that the root states."""
    for number, (trace, run) in enumerate((("t1", "order-1"), ("t2", "order-2"))):
        story.event("exposures", 0, run_id=trace, unit=f"u{number}", experiment="tone", variant="warm")
        story.event("runs", 0, run_id=trace, attributes={"upshot.known_as": run})
        story.event("runs", 0, run_id=run, agent="support", started_at=NOON)
    story.score("order-1", True, 1)
    story.score("t2", True, 1)
    found = cell(await read(story, plan), "warm")
    assert (found.moments.n, found.moments.y) == (2, 2.0)
    assert causes(found) == {"outcome": 2}


async def test_runs_that_crash_before_they_ask_favour_nobody(story: Story, plan: Any) -> None:
    """Warm crashes on two of five hard tickets: of those that asked, more are solved than of plain's."""
    for number in range(100):
        is_hard, nth = number >= 50, number % 50
        solved = nth < (20 if is_hard else 45)
        for arm in ("plain", "warm"):
            crashes = arm == "warm" and is_hard and nth % 5 < 2
            status = "failed" if crashes else "completed"
            story.unit(
                f"{arm}-{number}", arm, waits=not crashes, value=None if crashes else solved, status=status
            )
    found = results(plan(planned=200), [await read(story, plan)])
    arms = found.metrics[0].arms
    asked = [arm.moments.y / (arm.matured - arm.causes["run_failed"]) for arm in arms]
    assert asked[1] > asked[0] == 0.65, "the survivors favour warm"
    comparison = found.metrics[0].against_control("warm")
    assert comparison is not None and comparison.effect.difference == pytest.approx(-0.08)
    assert arms[1].causes["run_failed"] == 20 and found.metrics[0].differs_in_missing
    assert verdict(found).winner != "warm"


async def test_what_is_late_within_the_grace_counts_and_later_is_a_revision(story: Story, plan: Any) -> None:
    metric = PlannedMetric("solved", window=WEEK, grace=DAY)
    for name, day in (("soon", 7.5), ("later", 9)):
        run = story.unit(name, "plain", value=False, after=6)
        story.score(run, True, day, revision=2, late=True)
    await story.stored()
    at_maturity = cell(story.population(plan(metric), metric, NOON + 8.5 * DAY), "plain")
    assert (causes(at_maturity), at_maturity.moments.y) == ({"outcome": 2}, 1.0)
    now = cell(story.population(plan(metric), metric, NOON + 20 * DAY), "plain")
    assert (causes(now), now.moments.y) == ({"outcome": 1, "revised": 1}, 2.0)
    again = cell(story.population(plan(metric), metric, NOON + 8.5 * DAY), "plain")
    assert again == at_maturity


async def test_an_experiment_that_the_registry_lacks_began_with_its_first_right_clock(story: Story) -> None:
    story.unit("odd", "warm", 3, phase="2", clock=datetime(2001, 1, 1, tzinfo=UTC) - NOON)
    story.unit("first", "plain", 2, phase="1")
    found = observed_plan(await story.stored(), "tone", NOON + 30 * DAY, "plain")
    assert [(phase.phase, phase.began) for phase in found.phases] == [
        ("1", NOON + 2 * DAY),
        ("2", NOON + 3 * DAY),
    ]
