"""Results and verdicts from populations given as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.results.conftest import DAY, NOON, WEEK
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import CAUSES, Cell, Population
from upshot.insights.experiments.results import results, segments, shown
from upshot.insights.experiments.verdict import verdict
from upshot.insights.statistics.moments import Moments

SOLVED = PlannedMetric("solved", window=WEEK)
COST = PlannedMetric("cost_usd", use="guardrail", boolean=False, lower_is_better=True, margin=0.1)
AS_OF = NOON + 30 * DAY


def cell(variant: str, moments: Moments, *, exposed: int = 0, maturing: int = 0, **changed: Any) -> Cell:
    """A variant's units; all of them exposed on the first day."""
    known = {"outcome": moments.n}
    made = Cell(
        phase="1",
        variant=variant,
        exclusion="",
        segment="",
        exposed=exposed or moments.n + maturing,
        carried=0,
        first_exposed_at=NOON,
        maturing=maturing,
        next_at=AS_OF + DAY if maturing else None,
        matured=moments.n,
        causes=dict.fromkeys(CAUSES, 0) | known,
        moments=moments,
        costs=Moments(),
    )
    return replace(made, **changed)


def rates(*arms: tuple[str, int, int], **changed: Any) -> list[Cell]:
    return [cell(name, Moments.of_successes(n, successes), **changed) for name, n, successes in arms]


def judged(
    plan: ExperimentPlan,
    cells: Sequence[Cell],
    *,
    guardrail: Sequence[Cell] = (),
    as_of: datetime = AS_OF,
    maturing: tuple[tuple[datetime, int], ...] = (),
    arrivals: float = 0.0,
    shared: int = 0,
) -> Any:
    populations = [Population(SOLVED, as_of, tuple(cells), maturing, arrivals, shared)]
    if guardrail:
        populations.append(Population(COST, as_of, tuple(guardrail), (), 0.0, 0))
    return verdict(results(plan, populations))


def test_a_winner_with_a_guardrail_that_is_kept(plan: Any) -> None:
    random_costs = [0.10, 0.11, 0.09, 0.10] * 500
    made = plan(SOLVED, COST, planned=4_000)
    found = judged(
        made,
        rates(("plain", 2_000, 800), ("warm", 2_000, 920)),
        guardrail=[cell(name, Moments.of(random_costs)) for name in ("plain", "warm")],
    )
    assert (found.state, found.winner) == ("decided", "warm")
    assert found.sentence == (
        "warm is better on solved: +6.0 points (+1.3 to +10.7); looking daily is safe. cost_usd: margin "
        "10% kept. Ship it with:  upshot experiments ship tone warm --reason …"
    )


def test_a_winner_that_costs_too_much(plan: Any) -> None:
    dear = [cell("plain", Moments.of([0.10, 0.12] * 1_000)), cell("warm", Moments.of([0.14, 0.15] * 1_000))]
    found = judged(plan(SOLVED, COST), rates(("plain", 2_000, 800), ("warm", 2_000, 950)), guardrail=dear)
    assert (found.state, found.winner) == ("unsafe", "warm")
    assert found.sentence == "decided on solved, but cost_usd is worse than the margin allows"


def test_a_winner_whose_costs_are_too_few_to_say(plan: Any) -> None:
    few = [cell("plain", Moments.of([0.10, 0.12])), cell("warm", Moments.of([0.10, 0.12]))]
    found = judged(plan(SOLVED, COST), rates(("plain", 2_000, 800), ("warm", 2_000, 950)), guardrail=few)
    assert (found.state, found.winner) == ("unsafe", "warm")
    assert found.sentence == "decided on solved, but cost_usd isn't shown to be safe"


def test_a_variant_that_is_worse(plan: Any) -> None:
    found = judged(plan(SOLVED), rates(("plain", 2_000, 950), ("warm", 2_000, 800)))
    assert (found.state, found.winner) == ("decided", "plain")
    assert found.sentence.startswith("warm is worse on solved: -7.5 points (-12.")


def test_no_difference_worth_finding(plan: Any) -> None:
    found = judged(
        plan(SOLVED, mde=0.05, planned=20_000), rates(("plain", 9_000, 3_600), ("warm", 9_000, 3_610))
    )
    assert (found.state, found.sentence) == ("decided", "no difference larger than 5 points on solved")


def test_a_mismatch_of_the_sample_stops_all_the_rest(plan: Any) -> None:
    found = judged(plan(SOLVED), rates(("plain", 5_165, 2_000), ("warm", 4_835, 2_400)))
    assert found.state == "stopped"
    assert found.sentence == (
        "stopped: 5,165 to 4,835 where 1:1 was meant (p = 0.00097). Nothing below can be trusted; find "
        "out who isn't recorded."
    )
    assert judged(plan(SOLVED), rates(("plain", 5_164, 2_000), ("warm", 4_836, 2_400))).state == "decided"


