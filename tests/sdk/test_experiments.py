"""Experiments in an agent's code, from the choice to what waits, deferrals and scores carry."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import upshot
from upshot import App, Experiment, Followup
from upshot.errors import ConfigurationError, Misuse, SpoolFull
from upshot.registry.definitions import Registry
from upshot.schemas.experiments import Experiment as Record
from upshot.settings import Settings
from upshot.testing import Captured, variants

AT = "2026-05-01T00:00:00Z"


@pytest.fixture
def tone(app: App) -> Experiment[str]:
    return app.experiment(
        "reply-tone", {"plain": "Be brief.", "warm": "Be kind."}, control="plain", unit="user"
    )


def registered(app: App, **fields: Any) -> None:
    """Registers the experiment of `tone`, as the reader of the topic would."""
    event = {"experiment": "reply-tone", "control": "plain", "unit": "user", "strategy": "bucket"}
    event |= {"variants": {"plain": 1, "warm": 1}, "changed_at": AT} | fields
    record = Record.model_validate(event)
    app.registry.definition("")
    app.registry.take({record.experiment: record})


def test_waits_deferrals_and_scores_carry_what_was_chosen(
    app: App, sent: Captured, tone: Experiment[str]
) -> None:
    @app.scorer
    async def later(ctx: Followup[int]) -> None: ...

    length = app.experiment("length", {"short": 100, "long": 900}, control="short")
    with app.run() as run:
        first = tone.choose(unit="user-1")
        assert tone.choose(unit="user-1") == first
        run.wait("solved", "ticket:1", on={"ticket.reopened": False}, within="P7D", otherwise=True)
        second = length.choose()
        run.defer(later, 1)
        run.score("helpful", 0.5)
        with run.step("draft") as step:
            step.score("short", True)
    assert first.value in ("Be brief.", "Be kind.") and second.value in (100, 900)
    one = {"experiment": "reply-tone", "variant": first.name, "probability": 0.5}
    two = {"experiment": "length", "variant": second.name, "probability": 0.5}
    [wait], [deferral] = sent.waits, sent.deferrals
    carried = [{key: said[key] for key in one} for said in wait["exposures"]]
    assert carried == [one]
    for event in (deferral, *sent.scores):
        assert [{key: said[key] for key in one} for said in event["exposures"]] == [one, two]
    exposures = {event["experiment"]: event for event in sent.exposures}
    assert len(sent.exposures) == 2
    assert exposures["reply-tone"]["unit"] == "user-1" and exposures["length"]["unit"] == run.id
    assert [exposures[name]["strategy"] for name in ("reply-tone", "length")] == ["bucket", "weighted"]
    assert {event["weights_from"] for event in sent.exposures} == {"code"}
    assert wait["exposures"][0]["phase"] == exposures["reply-tone"]["phase"]


def test_choosing_outside_a_run_raises_with_the_remedy(tone: Experiment[str], sent: Captured) -> None:
    with pytest.raises(Misuse, match="or look without recording by peek"):
        tone.choose(unit="user-1")
    assert tone.peek("user-1").name in tone.arms and not sent.exposures


def test_peeking_records_nothing_and_agrees(app: App, sent: Captured, tone: Experiment[str]) -> None:
    with app.run():
        seen = tone.peek("user-1")
        assert not sent.exposures
        assert tone.choose(unit="user-1") == seen


@pytest.mark.parametrize("unit", [None, ""])
def test_no_unit_gives_the_control_and_is_counted(
    app: App, sent: Captured, tone: Experiment[str], unit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with app.run():
            given = tone.choose(unit=unit)
            assert (given.name, given.exposed) == ("plain", False)
    assert not sent.exposures
    assert [run["attributes"]["upshot.not_exposed"] for run in sent.runs] == [{"reply-tone": "no_unit"}] * 2
    assert caplog.text.count("choose(unit=ticket.user_id)") == 1


async def test_branches_plain_and_async(app: App, sent: Captured, tone: Experiment[str]) -> None:
    async def slowly(number: int) -> str:
        await asyncio.sleep(0)
        return f"slow {number}"

    with app.run():
        assert tone.run({"plain": str, "warm": str}, 7, unit="u") == "7"
        assert await tone.run({"plain": slowly, "warm": slowly}, 7, unit="u") == "slow 7"
        with pytest.raises(Misuse, match="no branch for warm"):
            tone.run({"plain": str}, 7, unit="v")
    assert len(sent.exposures) == 1


@pytest.mark.parametrize("arm", ["plain", "warm"])
def test_forced_variants_are_marked(app: App, sent: Captured, tone: Experiment[str], arm: str) -> None:
    with variants({"reply-tone": arm}), app.run() as run:
        assert tone.choose(unit="user-1").name == arm
        run.score("helpful", 1.0)
    [exposure] = sent.exposures
    assert (exposure["strategy"], exposure.get("probability")) == ("forced", None)
    assert "probability" not in sent.scores[0]["exposures"][0]


def test_the_setting_forces_variants(tmp_path: Path) -> None:
    app = App("support", settings=Settings(data_dir=tmp_path, variants="reply-tone=warm"))
    tone = app.experiment("reply-tone", {"plain": 0, "warm": 1}, control="plain", unit="user")
    app.registry = Registry(None, None)
    assert tone.peek("anybody").value == 1
    with pytest.raises(ConfigurationError):
        App("support", settings=Settings(data_dir=tmp_path, variants="warm"))


def test_the_registry_goes_before_the_code(app: App, sent: Captured, tone: Experiment[str]) -> None:
    registered(app, phase="7", variants={"plain": 0, "warm": 1})
    with app.run():
        assert tone.choose(unit="user-1").name == "warm"
    registered(app, status="stopped")
    with app.run():
        assert tone.choose(unit="user-1") == upshot.Variant("plain", "Be brief.", exposed=False)
    [exposure] = sent.exposures
    assert (exposure["phase"], exposure["weights_from"], exposure["probability"]) == ("7", "registry", 1.0)


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"variants": {"plain": 1e-9, "cold": 1e9}}, "missing_arm"),
        ({"variants": {"cold": 1}, "control": "cold"}, "missing_arm"),
        ({"variants": {"plain": 0, "warm": 0}}, "no_weight"),
        ({"unit": "ticket"}, "other_unit"),
    ],
)
def test_a_registry_that_differs_from_the_code_never_ends_the_agent(
    app: App, sent: Captured, tone: Experiment[str], fields: dict[str, Any], because: str
) -> None:
    registered(app, **fields)
    with app.run():
        assert tone.choose(unit="user-1").name == "plain"
    assert not sent.exposures
    assert sent.runs[0]["attributes"]["upshot.not_exposed"] == {"reply-tone": because}


def test_arms_of_the_code_that_the_registry_lacks_are_told_once(
    app: App, sent: Captured, tone: Experiment[str], caplog: pytest.LogCaptureFixture
) -> None:
    registered(app, variants={"plain": 1.0, "cold": 0.0})
    with caplog.at_level(logging.WARNING):
        for user in range(20):
            with app.run():
                assert tone.choose(unit=f"user-{user}") == upshot.Variant(
                    "plain", "Be brief.", True, "1", 1.0
                )
    assert len(sent.exposures) == 20
    assert [record.getMessage() for record in caplog.records] == [
        "experiment 'reply-tone' gives nobody the arms warm of the code: the registry doesn't list them; add "
        "them by `upshot experiments set`"
    ]


class Unnamed:
    """A unit without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no name")


