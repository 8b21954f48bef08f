"""Files of rules: what is read, and the sentence about each fault."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import upshot
from upshot.alerts.files import merged, parse_rules
from upshot.alerts.mutes import with_mute
from upshot.errors import ConfigurationError, Misuse
from upshot.insights.alerts.checks import impossible
from upshot.ops.doctor.alert_rules import alert_rules
from upshot.schemas.alert_rules import AlertRule
from upshot.settings import Settings

NOW = datetime(2026, 5, 6, tzinfo=UTC)
GOOD = "{name: a, kind: score, score: helpful, below: 0.3"


def parsed(text: str) -> list[AlertRule]:
    return parse_rules(text, "rules.yaml", NOW)


def test_lengths_attributes_and_single_receivers_may_be_short() -> None:
    [rule] = parsed(f"rules: [{GOOD}, digest: 10m, where: {{paying: true, seats: 3}}, notify: oncall}}]")
    assert rule.digest == timedelta(minutes=10)
    assert rule.where == {"paying": "true", "seats": "3"}
    assert (rule.notify, rule.changed_at, rule.changed_by) == (["oncall"], NOW, "rules.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no rules: write `rules:`"),
        ("rules: []", "has no rules"),
        ("rules: {a: 1}", "has no rules"),
        ("rules: [1]", "rule 1: is no mapping of fields"),
        ("rules:\n\t- x", "line 2: is no YAML"),
        ("rules: [!!python/object:os.system {}]", "is no YAML"),
        ("[{kind: score, score: a, below: 1}]", "`name` is missing: write `name: low helpfulness`"),
        ("[{name: a, score: a, below: 1}]", "rule 'a': `kind` is missing: write `kind: score`"),
        ("[{name: a, kind: scores, score: a, below: 1}]", "`kind` must be 'score', 'rate'"),
        ("[{name: a, kind: score, score: a}]", "no line: write one of `below`, `above` or `equals`"),
        ("[{name: a, kind: score, score: a, below: 1, above: 2}]", "both `below` and `above`"),
        ("[{name: a, kind: score, below: 1}]", "names no score: write `score: NAME`"),
        (f"[{GOOD}, treshold: 1}}]", "`treshold` is no field of a rule"),
        (f"[{GOOD}, severty: page}}]", "did you mean `severity`?"),
        (f"[{GOOD}, window: 5m}}]", "`window` has no effect on a rule of kind score"),
        (f"[{GOOD}, digest: soon}}]", "`digest` must be a length of time such as 5m"),
        (f"[{GOOD}, digest: 600}}]", "`digest` must be a length of time such as 5m"),
        ("[{name: a, kind: score, score: helpful, below: .nan}]", "`below` must be finite"),
        ("[{name: a, kind: score, score: helpful, below: 1.0e+999}]", "`below` must be finite"),
        ("[{name: a, kind: silence, score: a, window: 9999999999d}]", "`window` must be a length of time"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nrules: *b", "rule 1: is no mapping of fields"),
        ("rules: &r [*r]", "rule 1: is no mapping of fields"),
        (f"[{GOOD}, message: '{{value.real}}'}}]", "`message` names {value.real}, which no alert has"),
        (f"[{GOOD}, cap: 0}}]", "`cap` must be at least 1"),
        (f"[{GOOD}, message: 'see {{plan}}'}}]", "`message` names {plan}, which no alert has"),
        (f"[{GOOD}, version: 3}}]", "`version` is no field"),
        (f"[{GOOD}}}, {GOOD}}}]", "has two rules named 'a'"),
        ("[{name: a, kind: rate, score: a, drop: 0.1}]", "needs `drop` and `versus` together"),
        ("[{name: a, kind: rate, score: a, below: 0.5, recover: 0.4}]", "`recover` lies under `below`"),
        ("[{name: a, kind: rate, score: a, below: 0.5, every: 1s}]", "`every` must be from PT10S to P1D"),
        ("[{name: a, kind: silence, score: a}]", "says not for how long: write `window: PT30M`"),
        ("[{name: a, name: b, kind: score, score: a, below: 1}]", "`name` is stated twice"),
        ("[" * 3000 + "]" * 3000, "is nested too deeply for rules"),
        ("[{name: a, kind: score, score: a, below: true}]", "must be a number, not true"),
        ("[{name: a, kind: score, score: a, below: 1, where: {plan: }}]", "`where.plan` must be a text"),
        ("[{name: a, kind: score, score: a, below: 1, where: {plan: [1]}}]", "`where.plan` must be a text"),
        ("[{name: a, kind: rate, score: a, below: 1, by: [agent, agent]}]", "`by` names 'agent' twice"),
        (
            "[{name: a, kind: rate, score: a, below: 1, window: 1m}]",
            "`every` (5 min) is longer than `window`",
        ),
    ],
)
def test_a_wrong_rule_is_refused_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)) as refused:
        parsed(text)
    assert "nothing was changed" in str(refused.value) and "rules.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("line", "kind", "possible"),
    [
        ({"below": 0}, "boolean", False),
        ({"above": 1}, "boolean", False),
        ({"equals": 3}, "boolean", False),
        ({"equals": False}, "boolean", True),
        ({"below": 0.5}, "boolean", True),
        ({"below": 0}, "number", True),
    ],
)
def test_a_line_that_no_boolean_can_cross(line: dict[str, Any], kind: str, possible: bool) -> None:
    stated = {"name": "a", "kind": "score", "score": "s", "changed_at": NOW.isoformat()}
    assert (impossible(AlertRule.model_validate(stated | line), kind) == "") == possible


def test_a_rule_written_again_is_no_change_and_a_changed_one_is_still_muted() -> None:
    [rule] = parsed(f"[{GOOD}}}]")
    muted = rule.model_copy(update={"muted_until": NOW, "version": 4})
    assert merged(rule, muted) is None
    [other] = parsed("[{name: a, kind: score, score: helpful, below: 0.2}]")
    changed = merged(other, muted)
    assert changed is not None and (changed.version, changed.muted_until) == (5, NOW)
    assert merged(other, None) == other


def test_a_change_begins_a_silence_anew_only_where_the_rule_judges_otherwise() -> None:
    [rule] = parsed("[{name: a, kind: silence, score: s, window: 1h}]")
    since = NOW - timedelta(days=1)
    present = rule.model_copy(update={"changed_at": since})
    for beside in ("notify: oncall", "cooldown: 1h", "digest: 5m", "message: quiet", "severity: page"):
        [edited] = parsed(f"[{{name: a, kind: silence, score: s, window: 1h, {beside}}}]")
        changed = merged(edited, with_mute(present, timedelta(hours=1), "mended", "me", NOW))
        assert changed is not None and (changed.begins_at, changed.changed_at) == (since, NOW)
    for other in ("window: 2h", "window: 1h, by: agent", "window: 1h, agent: x", "window: 1h, every: 1m"):
        [edited] = parsed(f"[{{name: a, kind: silence, score: s, {other}}}]")
        changed = merged(edited, present)
        assert changed is not None and changed.begins_at == NOW
    [off] = parsed("[{name: a, kind: silence, score: s, window: 1h, enabled: false}]")
    stopped = merged(off, present)
    assert stopped is not None
    on = merged(rule.model_copy(update={"changed_at": NOW + timedelta(days=1)}), stopped)
    assert on is not None and on.begins_at == NOW + timedelta(days=1)


def test_rules_in_code_are_those_of_files(tmp_path: Path) -> None:
    app = upshot.App("support", settings=Settings(data_dir=tmp_path))
    rule = app.alert("a", score="helpful", below=0.3, digest=timedelta(minutes=10), notify="oncall")
    [same] = parsed(f"[{GOOD}, digest: 10m, notify: oncall}}]")
    assert rule.model_copy(update={"changed_at": NOW, "changed_by": "rules.yaml"}) == same
    assert app.alert_rules == {"a": rule}
    for fields in ({"score": "s", "below": 1, "above": 2}, {"score": "s", "belw": 1}, {"score": "s"}):
        with pytest.raises(Misuse):
            app.alert("b", **fields)
    with pytest.raises(Misuse, match="declared twice"):
        app.alert("a", score="helpful", below=0.3)


def test_the_doctor_names_rules_that_cannot_fire() -> None:
    assert alert_rules(0, []).state == alert_rules(3, []).state == "fine"
    found = alert_rules(9, [f"rule {number}: no score is named x" for number in range(7)])
    assert found.state == "notice" and "rule 4" in found.found and "and 2 more" in found.found


@pytest.mark.parametrize("kind", ["score", "rate", "silence", "pending_for", "expired", "guardrail"])
def test_a_rule_written_with_all_its_defaults_is_read_again(kind: str) -> None:
    line = {"score": ", score: a, below: 1", "rate": ", score: a, below: 1", "expired": "", "guardrail": ""}
    [rule] = parsed(f"[{{name: a, kind: {kind}{line.get(kind, ', score: a, window: 1h')}}}]")
    assert AlertRule.model_validate_json(rule.model_dump_json()) == rule
    assert AlertRule.model_validate_json(rule.model_dump_json(exclude_none=True)) == rule