def test_weights_are_those_of_the_phase(plan: Any) -> None:
    """95 to 5 is right in its phase, and so is 50 to 50 in the next."""
    phases = [PlannedPhase("1", {"plain": 95, "warm": 5}), PlannedPhase("2", {"plain": 1, "warm": 1})]
    cells = [
        *rates(("plain", 9_500, 3_800), ("warm", 500, 200)),
        *rates(("plain", 500, 200), ("warm", 500, 200), phase="2"),
    ]
    assert judged(plan(SOLVED, phases=phases), cells).state != "stopped"
    assert judged(
        plan(SOLVED, phases=phases[1:] + phases[:1]), rates(("plain", 500, 1), ("warm", 500, 1))
    ).state == ("stopped")


def test_a_unit_in_a_variant_without_weight_stops(plan: Any) -> None:
    phases = [PlannedPhase("1", {"plain": 1, "warm": 1, "off": 0})]
    found = judged(plan(SOLVED, phases=phases), rates(("plain", 100, 40), ("warm", 100, 40), ("off", 1, 0)))
    assert found.state == "stopped" and "off, whose weight is 0" in found.sentence


def test_phases_of_other_weights_are_not_pooled(plan: Any) -> None:
    """Simpson: warm is worse within each phase, and better in the pooled counts."""
    phases = [PlannedPhase("1", {"plain": 9, "warm": 1}), PlannedPhase("2", {"plain": 1, "warm": 9})]
    cells = [
        *rates(("plain", 9_000, 1_800), ("warm", 1_000, 100)),
        *rates(("plain", 1_000, 800), ("warm", 9_000, 6_300), phase="2"),
    ]
    found = judged(plan(SOLVED, phases=phases), cells)
    assert found.winner == "plain" and "-10.0 points" in found.sentence


@pytest.mark.parametrize(
    ("n", "successes", "days"),
    [(49, 20, 30), (2_000, 9, 30), (2_000, 1_991, 30), (2_000, 900, 6.9)],
)
def test_too_early_for_a_winner(plan: Any, n: int, successes: int, days: float) -> None:
    cells = rates(("plain", n, successes // 2), ("warm", n, successes))
    found = judged(plan(SOLVED), cells, as_of=NOON + days * DAY, arrivals=100.0)
    assert found.state == "open" and found.sentence.startswith("not enough data until about ")


def test_the_date_comes_from_units_that_are_exposed_already(plan: Any) -> None:
    cells = rates(("plain", 40, 16), ("warm", 40, 20), maturing=100)
    found = judged(
        plan(SOLVED, planned=200), cells, maturing=((AS_OF + 2 * DAY, 100), (AS_OF + 5 * DAY, 100))
    )
    assert found.sentence == (
        "not enough data until about 5 April: 80 of about 200 units are mature, 200 more mature by then "
        "(they are exposed already)"
    )


def test_no_units_arrive_any_more(plan: Any) -> None:
    found = judged(plan(SOLVED), rates(("plain", 40, 16), ("warm", 40, 20)))
    assert found.sentence == "not enough data, and no units arrive: 80 of about 5,000 units are mature"


def test_a_metric_without_any_score_is_no_decision(plan: Any) -> None:
    nothing = PlannedMetric("sovled", boolean=False, window=WEEK, missing="exclude")
    cells = [cell(name, Moments(), matured=3_000, exposed=3_000) for name in ("plain", "warm")]
    made = plan(nothing)
    found = verdict(results(made, [Population(nothing, AS_OF, tuple(cells), (), 0.0, 0)]))
    assert found.state == "open" and "nobody has a score named sovled" in found.sentence


def test_several_variants_share_the_error(plan: Any) -> None:
    """p = 0.03 alone is a decision; beside nine other variants it isn't."""
    two = rates(("plain", 2_000, 800), ("warm", 2_000, 909))
    assert judged(plan(SOLVED), two).state == "decided"
    weights = {"plain": 1.0, "warm": 1.0} | {f"v{n}": 1.0 for n in range(9)}
    many = two + rates(*((f"v{n}", 2_000, 800) for n in range(9)))
    assert judged(plan(SOLVED, phases=[PlannedPhase("1", weights)]), many).state == "open"


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"phases": [PlannedPhase("1", {"plain": 1.0})]}, "one variant"), ({}, "no unit has been exposed")],
)
def test_nothing_to_compare(plan: Any, changed: dict[str, Any], says: str) -> None:
    found = judged(plan(SOLVED, **changed), [])
    assert found.state == "empty" and says in found.sentence


