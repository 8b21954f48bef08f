"""Odd input of experiments, each with its message or its counted place; the agent never fails."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from upshot import App
from upshot.errors import InvalidEvent, Misuse
from upshot.insights.experiments import report
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import Population
from upshot.insights.experiments.registry import as_started, plan_of
from upshot.insights.experiments.report import results_of
from upshot.insights.experiments.results import Results
from upshot.insights.experiments.verdict import verdict
from upshot.insights.reader import Reader
from upshot.ops.doctor.experiments import experiments
from upshot.processors.experiments import handler
from upshot.processors.experiments.decide import RegistryRecord
from upshot.registry.definitions import Registry
from upshot.schemas.experiments import Experiment
from upshot.sdk import experiments as sdk
from upshot.settings import Settings
from upshot.streams.events.checking import check
from upshot.streams.events.topics import TOPICS
from upshot.testing import capture

AT = "2026-05-01T00:00:00Z"
RECORD: dict[str, Any] = {"experiment": "tone", "variants": {"plain": 1, "warm": 1}, "changed_at": AT}
EXPOSURE: dict[str, Any] = {"run_id": "r", "experiment": "tone", "variant": "warm"}


@pytest.fixture
def app(tmp_path: Path) -> App:
    app = App("support", settings=Settings(data_dir=tmp_path))
    app.registry = Registry(None, None)
    return app


@pytest.mark.parametrize(
    ("changed", "reason", "says"),
    [
        ({"schema_version": 2}, "unknown_version", "schema version 2 is not known"),
        ({"variants": {"plain": -1}}, "invalid_value", "variants.plain"),
        ({"variants": {}}, "invalid_value", "variants"),
        ({"variants": {"plain": "many"}}, "invalid_value", "variants.plain"),
        ({"control": "cold"}, "invalid_value", "a control that is none of its variants"),
        ({"changed_at": "3026-05-01T00:00:00Z"}, "absurd_time", "changed_at"),
        ({"audience": "(("}, "invalid_value", "audience"),
        ({"traffic": 1.5}, "invalid_value", "traffic"),
        ({"experiment": ""}, "invalid_value", "experiment"),
        ({"layer": {"name": "l", "slots": [[5, 5]]}}, "invalid_value", "ends before it begins"),
    ],
)
def test_a_registry_record_is_refused_with_its_field(changed: dict[str, Any], reason: str, says: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        check(TOPICS["experiments"], json.dumps(RECORD | changed).encode())
    assert (caught.value.reason, says in caught.value.detail) == (reason, True), caught.value.detail


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "1e999"])
def test_a_weight_that_is_no_number_is_refused(weight: str) -> None:
    text = json.dumps(RECORD).replace('"plain": 1', f'"plain": {weight}')
    with pytest.raises(InvalidEvent) as caught:
        check(TOPICS["experiments"], text.encode())
    assert caught.value.reason == "not_finite"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exposed_at": "1926-05-01T00:00:00Z"}, "absurd_time"),
        ({"exposed_at": "1970-01-01T00:00:00Z"}, "absurd_time"),
        ({"exposed_at": "9999-12-31T23:59:59Z"}, "absurd_time"),
        ({"exposed_at": "2026-05-01T00:00:00"}, "invalid_value"),
        ({"probability": 0.0}, "invalid_value"),
        ({"probability": 1.5}, "invalid_value"),
        ({"variant": ""}, "invalid_value"),
        ({"schema_version": 2}, "unknown_version"),
    ],
)
def test_an_exposure_is_refused_with_its_reason(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        check(TOPICS["exposures"], json.dumps(EXPOSURE | changed).encode())
    assert caught.value.reason == reason, caught.value.detail


@pytest.mark.parametrize(
    "changed", [{"experiment": "🦊 vs 🐻"}, {"variant": "🐻"}, {"run_id": "never-comes"}]
)
def test_odd_exposures_are_kept(changed: dict[str, Any]) -> None:
    assert check(TOPICS["exposures"], json.dumps(EXPOSURE | changed).encode()).event_id


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "1", None, True])
def test_weights_in_code_are_finite_numbers(app: App, weight: Any) -> None:
    weights = {"plain": weight, "warm": 0}
    with pytest.raises(Misuse, match=r"above zero|finite number"):
        app.experiment("tone", {"plain": 0, "warm": 1}, control="plain", weights=weights)


@pytest.mark.parametrize(
    ("name", "arms", "exposed"),
    [
        ("🦊 vs 🐻", ("🦊", "🐻"), True),
        ("one arm", ("only",), True),
        ("a thousand", tuple(f"arm {n}" for n in range(1_000)), True),
    ],
    ids=["emoji", "one arm", "a thousand arms"],
)
def test_odd_experiments_choose_and_are_exposed_once(
    app: App, name: str, arms: tuple[str, ...], exposed: bool
) -> None:
    tried = app.experiment(name, {arm: arm for arm in arms}, control=arms[0], unit="user")
    with capture(app) as sent, app.run():
        given = tried.choose(unit="u")
        assert tried.choose(unit="u") == given
    assert given.exposed is exposed
    assert [(one["experiment"], one["variant"]) for one in sent.exposures] == [(name, given.name)]


@pytest.mark.parametrize(
    "changed",
    [
        {"variants": {"cold": 1}, "control": "cold"},
        {"variants": {"plain": 0, "warm": 0}},
        {"hash_version": "upshot-2"},
        {"unit": "ticket"},
        {"audience": "max_by(attributes, &plan)"},
    ],
    ids=["an arm that the code lacks", "no weight", "a newer hash", "another unit", "an audience that fails"],
)
def test_a_registry_that_the_code_cant_follow_gives_the_control(app: App, changed: dict[str, Any]) -> None:
    tone = app.experiment("tone", {"plain": 0, "warm": 1}, control="plain", unit="user")
    record = Experiment.model_validate(RECORD | {"unit": "user", "control": "plain"} | changed)
    with capture(app) as sent, app.run():
        app.registry.take({"tone": record})
        assert tone.choose(unit="u").name == "plain"
    assert not sent.exposures


PLAN = ExperimentPlan(
    "tone", "plain", (PlannedPhase("1", {"plain": 1.0, "warm": 1.0}),), (PlannedMetric("solved"),)
)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"control": "warm"}, ("control",)),
        ({"unit": "user"}, ("unit",)),
        ({"cap": timedelta(days=90)}, ("cap",)),
        ({"alpha": 0.2}, ("alpha",)),
        ({"planned": 9}, ("planned",)),
        ({"metrics": (PlannedMetric("solved", window=timedelta(days=1)),)}, ("metrics",)),
        ({"metrics": ()}, ("metrics",)),
        ({}, ()),
    ],
    ids=[
        "control",
        "unit",
        "cap",
        "alpha",
        "planned units",
        "a metric's window",
        "no metric any more",
        "nothing",
    ],
)
def test_what_was_fixed_at_the_start_stays_and_the_change_is_named(
    changed: dict[str, Any], named: tuple[str, ...]
) -> None:
    found = as_started(replace(PLAN, **changed), PLAN)
    assert found == replace(PLAN, changed=named)
    warnings = verdict(Results(found, datetime(2026, 6, 1, tzinfo=UTC), (), (), None, {})).warnings
    assert [text.split(" changed")[0] for text in warnings] == [", ".join(named)][: bool(named)]


class StartStored:
    """A store that has one record of the experiment: the one that it started by."""

    def query(self, sql: str, parameters: Any) -> Any:
        return SimpleNamespace(rows=[[json.dumps(START)]] if parameters["experiment"] == "tone" else [])


START = RECORD | {"control": "plain", "metrics": [{"name": "solved", "window": "P7D"}]}


def test_what_ships_is_judged_by_what_was_fixed_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[ExperimentPlan] = []

    def read(reader: Any, plan: ExperimentPlan, as_of: datetime) -> Results:
        shown.append(plan)
        return Results(plan, as_of, (), (), None, {})

    monkeypatch.setattr(report, "read_results", read)
    changed = Experiment.model_validate(START | {"control": "warm", "alpha": 0.2, "metrics": [{"name": "s"}]})
    found = results_of(cast(Reader, StartStored()), changed, datetime(2026, 6, 1, tzinfo=UTC))
    assert (shown[0].control, shown[0].alpha, shown[0].changed) == (
        "plain",
        0.05,
        ("control", "alpha", "metrics"),
    )
    assert [(each.name, each.use) for each in shown[0].metrics] == [
        ("solved", "decision"),
        ("s", "exploratory"),
    ]
    assert found["warnings"][0].startswith("control, alpha, metrics changed in the registry")


def test_allocations_keep_to_the_start_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at, store = datetime(2026, 6, 1, tzinfo=UTC), cast(Reader, StartStored())
    seen: list[tuple[str, ...]] = []

    def read(reader: Any, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime) -> Population:
        seen.append((plan.control, metric.name))
        return Population(metric, as_of, (), (), 0.0, 0)

    changed = Experiment.model_validate(START | {"control": "warm", "metrics": [{"name": "helpful"}]})
    monkeypatch.setattr(handler, "population", read)
    monkeypatch.setattr(handler, "read_by", lambda reader, as_of: as_of)
    allocating = handler.AllocationHandler(Settings(data_dir=tmp_path), store)
    assert allocating._changed(RegistryRecord(changed, 0, 1), at) is None
    assert seen == [("plain", "solved")]


def test_an_experiment_that_outlives_its_cap_is_told() -> None:
    record = Experiment.model_validate(RECORD | {"cap": "P30D", "control": "plain"})
    for day, told in (
        (30, ()),
        (31, ("the experiment was to run 30 days at most, and began on 1 May: ship",)),
    ):
        at = datetime(2026, 5, day, tzinfo=UTC)
        warnings = verdict(Results(plan_of(record), at, (), (), None, {})).warnings
        assert tuple(line.split(" or stop")[0] for line in warnings) == told


def test_the_doctor_has_advice_for_each_fault_of_choosing() -> None:
    for fault in sdk._FAULTS:
        assert experiments([("tone", fault, 3)], []).to_do, fault


def test_a_metric_named_later_is_exploratory() -> None:
    later = PlannedMetric("helpful")
    found = as_started(replace(PLAN, metrics=(*PLAN.metrics, later)), PLAN)
    assert found == replace(PLAN, metrics=(*PLAN.metrics, replace(later, use="exploratory")))
    # Started without any: nothing was fixed.
    assert as_started(PLAN, replace(PLAN, metrics=())) == PLAN
