"""Open alerts of rules that are removed, switched off or about other scores: ended, alike every time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.alerts.closing import CHANGED, OFF, REMOVED, closed, open_causes, why_closed
from upshot.alerts.raised import of_turn
from upshot.alerts.windows import Turn
from upshot.insights.statistics.bounds import Sums
from upshot.processors.alerts.state import JudgedRule, decode_judged, encode_judged, read_judged
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.streams.events.instants import Micros, micros

NOON = micros(datetime(2026, 5, 6, 12, tzinfo=UTC))
MINUTE: Micros = 60_000_000


def rule(**changed: Any) -> AlertRule:
    least = {"name": "fewer", "kind": "rate", "score": "merged", "below": 0.5, "by": ["agent"]}
    return AlertRule.model_validate(least | {"changed_at": "2026-05-01T00:00:00Z"} | changed)


def fired(a_rule: AlertRule, agent: str, since: Micros) -> Alert:
    return of_turn(a_rule, Turn((agent,), "firing", since, since, Sums(9, 1.0, 1.0)), "upshot.", since)


def ended(a_rule: AlertRule, opened: Sequence[tuple[list[str], Micros]], now: Micros) -> list[Alert]:
    return closed(a_rule, open_causes(a_rule, opened), NOON, REMOVED, "upshot.", now)


@pytest.mark.parametrize(
    ("present", "why"),
    [
        (None, REMOVED),
        (rule(enabled=False), OFF),
        (rule(by=["agent", "language"]), CHANGED),
        (rule(where={"plan": "paying"}), CHANGED),
        (rule(agent="coder"), CHANGED),
        (rule(score="helpful"), CHANGED),
        (rule(kind="score", by=[]), CHANGED),
        (rule(below=0.4, notify=["ops"], severity="page", window="PT2H"), ""),
        (rule(muted_until="2027-01-01T00:00:00Z", version=2), ""),
    ],
)
def test_why_nobody_judges_an_alert_any_more(present: AlertRule | None, why: str) -> None:
    assert why_closed(rule(), present) == why


def test_the_length_of_an_open_wait_is_part_of_its_identity() -> None:
    slow = {"kind": "pending_for", "below": None, "by": [], "window": "P1D"}
    assert why_closed(rule(**slow), rule(**slow | {"window": "P2D"})) == CHANGED


@given(
    st.dictionaries(st.text("abc,=/", min_size=1, max_size=5), st.integers(1, 600), min_size=1, max_size=5),
    st.integers(0, 10**6),
)
def test_ends_are_the_same_whenever_and_however_often(groups: dict[str, int], later: int) -> None:
    a_rule = rule(notify=["ops"])
    opened = [([agent], NOON - minutes * MINUTE) for agent, minutes in groups.items()]
    state = decode_judged(
        encode_judged(JudgedRule(NOON, opened, a_rule.model_dump_json(exclude_defaults=True)))
    )
    assert state is not None
    remembered = read_judged(state)
    assert remembered is not None
    first, again = ended(remembered, state.open, NOON), ended(remembered, state.open, NOON + later * MINUTE)
    begun = {(alert := fired(a_rule, agent, since)).alert_id: alert for [agent], since in opened}
    assert {one.alert_id for one in first} == begun.keys() and len(first) == len(opened)
    for one, other in zip(first, again, strict=True):
        assert one.model_copy(update={"detected_at": other.detected_at}) == other
        assert one.revision > begun[one.alert_id].revision
        assert one.state == "resolved" and one.silent == "" and one.notify == ["ops"]
        assert one.message.startswith("resolved, since the rule was removed: fewer: ")


def test_a_guardrail_ends_under_its_cause() -> None:
    guard = AlertRule.model_validate({"name": "g", "kind": "guardrail", "changed_at": "2026-05-01T00:00:00Z"})
    [one] = ended(guard, [(["tone", "1", "warm", "cost"], NOON)], NOON)
    assert one.cause == "tone/1/warm/cost" and one.group["variant"] == "warm"


def test_an_older_state_without_its_rule_is_left_alone() -> None:
    assert read_judged(JudgedRule(NOON)) is None
