"""Rules checked against the ledger, and backtests, on the real engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.results.conftest import NOON, Story
from upshot.insights.alerts.checks import faults
from upshot.processors.alerts.backtest import backtest
from upshot.schemas.alert_rules import AlertRule

pytestmark = pytest.mark.stack


def rule(**changed: Any) -> AlertRule:
    least = {"name": "r", "kind": "score", "score": "helpful", "changed_at": NOON.isoformat()}
    line = {} if {"above", "equals", "kind"} & changed.keys() else {"below": 0.3}
    return AlertRule.model_validate(least | line | changed)


def told(story: Story) -> None:
    """Ten scores of two agents, a bad one each hour."""
    for number in range(10):
        hours = timedelta(hours=number)
        run = f"r{number}"
        story.event("runs", number / 24, run_id=run, agent="support", attributes={"plan": "paying"})
        value = 0.1 if number % 2 else 0.9
        decided: dict[str, Any] = {
            "decided_at": NOON + hours,
            "attributes": {"team": "a"},
            "agent": "support",
        }
        story.event("scores", number / 24, run_id=run, name="helpful", value=value, **decided)
        story.event("scores", number / 24, run_id=run, name="merged", value=True, decided_at=NOON + hours)


async def test_names_that_nobody_sent_and_lines_that_no_score_crosses(story: Story) -> None:
    told(story)
    reader = await story.stored()
    assert faults(reader, rule()) == []
    assert faults(reader, rule(where={"plan": "x", "team": "b"})) == []
    for changed, sentence in (
        ({"score": "helpfull"}, "no score or wait is named 'helpfull' so far: did you mean 'helpful'?"),
        (
            {"where": {"plam": "x"}},
            "no run and no score has an attribute 'plam' so far: did you mean 'plan'?",
        ),
        ({"score": "merged", "above": 1}, "the score 'merged' is never above 1: false is 0 and true is 1"),
        ({"variants": {"tone": "warm"}}, "the registry has no experiment 'tone'"),
    ):
        [fault] = faults(reader, rule(**changed))
        assert fault.startswith(sentence)


async def test_a_backtest_says_when_a_rule_would_have_fired(story: Story) -> None:
    told(story)
    reader = await story.stored()
    until = NOON + timedelta(hours=12)

    def tried(a_rule: AlertRule) -> Any:
        return backtest(story.settings, reader, a_rule, NOON - timedelta(hours=1), until)

    single = tried(rule())
    assert (single.fired, single.alerts[0].fired_at) == (5, NOON + timedelta(hours=1))
    assert single.alerts[0].about == {"agent": "support", "run_id": "r1"}
    assert tried(rule(agent="other")).fired == 0
    mean = tried(rule(kind="rate", below=0.6, recover=0.9, min_n=2, window="PT3H", every="PT1H"))
    assert mean.fired == 1 and mean.alerts[0].fired_at == NOON + timedelta(hours=1)
    quiet = tried(rule(kind="silence", window="PT1H", every="PT30M"))
    assert [one.resolved_at for one in quiet.alerts] == [None]
