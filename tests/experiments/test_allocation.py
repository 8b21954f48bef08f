"""Adaptive allocation: which record counts, when weights change and to what, and what a month of it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from upshot.experiments.changes import restated, reweighted
from upshot.insights.experiments.population import CAUSES, Cell, Population
from upshot.insights.experiments.registry import plan_of
from upshot.insights.experiments.results import results
from upshot.insights.statistics.moments import Moments
from upshot.processors.experiments.decide import RegistryRecord, in_force, is_due, reallocated
from upshot.schemas.experiments import Experiment

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SOLVED = {"name": "solved", "kind": "rate", "window": "P2D", "grace": "PT0S"}


def experiment(**changed: Any) -> Experiment:
    stated = {"experiment": "tone", "control": "plain", "variants": {"plain": 1.0, "warm": 1.0}}
    stated |= {"strategy": "adaptive", "metrics": [SOLVED], "changed_at": NOON.isoformat()}
    return Experiment.model_validate(stated | changed)


def cell(phase: str, variant: str, moments: Moments) -> Cell:
    return Cell(
        phase=phase, variant=variant, exclusion="", segment="", exposed=moments.n, carried=0,
        first_exposed_at=NOON, maturing=0, next_at=None, matured=moments.n,
        causes=dict.fromkeys(CAUSES, 0), moments=moments, costs=Moments(),
    )  # fmt: skip


def changed(record: Experiment, *cells: Cell) -> Experiment | None:
    plan = plan_of(record)
    metric = plan.deciding
    assert metric is not None
    seen = Population(metric, NOON + 30 * DAY, cells, (), 0.0, 0)
    return reallocated(record, plan, seen, NOON + 30 * DAY)


def arms(plain: tuple[int, int], warm: tuple[int, int]) -> list[Cell]:
    return [
        cell("1", "plain", Moments.of_successes(*plain)),
        cell("1", "warm", Moments.of_successes(*warm)),
    ]


@pytest.mark.parametrize(
    ("record", "due"),
    [
        (experiment(), True),
        (experiment(strategy="bucket"), False),
        (experiment(status="stopped"), False),
        (experiment(changed_at=(NOON + 29.5 * DAY).isoformat()), False),
    ],
)
def test_weights_are_due_in_a_running_adaptive_experiment_alone(record: Experiment, due: bool) -> None:
    assert is_due(record, NOON + 30 * DAY, DAY) is due


def test_the_better_arm_gets_more_in_a_phase_with_its_reason() -> None:
    found = changed(experiment(), *arms((200, 60), (200, 100)))
    assert found is not None
    assert (found.phase, found.reason) == ("2", "allocation by 400 mature units of solved")
    assert [phase.phase for phase in found.all_phases] == ["1", "2"]
    assert found.variants["warm"] == pytest.approx(0.95, abs=0.001)
    assert found.variants["plain"] >= 0.05
    assert sum(found.variants.values()) == pytest.approx(1.0, abs=1e-3)
    lower = experiment(metrics=[SOLVED | {"better": "lower"}])
    worse = changed(lower, *arms((200, 60), (200, 100)))
    assert worse is not None and worse.variants["plain"] == pytest.approx(0.95, abs=0.001)


@pytest.mark.parametrize(
    ("record", "cells"),
    [
        (experiment(), []),
        (experiment(), arms((200, 80), (200, 80))),
        (experiment(), arms((400, 120), (100, 90))),
        (experiment(variants={"plain": 1.0, "warm": 0.0}), arms((200, 60), (0, 0))),
        (experiment(phase="2"), arms((200, 60), (200, 100))),
    ],
    ids=["nothing mature", "no difference", "units that don't fit the weights", "one arm left", "no phase"],
)
def test_weights_stay(record: Experiment, cells: list[Cell]) -> None:
    assert changed(record, *cells) is None


def test_an_arm_switched_off_stays_off() -> None:
    record = experiment(variants={"plain": 1.0, "warm": 1.0, "cold": 0.0})
    found = changed(record, *arms((200, 60), (200, 100)))
    assert found is not None and found.variants["cold"] == 0.0


def test_a_change_that_an_allocation_crossed_counts() -> None:
    first = experiment()
    person = reweighted(first, {"plain": 1.0, "warm": 0.0}, NOON + DAY, "complaints")
    late = reweighted(first, {"plain": 0.1, "warm": 0.9}, NOON + DAY, "allocation")
    log = [RegistryRecord(first, 0, 5), RegistryRecord(person, 0, 6), RegistryRecord(late, 0, 7, follows=5)]
    assert in_force(log)["tone"] == (log[1], log[2])
    mended = RegistryRecord(restated(person, NOON + 2 * DAY), 0, 8)
    assert in_force([*log, mended])["tone"] == (mended, None)
    assert mended.experiment.all_phases == person.all_phases
    # An allocation upon the present record counts; so does one whose own record compaction removed.
    follower = RegistryRecord(late, 0, 9, follows=8)
    assert in_force([*log, mended, follower])["tone"] == (follower, None)
    assert in_force([follower])["tone"] == (follower, None)


def test_restating_keeps_when_the_first_phase_began() -> None:
    assert restated(experiment(), NOON + DAY).all_phases == experiment().all_phases


def month(seed: int, rates: tuple[float, float], days: int = 28, units: int = 150) -> tuple[float, Any]:
    """Units of days whose outcomes are known after 2 days; the share of the better arm, and the results."""
    random = np.random.default_rng(seed)
    record = experiment()
    shown: list[tuple[int, str, str, float]] = []
    for day in range(days):
        phase = record.present
        names = list(phase.weights)
        shares = np.array(list(phase.weights.values())) / sum(phase.weights.values())
        for index in random.choice(len(names), size=units, p=shares):
            shown.append((day, phase.phase, names[index], float(random.random() < rates[index])))
        now = NOON + (day + 1) * DAY
        if is_due(record, now, DAY):
            mature = cells_of(shown, day - 2)
            plan = plan_of(record)
            assert plan.deciding is not None
            seen = Population(plan.deciding, now, tuple(mature), (), 0.0, 0)
            record = reallocated(record, plan, seen, now) or record
    plan = plan_of(record)
    assert plan.deciding is not None
    last = [variant for day, _, variant, _ in shown if day == days - 1]
    seen = Population(plan.deciding, now, tuple(cells_of(shown, days)), (), 0.0, 0)
    return last.count("warm") / units, results(plan, [seen])


def cells_of(shown: list[tuple[int, str, str, float]], until: int) -> list[Cell]:
    values: dict[tuple[str, str], list[float]] = {}
    for day, phase, variant, value in shown:
        if day <= until:
            values.setdefault((phase, variant), []).append(value)
    return [cell(*key, Moments.of(own)) for key, own in values.items()]


def test_a_month_finds_the_better_arm_and_the_estimate_stays_right() -> None:
    found = [month(seed, (0.30, 0.45)) for seed in range(40)]
    shares = [share for share, _ in found]
    comparisons = [result.metrics[0].comparisons[0] for _, result in found]
    estimates = [each.effect.difference for each in comparisons]
    assert np.mean(shares) > 0.85
    assert min(shares) > 0.5
    assert np.mean(estimates) == pytest.approx(0.15, abs=3 * np.std(estimates) / np.sqrt(len(found)))
    covered = [each.interval.low < 0.15 < each.interval.high for each in comparisons]
    assert sum(covered) >= 38
    assert not any(result.stopped for _, result in found)


def test_a_month_without_a_difference_claims_none() -> None:
    found = [month(seed, (0.4, 0.4)) for seed in range(40)]
    claimed = [result.metrics[0].comparisons[0].interval.p <= 0.05 for _, result in found]
    assert sum(claimed) <= 2
