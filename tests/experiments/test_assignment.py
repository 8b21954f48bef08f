"""Assignment: who is in an experiment, with which variant, and why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from upshot.errors import ConfigurationError, Misuse
from upshot.experiments.assignment import Assigned, Assigner, NotExposed, slot_of
from upshot.experiments.definition import Definition, declared, of_record
from upshot.experiments.overrides import parsed
from upshot.schemas.experiments import Experiment, Holdout, Layer

USERS = [f"user-{number}" for number in range(5_000)]
TONE = Definition("tone", {"plain": 1, "warm": 1}, "plain", unit="user", strategy="bucket")


def by(definition: Definition, facts: dict[str, Any] | None = None) -> dict[str, Any]:
    assigner = Assigner(definition)
    return {user: assigner.assign(user, facts or {}) for user in USERS}


def test_a_ramp_moves_none_between_arms() -> None:
    small, large = by(replace(TONE, traffic=0.2)), by(replace(TONE, traffic=0.6))
    taken = {user: one for user, one in small.items() if isinstance(one, Assigned)}
    assert 0.17 < len(taken) / len(USERS) < 0.23
    assert all(large[user] == one for user, one in taken.items())
    assert by(replace(TONE, traffic=0.0)) == dict.fromkeys(USERS, NotExposed("plain", "traffic"))


@pytest.mark.parametrize("status", ["draft", "stopped"])
def test_a_kill_switch_gives_the_control_without_exposure(status: Any) -> None:
    assert set(by(replace(TONE, status=status)).values()) == {NotExposed("plain", "not_running")}


def test_no_unit_gets_the_control() -> None:
    for unit in (None, ""):
        assert Assigner(TONE).assign(unit, {}) == NotExposed("plain", "no_unit")


def test_layers_with_slots_apart_share_nobody() -> None:
    one = replace(TONE, layer=Layer(name="answers", slots=[(0, 500)]))
    other = replace(TONE, name="length", layer=Layer(name="answers", slots=[(500, 1000)]))
    first, second = by(one), by(other)
    for user in USERS:
        assert isinstance(first[user], Assigned) != isinstance(second[user], Assigned)
    assert {slot_of("answers", user) for user in USERS} <= set(range(1000))


def test_a_holdout_holds_for_all_its_experiments_and_after_shipping() -> None:
    held = Holdout(name="2026", share=0.1)
    first, second = by(replace(TONE, holdout=held)), by(replace(TONE, name="length", holdout=held))
    out = {user for user, one in first.items() if one == NotExposed("plain", "holdout")}
    assert 0.08 < len(out) / len(USERS) < 0.12
    assert out == {user for user, one in second.items() if isinstance(one, NotExposed)}
    shipped = by(replace(TONE, holdout=held, status="shipped", weights={"plain": 0, "warm": 1}, traffic=0.1))
    assert {user for user, one in shipped.items() if one.variant == "plain"} == out
    assert shipped[next(user for user in USERS if user not in out)].strategy == "fixed"


def test_the_audience_is_read_before_assignment() -> None:
    pro = replace(TONE, audience="attributes.plan=='pro'")
    assert isinstance(Assigner(pro).assign("user-1", {"attributes": {"plan": "pro"}}), Assigned)
    for facts in ({"attributes": {"plan": "free"}}, {"attributes": {}}, {}):
        assert Assigner(pro).assign("user-1", facts) == NotExposed("plain", "audience")


@pytest.mark.parametrize("path", ["sum(attributes.plan)", "length(sort(attributes.many))", "attributes.plan"])
def test_an_audience_that_fails_or_takes_too_long_leaves_out(path: str) -> None:
    facts = {"attributes": {"plan": "pro", "many": [str(number) for number in range(100_000)]}}
    assert Assigner(replace(TONE, audience=path)).assign("u", facts) == NotExposed("plain", "audience")


def test_the_codes_arms_decide_what_can_be_served() -> None:
    some = Assigner(replace(TONE, weights={"plain": 1, "warm": 1, "cold": 1}), served=("plain", "warm"))
    given = [some.assign(user, {}) for user in USERS]
    missing = [one for one in given if one == NotExposed("plain", "missing_arm", "cold")]
    assert 0.3 < len(missing) / len(USERS) < 0.37
    assert all(one.probability == 1 / 3 for one in given if isinstance(one, Assigned))
    more = Assigner(TONE, served=("plain", "warm", "cold"))
    assert {one.variant for one in map(lambda user: more.assign(user, {}), USERS)} == {"plain", "warm"}


def test_weights_of_zero_serve_the_control() -> None:
    assert Assigner(replace(TONE, weights={"plain": 0, "warm": 0})).assign("u", {}) == NotExposed(
        "plain", "no_weight"
    )


def test_an_override_is_no_assignment() -> None:
    assert Assigner(TONE).forced("warm", "u") == Assigned("warm", "u", "1", "forced", None)
    assert Assigner(TONE).forced("hot", "u") == NotExposed("plain", "missing_arm", "hot")
    assert parsed(" tone=warm, length = short ,") == {"tone": "warm", "length": "short"}
    with pytest.raises(ConfigurationError, match="EXPERIMENT=VARIANT"):
        parsed("tone")


def test_a_strategy_of_ones_own() -> None:
    def by_length(unit: str, facts: Any) -> Any:
        return {1: "warm", 2: ("warm", 0.25), 3: ("warm", 0.0), 4: None}[len(unit)]

    custom = Assigner(TONE, custom=by_length)
    assert custom.assign("u", {}) == Assigned("warm", "u", "1", "custom", None)
    assert custom.assign("uu", {}) == Assigned("warm", "uu", "1", "custom", 0.25)
    for unit in ("uuu", "uuuu"):
        with pytest.raises((TypeError, ValueError)):
            custom.assign(unit, {})


def test_a_thousand_arms() -> None:
    many = Assigner(replace(TONE, name="🧪", weights={f"arm {n}": 1 for n in range(1_000)}, control="arm 0"))
    assert len({many.assign(user, {}).variant for user in USERS}) > 900


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "1", True, None])
def test_declared_weights_are_numbers(weight: Any) -> None:
    with pytest.raises(Misuse, match="finite number"):
        declared("tone", {"plain": 1, "warm": weight}, control="plain", unit="user")


def test_a_declaration_has_arms_a_control_and_some_weight() -> None:
    for weights, control in (({}, "plain"), ({"plain": 0}, "plain"), ({"plain": 1}, "warm"), ({"": 1}, "")):
        with pytest.raises(Misuse):
            declared("tone", weights, control=control, unit="user")
    with pytest.raises(Misuse):
        declared("", {"plain": 1}, control="plain", unit="user")


def test_other_weights_in_code_are_another_phase() -> None:
    one = declared("tone", {"plain": 1, "warm": 1}, control="plain", unit="user")
    assert one == declared("tone", {"warm": 1.0, "plain": 1}, control="plain", unit="user")
    assert one.phase != declared("tone", {"plain": 2, "warm": 1}, control="plain", unit="user").phase


def test_records_of_the_first_release_are_read() -> None:
    record = Experiment.model_validate(
        {"experiment": "tone", "variants": {"b": 1, "a": 1}, "changed_at": "2026-05-01T00:00:00Z"}
    )
    assert of_record(record, "registry") == Definition("tone", {"a": 1, "b": 1}, "a")
