"""Rules that can't be meant are refused with what to write instead,
and no message shows how it was checked.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from upshot import App
from upshot.errors import Misuse
from upshot.testing import Captured

INSIDES = re.compile(
    r"function-|constrained|\[key\]|_compiles|pydantic|Input should|validation error|run_id'"
)

WRONG: list[tuple[Any, str]] = [
    ({"x": "true"}, "write True, without quotes"),
    ({"x": "False"}, "write False, without quotes"),
    ({"x": "null"}, "is a path"),
    ({"x": "1"}, "write 1 without quotes"),
    ({"x": "-0.5"}, "write -0.5 without quotes"),
    ({"x": "merged"}, 'write "data.merged"'),
    ({"x": "items[0].price"}, 'write "data.items[0].price"'),
    ({"x": "-data.amount"}, '{"score": "data.amount", "times": -1}'),
    ({"x": "data.amount * `-1`"}, '{"score": "data.amount", "times": -1}'),
    ({"x": "data..a"}, "is no path into an outcome"),
    ({"x": {"score": True, "when": "merged"}}, 'write "data.merged"'),
    ({"x": {"score": True, "when": "true"}}, "a condition such as"),
    ({"x": [1]}, "write a finite number"),
    ({"x": float("nan")}, "write a finite number"),
    ({"x": {"score": "data.a", "times": "2"}}, "times"),
    ({"x": {"score": "data.a", "times": True}}, "times is a number"),
    ({"x": {"score": True, "times": 2}}, "times multiplies numbers"),
    ({}, "on is empty"),
    ({5: True}, "names the outcome type 5"),
    (5, "names no outcomes"),
    ({"x": None}, "every outcome type needs a score"),
]


@pytest.mark.parametrize(("on", "words"), WRONG, ids=[str(on) for on, _ in WRONG])
def test_rules_that_cant_be_meant(app: App, sent: Captured, on: Any, words: str) -> None:
    with app.run("a") as run, pytest.raises(Misuse) as caught:
        run.wait("r", "order:1", on=on, within="P30D")
    assert words in str(caught.value)
    assert not INSIDES.search(str(caught.value)), caught.value
    assert sent.waits == []


@pytest.mark.parametrize(
    "path",
    ["data.merged", "data[0]", "type == 'x'", "length(data.items)", "`5`", "@.data.a", "data.*.b | [0]"],
)
def test_paths_that_can_be_meant(app: App, sent: Captured, path: str) -> None:
    with app.run("a") as run:
        run.wait("r", "order:1", on={"x": {"score": path, "when": path}}, within="P30D")
    assert len(sent.waits) == 1


def test_all_of_the_data_is_asked_about(app: App, sent: Captured, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "upshot"), app.run("a") as run:
        run.wait("r", "order:1", on={"x": "data"}, within="P30D")
    assert 'write "data.field"' in caplog.text
    assert len(sent.waits) == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"subject": None}, "subject is None; write what outcomes are about"),
        ({"subject": 7}, "subject must be a text (it is 7)"),
        ({"subject": ""}, "subject is empty"),
        ({"subject": "x" * 600}, "subject has more than 512 characters"),
        ({"name": None}, "name is None"),
        ({"within": "1 week"}, "within must be a length of time"),
        ({"mode": "sums"}, "mode must be 'first', 'last', 'all', 'count' or 'sum'"),
        ({"otherwise": "no"}, "otherwise must be a number or a boolean"),
        ({"attributes": {"": 1}}, "an attribute's name"),
        ({"attributes": 5}, "is no mapping"),
    ],
)
def test_the_other_parts_of_a_wait(app: App, sent: Captured, changed: dict[str, Any], words: str) -> None:
    said: dict[str, Any] = {"name": "r", "subject": "s:1", "on": {"x": True}, "within": "P1D"} | changed
    with app.run("a") as run, pytest.raises(Misuse) as caught:
        run.wait(**said)
    assert words in str(caught.value)
    assert not INSIDES.search(str(caught.value))
    assert len(str(caught.value)) < 250


def test_other_facts(app: App, sent: Captured) -> None:
    for misuse, words in (
        (lambda: app.outcome("x", None), "subject is None"),  # type: ignore[call-overload]
        (lambda: app.outcome(None, "s"), "type is None"),  # type: ignore[call-overload]
        (lambda: app.outcome("x", "s", time="yesterday"), "is no datetime"),  # type: ignore[call-overload]
        (lambda: app.score(None, "x", 1), "run_id is None"),  # type: ignore[arg-type]
        (lambda: app.score("r", "x", 1, comment=5), "comment must be a text"),  # type: ignore[arg-type]
    ):
        with pytest.raises(Misuse) as caught:
            misuse()  # type: ignore[no-untyped-call]
        assert words in str(caught.value)
        assert not INSIDES.search(str(caught.value))