@pytest.mark.parametrize("unit", [Unnamed(), "", "\ud800", "u" * 100_000, 0, b"\xff", float("nan")])
def test_odd_units_never_end_the_agent(app: App, sent: Captured, tone: Experiment[str], unit: Any) -> None:
    with app.run():
        given = tone.choose(unit=unit)
        assert tone.peek(unit).name == given.name
    assert len(sent.exposures) == given.exposed


def test_a_change_within_a_run_changes_nothing_in_it(app: App, sent: Captured, tone: Experiment[str]) -> None:
    with app.run():
        before = tone.choose(unit="user-1")
        registered(
            app, variants={"plain": 1.0, "warm": 0.0} if before.name == "warm" else {"plain": 0, "warm": 1}
        )
        assert tone.choose(unit="user-1") == before
        assert tone.peek("user-1") != before
    assert len(sent.exposures) == 1


def test_a_strategy_that_raises_gives_the_control(app: App, sent: Captured) -> None:
    def broken(unit: str, facts: Mapping[str, Any]) -> str:
        raise RuntimeError("no model")

    tone = app.experiment(
        "reply-tone", {"plain": 0, "warm": 1}, control="plain", unit="user", strategy=broken
    )
    with app.run():
        assert not tone.choose(unit="user-1").exposed
    assert not sent.exposures


