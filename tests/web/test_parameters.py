"""Whatever stands in a query string: a value, or a sentence with a status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from upshot.errors import ConfigurationError
from upshot.ingest.answers import Problem
from upshot.insights.pages.explain import rule_in_words, why_pending
from upshot.insights.pages.runs import ScoreCondition
from upshot.web.formats import Clock, duration, money, number, percent
from upshot.web.parameters import Parameters, place
from upshot.web.urls import url

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def parameters(**query: str) -> Parameters:
    return Parameters(MultiDict(query), NOW)


def test_instants() -> None:
    assert parameters(since="7d").instant("since") == NOW - timedelta(days=7)
    assert parameters(since="2026-02-01").instant("since") == datetime(2026, 2, 1, tzinfo=UTC)
    assert parameters(since="2026-02-01T12:00:00+02:00").instant("since") == datetime(
        2026, 2, 1, 10, tzinfo=UTC
    )
    assert parameters().instant("since") is None


@given(st.text(max_size=40))
def test_any_text_is_a_value_or_a_sentence(text: str) -> None:
    for ask in (
        lambda: parameters(x=text).instant("x"),
        lambda: parameters(x=text).whole("x", 1, 1, 100),
        lambda: parameters(after=text).after(),
        lambda: parameters(x=text).choice("x", ("a",), "a"),
    ):
        try:
            ask()
        except Problem as problem:
            assert 400 <= problem.status < 500 and problem.detail
    try:
        ScoreCondition.parse(text)
    except ConfigurationError as error:
        assert "name:true" in str(error)
    assert url("/runs", text, x=text).isascii()
    rule_in_words(text)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("merged:false", ("merged", "=", 0.0)),
        ("a:b:>=4", ("a:b", ">=", 4.0)),
        ("merged:pending", ("merged", "pending", 0.0)),
    ],
)
def test_conditions_on_scores(text: str, condition: tuple[str, str, float]) -> None:
    assert ScoreCondition.parse(text) == condition


def test_a_place_in_a_list_survives_the_address() -> None:
    at = "2026-03-01 11:00:00.000001"
    assert parameters(after=place(at, "r 1")).after() == (
        datetime(2026, 3, 1, 11, 0, 0, 1, tzinfo=UTC),
        "r 1",
    )


def test_addresses_stay_in_their_place() -> None:
    assert url("/runs", "..") == "/runs/~.."
    assert url("/runs", "a/b?c#d", step="x y") == "/runs/a%2Fb%3Fc%23d?step=x+y"


def test_numbers_for_people() -> None:
    assert (number(1234567), number(0.1234), number(None)) == ("1,234,567", "0.1234", "\u2013")
    assert (money(0.00421), money(12), percent(0.1234)) == ("$0.0042", "$12.00", "12.3%")
    assert (duration(0.25), duration(7200), duration(None)) == ("250 ms", "2 h", "\u2013")
    clock = Clock(NOW, "Europe/Berlin")
    assert (clock.at("2026-03-01 11:00:00"), clock.ago("2026-03-01 11:00:00")) == (
        "2026-03-01 12:00:00",
        "60 min ago",
    )
    assert Clock(NOW, "Nowhere/Else").label == "UTC"


def wait(**changed: object) -> dict[str, object]:
    return {
        "outcome_types": ["pr.closed"],
        "since": "2026-02-01 00:00:00",
        "deadline": "2026-03-15 00:00:00",
        "mode": "first",
    } | changed


def outcome(time: str, kind: str = "pr.closed") -> dict[str, object]:
    return {"type": kind, "time": time}


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([], "No outcome about this subject has arrived"),
        ([outcome("2026-02-02 00:00:00", "pr.liked")], "of type pr.liked alone"),
        ([outcome("2026-01-30 00:00:00")], "happened before the wait counts: the last 2 days before"),
        ([outcome("2026-03-16 00:00:00")], "happened after the deadline"),
        ([outcome("2026-02-02 00:00:00")], "the data of the outcome don't satisfy the rule"),
    ],
)
def test_why_a_wait_is_pending(outcomes: list[dict[str, object]], words: str) -> None:
    found = why_pending(wait(), outcomes, NOW)
    assert words in " ".join(found)
    assert "The deadline comes in 14 days." in found
    assert "passed 28 days ago" in " ".join(why_pending(wait(deadline="2026-02-01 00:00:00"), [], NOW))


def test_a_rule_in_words() -> None:
    rule = '{"on":{"pr.closed":{"score":"data.merged","when":"data.base"}},"within":"P14D","else":false}'
    assert (
        rule_in_words(rule) == "pr.closed gives data.merged when data.base; within 14 days; otherwise false"
    )
