"""Expressions within their budget.

What they find is JMESPath's, what they cost is bounded whatever they are.
"""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import ValidationError

from upshot.schemas import expressions
from upshot.schemas.expressions import ANY_OUTCOME, LEAST_STEPS, OverBudget, compiled
from upshot.schemas.waits import Rule

DATA: dict[str, Any] = {
    "type": "t",
    "data": {
        "a": [{"b": n, "c": "x" * n, "d": [n, [n]]} for n in range(5)],
        "s": "text",
        "n": 3,
        "z": 0,
        "none": None,
        "empty": [],
        "yes": True,
    },
}
PATHS = [
    "data.a[0].b", "data.a[*].b", "data.a[].d[]", "data.a[?b > `1`].c", "data.a[?c == 'xx'] | [0].b",
    "data.*", "data.a[1:3].b", "data.a[::-1].b", "[data.s, data.n]", "{x: data.s, y: data.n}",
    "data.s || data.n", "data.none || data.s", "data.z && data.s", "!data.z", "!data.none",
    "data.s == 'text'", "data.s != data.n",
    "data.n < `4`", "data.yes == `1`", "data.z == `false`", "data.a[0] == data.a[0]",
    "data.empty || 'e'", "@", "data.a[-1].d[1][0]", "data.a[?contains(c, 'x')].b", "data | s", "data.a[9]",
    "abs(`-3`)", "avg(data.a[].b)", "ceil(`1.5`)", "floor(`1.5`)", "contains(data.a[].b, `3`)",
    "ends_with(data.s, 'xt')", "starts_with(data.s, 'te')", "join('-', data.a[].c)", "keys(data)",
    "values(data.a[0])",
    "length(data)", "map(&b, data.a)", "max(data.a[].b)", "min(data.a[].c)", "max_by(data.a, &b).c",
    "min_by(data.a, &c).b", "merge(data.a[0], data.a[1])", "not_null(data.none, data.s)", "reverse(data.s)",
    "reverse(data.a[].b)", "sort(data.a[].c)", "sort_by(data.a, &b)[0].b", "sum(data.a[].b)",
    "to_array(data.s)",
    "to_number('12')", "to_string(data.a)", "type(data)",
]  # fmt: skip


def _result(search: Any) -> Any:
    try:
        return search()
    except JMESPathError as error:
        return type(error).__name__ == "OverBudget"


@pytest.mark.parametrize("path", PATHS)
def test_what_is_found_is_what_jmespath_finds(path: str) -> None:
    assert compiled(path).search(DATA, 1_000) == jmespath.search(path, DATA)
    assert compiled(path).copy(DATA) == jmespath.search(path, DATA)


@given(
    first=st.sampled_from(PATHS),
    second=st.sampled_from(
        ["@", "[0]", "[]", "length(@)", "[?@ == `1`]", "[@, @]", "type(@)", "*", "to_string(@)"]
    ),
)
def test_pipes_of_them_find_what_jmespath_finds(first: str, second: str) -> None:
    path = f"{first} | {second}"
    assert _result(lambda: compiled(path).search(DATA)) == _result(lambda: jmespath.search(path, DATA))


def test_every_function_has_a_cost() -> None:
    assert set(expressions._COSTS) == set(Functions.FUNCTION_TABLE)


