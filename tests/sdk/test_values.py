"""Scores are taken as judges give them.

What is no finite number is refused in words, or warned of in production.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import upshot
from upshot import App
from upshot.errors import Misuse
from upshot.settings import Settings
from upshot.testing import Captured, capture, followup


class Floats:
    """As torch's scalars: a number by `__float__`, and by `item`."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __float__(self) -> float:
        return float(self._value)


class Scalar(Floats):
    def item(self) -> Any:
        return self._value


class Array(Scalar):
    shape = (2,)

    def item(self) -> Any:
        raise ValueError("can only convert an array of size 1")

    def __float__(self) -> float:
        raise TypeError("only size-1 arrays can be converted")


class bool_:
    def __bool__(self) -> bool:
        return True


TAKEN = [
    (True, True),
    (2, 2.0),
    (Decimal("0.5"), 0.5),
    (Fraction(1, 4), 0.25),
    (Floats(0.5), 0.5),
    (Scalar(True), True),
    (Scalar(3), 3.0),
    (bool_(), True),
]
REFUSED: list[tuple[Any, str]] = [
    (float("nan"), "not a finite number"),
    (Decimal("Infinity"), "not a finite number"),
    (Floats("nan"), "not a finite number"),
    (10**400, "not a finite number"),
    ("0.5", "a text can be the comment"),
    (None, "write a number or a boolean"),
    (1j, "write a number or a boolean"),
    ([1], "write a number or a boolean"),
    (Array(0), "of an array of shape (2,) give one element"),
]


@pytest.mark.parametrize(("given", "told"), TAKEN)
def test_values_that_are_taken(app: App, sent: Captured, given: Any, told: Any) -> None:
    with app.run("a") as run, run.step("s") as step:
        run.score("x", given)
        step.score("x", given)
        app.score(run.id, "x", given, key="k")
        run.wait("y", "s:1", on={"a": given, "b": "data.b"}, within="P1D", otherwise=given)
        step.set_attribute("a", given)
    assert [(s["value"], type(s["value"])) for s in sent.scores] == [(told, type(told))] * 3
    rule = sent.waits[0]["rule"]
    assert (rule["on"]["a"]["score"], rule["else"]) == (told, told)
    assert [run["status"] for run in sent.runs] == ["completed"]
    assert sent.steps[0]["attributes"]["a"] == told


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_values_that_are_refused(app: App, sent: Captured, given: Any, words: str) -> None:
    with app.run("a") as run, pytest.raises(Misuse) as caught:
        run.score("x", given)
    assert words in str(caught.value)
    assert sent.scores == []


def test_a_follow_up_gives_such_values_too(app: App) -> None:
    @app.scorer
    async def judged(ctx: upshot.Followup[int]) -> float:
        ctx.score("fair", Scalar(True))  # type: ignore[arg-type]
        return Decimal("0.5")  # type: ignore[return-value]

    with followup(judged, 1) as f:
        assert f.scores == {"fair": True, "judged": 0.5}


def test_usage_in_numbers_of_other_libraries(app: App, sent: Captured) -> None:
    with app.run("a") as run, run.step("m", kind="model") as step:
        step.usage(model="m", input_tokens=Scalar(7), cost_usd=Decimal("0.25"))  # type: ignore[arg-type]
    assert (sent.steps[0]["input_tokens"], sent.steps[0]["cost_usd"]) == (7, 0.25)


def test_in_production_what_cant_be_recorded_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    app = App("x", settings=Settings(on_misuse="warn"))
    calls = {
        "score": lambda run, step: run.score("x", float("nan")),
        "score: 'no'": lambda run, step: step.score("x", "no"),
        "wait": lambda run, step: run.wait("x", None, on={"a": "true"}, within="P1D"),
        "defer": lambda run, step: run.defer(len, 1),
        "usage": lambda run, step: step.usage(model=object(), input_tokens="x" * 3),
        "set_attributes": lambda run, step: run.set_attributes({"": 1}),
        "outcome": lambda run, step: app.outcome("", "s"),
        "a step needs a name": lambda run, step: run.step("").__enter__().__exit__(None, None, None),
    }
    with capture(app) as sent, caplog.at_level(logging.WARNING, "upshot"):
        with app.run("a") as run, run.step("s") as step:
            for call in calls.values():
                call(run, step)
            app.score("r", "x", "no")  # type: ignore[arg-type]
            assert app.defer("r", len, 1) == ""  # type: ignore[arg-type]
            assert run.step("draft", "text") == "text"  # type: ignore[call-overload]
            run.score("fine", True)
        assert [run["status"] for run in sent.runs] == ["completed"]
        assert [score["name"] for score in sent.scores] == ["fine"]
    assert "UPSHOT_ON_MISUSE is warn" in caplog.text
    for name in calls.keys() - {"usage"}:
        assert name.partition(":")[0] in caplog.text


def test_in_production_the_agents_own_errors_go_through() -> None:
    app = App("x", settings=Settings(on_misuse="warn"))

    def fails() -> None:
        raise ValueError("its own")

    with capture(app) as sent:
        with pytest.raises(ValueError, match="its own"), app.run("a") as run:
            run.step("s", fails)
        assert sent.runs[0]["status"] == "failed"