def test_a_thousand_variants(plan: Any) -> None:
    weights = {"plain": 1.0} | {f"v{n}": 1.0 for n in range(999)}
    cells = rates(("plain", 60, 24), *((f"v{n}", 60, 24 + n % 3) for n in range(999)))
    assert judged(plan(SOLVED, phases=[PlannedPhase("1", weights)]), cells).state == "open"


def test_hundreds_of_variants_whose_weights_followed_the_rewards(plan: Any) -> None:
    weights = {"plain": 1.0} | {f"v{n}": 1.0 for n in range(399)}
    phases = [PlannedPhase(name, weights) for name in "123"]
    cells = [each for name in "123" for each in rates(*((arm, 60, 24) for arm in weights), phase=name)]
    assert judged(plan(SOLVED, phases=phases, adaptive=True), cells).state == "open"


def test_phases_that_nobody_listed_decide_nothing(plan: Any) -> None:
    """Units from before the registry, say: 4,000 of them must not vouch for the six that are compared."""
    stray = rates(("plain", 2_000, 800), ("warm", 2_000, 950), phase="code-1", exclusion="unknown_phase")
    for cells in (stray, [*stray, *rates(("plain", 3, 0), ("warm", 3, 3))]):
        found = judged(plan(SOLVED), cells)
        assert found.state == "open" and "not enough data" in found.sentence
        assert found.warnings == (
            "4,000 units were exposed in phase code-1, which the experiment doesn't list: they are left out",
        )
    [arm, _] = results(plan(SOLVED), [Population(SOLVED, AS_OF, tuple(stray), (), 0.0, 0)]).metrics[0].arms
    assert (arm.matured, arm.value, dict(arm.excluded)) == (0, None, {"unknown_phase": 2_000})
    found_by = segments(plan(SOLVED), Population(SOLVED, AS_OF, tuple(stray), (), 0.0, 0))
    assert found_by[""].comparisons == ()


def test_one_phase_alone_shows_no_unit_of_the_others(plan: Any) -> None:
    cells = [*rates(("plain", 500, 200)), *rates(("plain", 100, 20), phase="2")]
    made = plan(SOLVED, other_phases=("2",))
    found = results(made, [Population(SOLVED, AS_OF, tuple(cells), (), 0.0, 0)])
    assert (found.metrics[0].arms[0].value, found.unknown_phases) == (0.4, {})


def test_variants_that_no_phase_gave_together(plan: Any) -> None:
    phases = [PlannedPhase("1", {"plain": 1.0}), PlannedPhase("2", {"warm": 1.0})]
    cells = [*rates(("plain", 500, 200)), *rates(("warm", 500, 250), phase="2")]
    found = judged(plan(SOLVED, phases=phases), cells)
    assert found.state == "open" and "no phase has given both plain and warm" in found.sentence


def test_a_few_units_in_the_phase_that_gave_both_are_not_enough(plan: Any) -> None:
    phases = [PlannedPhase("1", {"plain": 1.0}), PlannedPhase("2", {"plain": 1.0, "warm": 9.0})]
    cells = [*rates(("plain", 5_000, 2_000)), *rates(("plain", 6, 0), ("warm", 60, 45), phase="2")]
    found = judged(plan(SOLVED, phases=phases), cells)
    assert found.state == "open" and found.sentence.startswith("not enough data")


@pytest.mark.parametrize("units", [0, 12])
def test_a_variant_switched_off_does_not_hold_the_verdict_up(plan: Any, units: int) -> None:
    on = {"plain": 1.0, "warm": 1.0}
    phases = [PlannedPhase("1", on | {"cold": 1.0 if units else 0.0}), PlannedPhase("2", on | {"cold": 0.0})]
    cold = rates(*[("cold", units, 0)][: bool(units)])
    cells = [*rates(("plain", 12, 5), ("warm", 12, 6)), *cold]
    cells += rates(("plain", 2_000, 800), ("warm", 2_000, 950), phase="2")
    found = judged(plan(SOLVED, phases=phases), cells)
    assert (found.state, found.winner) == ("decided", "warm")
    assert [line for line in found.warnings if "no weight any more" in line] == [
        "cold has no weight any more, and its 12 mature units are too few: the verdict is about the others"
    ][: bool(units)]
    # A variant that still gets units is waited for.
    assert judged(plan(SOLVED, phases=phases[:1]), cells[:2] if units else cells[2:]).state == "open"


def test_an_arm_that_nobody_was_given_is_named(plan: Any) -> None:
    found = judged(plan(SOLVED), rates(("plain", 500, 200)))
    assert found.state == "stopped" and "proven however often anybody looks)" in found.sentence
    assert found.sentence.endswith("Nobody was given warm: does the agents' code have the arm?")


