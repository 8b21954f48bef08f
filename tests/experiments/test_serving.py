"""Variants on request are those of the hash's golden values, with the gates and reasons of the SDK."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import upshot.experiments
from upshot.experiments.definition import Definition, of_record
from upshot.experiments.serving import Served, served
from upshot.schemas.assignments import AssignmentRequest
from upshot.schemas.experiments import Experiment

NOW = datetime(2026, 5, 1, tzinfo=UTC)
VECTORS = json.loads((Path(upshot.experiments.__file__).parent / "vectors.json").read_text())


def definition(**changed: Any) -> Definition:
    stated = {"experiment": "tone", "control": "plain", "variants": {"plain": 1.0, "warm": 1.0}}
    stated |= {"unit": "user", "changed_at": "2026-05-01T00:00:00Z", "strategy": "bucket"}
    return of_record(Experiment.model_validate(stated | changed), "registry")


def ask(found: Definition | None = None, forced: dict[str, str] | None = None, **fields: Any) -> Served:
    request = AssignmentRequest.model_validate({"experiment": "tone", "run_id": "r1"} | fields)
    return served(request, found or definition(), NOW, forced or {})


def test_the_golden_values_are_answered() -> None:
    assert len(VECTORS["assignments"]) > 5
    for one in VECTORS["assignments"]:
        weights = {arm: float(weight) for arm, weight in one["weights"].items()}
        found = definition(
            experiment=one["experiment"], variants=weights, control=next(iter(weights)), unit="user"
        )
        answer = ask(found, experiment=one["experiment"], unit=one["unit"]).answer
        assert (answer.variant, answer.exposed) == (one["variant"], True)
        assert answer.probability == pytest.approx(one["probability"])


def test_an_exposure_has_all_that_the_sdk_records() -> None:
    answer, exposure = ask(unit="user-1")
    assert exposure is not None
    assert exposure.model_dump(exclude_none=True, mode="json") == {
        "schema_version": 1, "run_id": "r1", "experiment": "tone", "variant": answer.variant, "phase": "1",
        "probability": 0.5, "unit": "user-1", "strategy": "bucket", "weights_from": "registry",
        "exposed_at": "2026-05-01T00:00:00Z",
    }  # fmt: skip
    assert answer.exposure_id == exposure.identity == ask(unit="user-1").answer.exposure_id
    peeked = ask(unit="user-1", run_id=None, peek=True)
    assert (peeked.exposure, peeked.answer.variant) == (None, answer.variant)


@pytest.mark.parametrize(
    ("changed", "fields", "because"),
    [
        ({}, {}, "no_unit"),
        ({"status": "stopped"}, {"unit": "u"}, "not_running"),
        ({"hash_version": "upshot-2"}, {"unit": "u"}, "newer_hash"),
        ({"traffic": 0.0}, {"unit": "u"}, "traffic"),
        ({"audience": "attributes.plan=='pro'"}, {"unit": "u"}, "audience"),
        ({"holdout": {"name": "all", "share": 1.0}}, {"unit": "u"}, "holdout"),
        ({"layer": {"name": "l", "slots": [[0, 1]]}}, {"unit": "u"}, "layer"),
        ({"variants": {"plain": 0.0, "warm": 0.0}}, {"unit": "u"}, "no_weight"),
        ({"variants": {"plain": 0.0, "warm": 1.0}}, {"unit": "u", "arms": ["plain"]}, "missing_arm"),
        ({}, {"unit": "u", "override": "cold"}, "missing_arm"),
    ],
)
def test_a_unit_outside_gets_the_control_without_an_exposure(
    changed: dict[str, Any], fields: dict[str, Any], because: str
) -> None:
    answer, exposure = ask(definition(**changed), **fields)
    assert exposure is None
    assert (answer.variant, answer.exposed, answer.because) == ("plain", False, because)
    assert answer.exposure_id is answer.phase is answer.probability is None


def test_facts_of_the_run_open_an_audience() -> None:
    pro = definition(audience="attributes.plan=='pro' && agent=='support'")
    assert ask(pro, unit="u", attributes={"plan": "pro"}, agent="support").answer.exposed
    assert not ask(pro, unit="u", attributes={"plan": "pro"}, agent="sales").answer.exposed


def test_a_run_is_its_own_unit() -> None:
    answer, exposure = ask(definition(unit="run", strategy="weighted"))
    assert exposure is not None
    assert (answer.unit, exposure.unit) == ("r1", "r1")


def test_overrides_are_forced() -> None:
    for found in (ask(unit="u", override="warm"), ask(unit="u", forced={"tone": "warm"})):
        assert found.exposure is not None
        assert (found.answer.variant, found.exposure.strategy) == ("warm", "forced")
        assert found.exposure.probability is None


def test_a_caller_without_the_control_gets_an_arm_of_its_own() -> None:
    assert ask(definition(traffic=0.0), unit="u", arms=["cold"]).answer.variant == "cold"


def test_an_exposure_needs_a_run() -> None:
    with pytest.raises(ValidationError, match="run_id is missing"):
        AssignmentRequest(experiment="tone", unit="u")
