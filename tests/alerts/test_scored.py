"""Rules about single scores: which fire, and that no order, repetition or restart changes the alerts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.alerts.scored import ScoreFact, judge
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.streams.events.instants import Micros, micros

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
NOW = micros(NOON)
SECOND: Micros = 1_000_000


def rule(**changed: Any) -> AlertRule:
    least = {"name": "low", "kind": "score", "score": "helpful", "changed_at": "2026-05-01T00:00:00Z"}
    line = {} if {"below", "above", "equals", "kind"} & changed.keys() else {"below": 0.5}
    return AlertRule.model_validate(least | line | changed)


def fact(**changed: Any) -> ScoreFact:
    stated: dict[str, Any] = {
        "score_id": "s1",
        "run_id": "r1",
        "name": "helpful",
        "value": 0.1,
        "reason": "outcome",
        "revision": 1,
        "decided_at": NOW - SECOND,
        "happened_at": NOW - 2 * SECOND,
        "agent": "support",
        "variants": {"tone": "warm"},
        "attributes": {"plan": "paying"},
    }
    return ScoreFact(**(stated | changed))


def judged(a_rule: AlertRule, a_fact: ScoreFact, now: Micros = NOW) -> Alert:
    found = judge(a_rule, a_fact, "upshot.", now)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("line", "value", "fires"),
    [
        ({"below": 0.5}, 0.49, True),
        ({"below": 0.5}, 0.5, False),
        ({"above": 100}, 100.5, True),
        ({"above": 100}, 100, False),
        ({"equals": False}, False, True),
        ({"equals": False}, True, False),
        ({"equals": False}, None, False),
        ({"below": 0.5}, None, False),
    ],
)
def test_lines(line: dict[str, Any], value: bool | float | None, fires: bool) -> None:
    found = judge(rule(**line), fact(value=value), "upshot.", NOW)
    assert (found is not None) == fires


@pytest.mark.parametrize(
    "filters",
    [
        {"agent": "coder"},
        {"where": {"plan": "free"}},
        {"where": {"team": "a"}},
        {"variants": {"tone": "plain"}},
        {"score": "merged"},
        {"enabled": False},
    ],
)
def test_other_scores_are_no_business_of_the_rule(filters: dict[str, Any]) -> None:
    assert judge(rule(**filters), fact(), "upshot.", NOW) is None


def test_an_alert_says_what_it_is_about() -> None:
    filtered = rule(where={"plan": "paying"}, message="{score} {value} for {plan} in {run_id}", notify=["pd"])
    found = judged(filtered, fact())
    assert found.group == {"agent": "support", "plan": "paying"}
    assert found.message == "helpful 0.1 for paying in r1"
    assert (found.raised_at, found.threshold, found.notify) == (
        NOON - timedelta(seconds=2),
        "below 0.5",
        ["pd"],
    )
    assert judged(rule(), fact()).message == "low: helpful is 0.1, below 0.5 (agent support, run_id r1)"


def test_a_wait_that_expired_and_was_answered_late_after_all() -> None:
    expired = rule(kind="expired", score="merged")
    first = judged(expired, fact(name="merged", value=None, reason="expired"))
    after = judged(expired, fact(name="merged", value=True, revision=2))
    assert (first.state, after.state, first.alert_id) == ("firing", "resolved", after.alert_id)
    assert judge(expired, fact(name="merged", value=True), "upshot.", NOW) is None


def test_old_causes_rescored_ones_and_muted_rules_are_silent() -> None:
    assert judged(rule(), fact(happened_at=NOW - 2 * 86_400 * SECOND)).silent == "older than max_age"
    assert judged(rule(), fact(reason="rescored")).silent == "rescore"
    muted = rule(muted_until="2026-05-06T13:00:00Z")
    assert judged(muted, fact()).silent == "muted"
    assert judged(muted, fact(), NOW + 2 * 3600 * SECOND).silent == ""
    assert judged(muted, fact(value=0.9, revision=2)).silent == "", "an end is never muted"


def test_scores_of_a_repeated_run_are_silent() -> None:
    again = fact(
        reason="given", attributes={"plan": "paying", "replayed_from": "r0", "replayed_step": "plan"}
    )
    assert judged(rule(), again).silent == "replay"


REVISIONS = st.lists(
    st.tuples(
        st.sampled_from(["outcome", "given", "rescored", "expired", "reopened"]),
        st.integers(1, 4),
        st.sampled_from([0.1, 0.9]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=8,
)


def revisions(drawn: Iterable[tuple[str, int, float, int]]) -> list[ScoreFact]:
    """The revisions of one score: each decided one has one value, whenever it is repeated."""
    values: dict[tuple[str, int], ScoreFact] = {}
    for reason, number, value, minute in drawn:
        decided = reason not in ("given", "rescored")
        key = ("decided", number) if decided else (reason, minute)
        at = NOW - (10 - (number if decided else minute)) * SECOND
        values.setdefault(
            key,
            fact(
                reason=reason,
                revision=number if decided else 1,
                value=None if reason in ("expired", "reopened") else value,
                decided_at=at,
                happened_at=at,
            ),
        )
    return list(values.values())


def states(facts: Iterable[ScoreFact], now: Micros) -> dict[str, tuple[int, str]]:
    """The latest state of each alert, as `alert_states` has it; states without a firing one are none."""
    found: dict[str, tuple[int, str]] = {}
    fired = set()
    for one in facts:
        alert = judge(rule(), one, "upshot.", now)
        if alert is not None:
            if alert.state == "firing":
                fired.add(alert.alert_id)
            known = found.get(alert.alert_id, (-1, ""))
            found[alert.alert_id] = max(known, (alert.revision, alert.state))
    return {one: state for one, state in found.items() if one in fired}


@given(drawn=REVISIONS, data=st.data())
def test_any_order_repetition_and_later_replay_ends_in_the_same_alerts(
    drawn: list[tuple[str, int, float, int]], data: st.DataObject
) -> None:
    facts = revisions(drawn)
    expected = states(facts, NOW)
    shuffled = data.draw(st.permutations(facts + facts))
    assert states(shuffled, NOW + data.draw(st.integers(0, 10)) * 86_400 * SECOND) == expected
    current = max(facts, key=lambda one: (_rank(one), one.order))
    fires = current.value is not None and current.value < 0.5
    ever = any(one.value is not None and one.value < 0.5 for one in facts)
    assert [state for _, state in expected.values()] == ([["resolved", "firing"][fires]] if ever else [])


def _rank(one: ScoreFact) -> int:
    return {"given": 2, "rescored": 1}.get(one.reason, 0)