def test_missing_outcomes_that_changed_from_phase_to_phase_are_no_difference(plan: Any) -> None:
    """Of each phase's units as many are missing in both arms; only all phases together would differ."""
    phases = [PlannedPhase("1", {"plain": 9, "warm": 1}), PlannedPhase("2", {"plain": 1, "warm": 9})]
    cells = []
    for phase, missing, units in (("1", 0.5, (9_000, 1_000)), ("2", 0.1, (1_000, 9_000))):
        for arm, n in zip(("plain", "warm"), units, strict=True):
            gone = round(missing * n)
            causes = dict.fromkeys(CAUSES, 0) | {"outcome": n - gone, "never_asked": gone}
            cells.append(cell(arm, Moments.of_successes(n, n // 3), phase=phase, causes=causes))
    [found] = results(
        plan(SOLVED, phases=phases), [Population(SOLVED, AS_OF, tuple(cells), (), 0.0, 0)]
    ).metrics
    assert found.missing_p > 0.9


def test_arms_that_differ_in_what_is_missing_are_told(plan: Any) -> None:
    gone = dict.fromkeys(CAUSES, 0) | {"outcome": 1_600, "never_asked": 400}
    cells = [*rates(("plain", 2_000, 800)), cell("warm", Moments.of_successes(2_000, 640), causes=gone)]
    found = judged(plan(SOLVED), cells)
    assert found.winner == "plain"
    assert any("no outcome for solved" in line for line in found.warnings)


def test_other_warnings(plan: Any) -> None:
    strangers = cell("purple", Moments(), exclusion="unknown_variant", exposed=7)
    found = judged(plan(SOLVED), [*rates(("plain", 100, 40), ("warm", 100, 40)), strangers], shared=3)
    assert any("7 units have the variant purple" in line for line in found.warnings)
    assert any("3 subjects" in line for line in found.warnings)


def test_segments_claim_only_what_holds_among_all_of_them(plan: Any) -> None:
    cells = [
        *(
            each
            for n in range(20)
            for each in rates(("plain", 500, 200), ("warm", 500, 210), segment=f"s{n}")
        ),
        *rates(("plain", 2_000, 600), ("warm", 2_000, 1_200), segment="real"),
    ]
    found = segments(plan(SOLVED), Population(SOLVED, AS_OF, tuple(cells), (), 0.0, 0))
    assert len(found) == 21
    assert shown(found) == {("real", "warm")}


def test_weights_that_followed_the_rewards_are_weighted_out(plan: Any) -> None:
    """A drift of both arms from 30 to 60 % under moving weights is no effect; nor is a phase of one arm."""
    phases = [
        PlannedPhase(str(n), {"plain": 1 - share, "warm": share}) for n, share in enumerate((0.2, 0.5, 0.8))
    ]
    cells = [
        *rates(("plain", 1_600, 480), ("warm", 400, 120), phase="0"),
        *rates(("plain", 1_000, 450), ("warm", 1_000, 450), phase="1"),
        *rates(("plain", 400, 240), ("warm", 1_600, 960), phase="2"),
        *rates(("plain", 500, 400), phase="3"),
    ]
    made = plan(SOLVED, phases=[*phases, PlannedPhase("3", {"plain": 1, "warm": 0})], adaptive=True)
    [found] = results(made, [Population(SOLVED, AS_OF, tuple(cells), (), 0.0, 0)]).metrics
    [each] = found.comparisons
    assert each.effect.n == 6_000
    assert abs(each.effect.difference) < 0.01
    assert judged(made, cells).state == "open"


def test_units_of_arms_without_weight_stop_adaptive_experiments_too(plan: Any) -> None:
    off = [PlannedPhase(name, {"plain": 1.0, "warm": 0.0}) for name in "12"]
    cells = [each for name in "12" for each in rates(("plain", 99, 9), ("warm", 9, 3), phase=name)]
    assert judged(plan(SOLVED, phases=off, adaptive=True), cells).state == "stopped"


def test_less_is_better_for_a_cost(plan: Any) -> None:
    cost = replace(COST, use="decision")
    cells = [cell("plain", Moments.of([0.10, 0.12] * 1_000)), cell("warm", Moments.of([0.08, 0.10] * 1_000))]
    found = verdict(results(plan(cost), [Population(cost, AS_OF, tuple(cells), (), 0.0, 0)]))
    assert found.winner == "warm" and "-0.02" in found.sentence


def test_a_window_that_has_not_passed_once(plan: Any) -> None:
    cells = rates(("plain", 2_000, 800), ("warm", 2_000, 1_000))
    made = plan(replace(SOLVED, window=timedelta(days=40)))
    populations = [Population(made.metrics[0], AS_OF, tuple(cells), (), 100.0, 0)]
    assert verdict(results(made, populations)).state == "open"