def _levels(level: str, end: str = "", begin: str = "") -> str:
    """As many levels as a rule's path may have."""
    signs = sum(map(begin.count, "([{*!&")) + sum(map(end.count, "([{*!&"))
    count = min((50 - signs) // sum(map(level.count, "([{*!&")), (490 - len(begin + end)) // (len(level) + 1))
    return begin + "|".join([level] * count) + end


#: Each doubles at each level, by lists, by texts, by what is hidden in them.
GROWING = [
    _levels("[@,@][]", "|length(@)"),
    _levels("[@,@]", "|to_string(@)"),
    _levels("[@,@]", "|[@==@]"),
    _levels("[@,@]", "|contains(@,@)"),
    _levels("[@,@]", "|[contains(@,'x')]"),
    _levels("{a:@,b:@}", "|to_string(@)"),
    _levels("{a:@,b:@}", "|[@==@]"),
    _levels("[@,@][]", "|sort_by(@,&type)"),
    _levels("[@,@][]", "|max_by(@,&type)"),
    _levels("[@,@][]", "|[*].type|sort(@)"),
    _levels("[@,@][?`true`][]", "|length(@)"),
    _levels("[@,@][]|[0:]", "|length(@)"),
    _levels("map(&@,[@,@][])", "|length(@)"),
    _levels("reverse([@,@][])", "|length(@)"),
    _levels("values({a:@,b:@})[]", "|length(@)"),
    _levels("to_array([@,@][])", "|length(@)"),
    _levels("not_null([@,@][])", "|length(@)"),
    _levels("[[@,@][]||@][]", "|length(@)"),
    _levels("join('',[@,@,@])", "|length(@)", "to_string(@)|"),
    _levels("join(@,[@,@,@])", "|length(@)", "type|"),
    _levels("to_string([@,@])", "|length(@)"),
    _levels("join(',',[@,@])|reverse(@)", "|length(@)", "type|"),
]


@pytest.mark.parametrize("path", GROWING)
def test_what_grows_is_ended(path: str) -> None:
    expression = compiled(path)
    tracemalloc.start()
    try:
        with pytest.raises(OverBudget, match="more than 12,000 steps"):
            expression.search(DATA, 1_000)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "end", ["abs(@)", "join('',@)", "sum(@)", "keys(@)", "starts_with(@,'a')", "sort(@)"]
)
def test_what_a_function_refuses_is_not_written_out(end: str) -> None:
    path = _levels("[@,@]", f"|{end}")
    with pytest.raises(JMESPathError) as caught:
        compiled(path).search(DATA, 1_000)
    assert len(str(caught.value)) < 200


def test_what_is_written_out_counts_as_often_as_it_is_in_there() -> None:
    nested = compiled(_levels("[@,@]"))
    assert len(nested.search(DATA, 1_000)) == 2
    with pytest.raises(OverBudget):
        nested.copy(DATA)


@pytest.mark.parametrize(
    "path",
    [
        "sum(data.items[].price)",
        "sum(data.items[?price > `3`].price)",
        "length(data.items[?price > `3` && price < `100`])",
        "sort(data.items[].price)[0]",
        "max_by(data.items, &price).price",
        "length(to_string(data))",
        "contains(data.items[].price, `-1`)",
    ],
)
def test_a_megabyte_of_items_is_within_the_budget(path: str) -> None:
    data = {"items": [{"price": n} for n in range(60_000)]}
    size = len(json.dumps(data, separators=(",", ":")))
    assert 800_000 < size < 1_000_000
    compiled(path).search({"data": data}, size)


#: What depends on the data, as far as anybody can tell that has not seen it.
UNTOLD = [path for path in GROWING if "==" in path or "?" in path or "join(@" in path]


@pytest.mark.parametrize("path", [path for path in GROWING if path not in UNTOLD])
def test_what_never_stays_within_its_budget_is_refused_when_it_is_sent(path: str) -> None:
    with pytest.raises(ValidationError, match="more than 10,000 steps") as caught:
        Rule.model_validate({"on": {"closed": {"score": path}}, "within": "P1D"})
    assert "closed" in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [*PATHS, *UNTOLD, "data.big || " + "|".join(["[@,@][]"] * 20), "data.a && " + "|".join(["[@,@][]"] * 20)],
)
def test_what_may_stay_within_its_budget_is_taken(path: str) -> None:
    assert compiled(path).least_steps(ANY_OUTCOME, LEAST_STEPS) < LEAST_STEPS
    Rule.model_validate({"on": {"closed": {"score": 1, "when": path}}, "within": "P1D"})


def test_a_rule_of_many_paths_is_checked_in_a_bounded_number_of_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costly = "|".join(["[@,@][]"] * 10) + "|length(@)"
    steps = compiled(costly).least_steps(ANY_OUTCOME, LEAST_STEPS)
    assert steps > 3_000
    asked = []
    least = expressions.Expression.least_steps
    monkeypatch.setattr(
        expressions.Expression, "least_steps", lambda *given: (asked.append(1), least(*given))[1]
    )
    on = {f"t{n}": {"score": costly} for n in range(500)}
    Rule.model_validate({"on": on, "within": "P1D"})
    assert 0 < len(asked) * steps < 20 * LEAST_STEPS