def test_nobody_gets_what_cant_be_recorded(
    app: App, sent: Captured, tone: Experiment[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(app, variants={"plain": 0, "warm": 1})

    def full(message: Any) -> None:
        raise SpoolFull("full")

    with app.run(), monkeypatch.context() as patch:
        patch.setattr(app.delivery, "fact", full)
        assert tone.choose(unit="user-1").name == "plain"
    assert not sent.exposures


def test_assignments_made_elsewhere(app: App, sent: Captured, tone: Experiment[str]) -> None:
    with app.run() as run:
        assert tone.expose("warm", unit="user-1", probability=0.2).value == "Be kind."
        with pytest.raises(Misuse, match="no arm"):
            tone.expose("cold", unit="user-1")
        run.score("helpful", True)
    [exposure] = sent.exposures
    assert (exposure["strategy"], exposure["probability"], exposure["unit"]) == ("external", 0.2, "user-1")
    assert sent.scores[0]["exposures"][0]["variant"] == "warm"


@pytest.mark.parametrize(
    "declare",
    [
        lambda app: app.experiment("e", {}, control="a"),
        lambda app: app.experiment("e", {"a": 1}, control="b"),
        lambda app: app.experiment("e", {"a": 1, "b": 2}, control="a", weights={"a": 1}),
        lambda app: app.experiment("e", {"a": 1, "b": 2}, control="a", weights={"a": 1, "b": -1}),
        lambda app: app.experiment("e", {"a": 1, "b": 2}, control="a", weights={"a": 0, "b": 0}),
    ],
)
def test_declarations_that_cant_be_meant_raise(app: App, declare: Callable[[App], Any]) -> None:
    with pytest.raises(Misuse):
        declare(app)


def test_the_copy_on_disk_goes_on_while_the_registry_is_away(tmp_path: Path) -> None:
    record = Record.model_validate({"experiment": "e", "variants": {"a": 0, "b": 1}, "changed_at": AT})
    copy = tmp_path / "experiments.json"
    Registry(None, copy, "here").take({"e": record})
    known = Registry(None, copy, "here").definition("e")
    assert known is not None and (known.source, known.weights) == ("cache", {"a": 0, "b": 1})
    assert copy.stat().st_mode & 0o077 == 0
    assert Registry(None, copy, "elsewhere").definition("e") is None
    for broken in ("", "[]", "{}", json.dumps({"origin": "here", "experiments": {"e": {"variants": 1}}})):
        copy.write_text(broken)
        assert Registry(None, copy, "here").definition("e") is None


def test_forgiving_apps_go_on_with_the_control(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = App("support", settings=Settings(data_dir=tmp_path, on_misuse="warn"))
    tone = app.experiment("reply-tone", {"plain": 0, "warm": 1}, control="plain", unit="user")
    with caplog.at_level(logging.WARNING):
        assert not tone.choose(unit="user-1").exposed
    assert "no run here" in caplog.text
