"""`upshot alerts` as a user calls it, and the role through kills, in a whole stack."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.upshot_process import ANSWER, WholeStack
from upshot.alerts.files import parse_rules
from upshot.alerts.scored import alert_id
from upshot.cli import alert_registry
from upshot.insights.reader import Reader

pytestmark = pytest.mark.stack

FILE = Path(__file__).parents[2] / "examples" / "alerts" / "rules.yaml"
OWN = uuid4().hex[:8]
SCORE, LOW = f"helpful_{OWN}", f"low {OWN}"
RULE = f"rules: [{{name: {LOW}, kind: score, score: {SCORE}, below: 0.3, notify: oncall}}]"


def score(number: int, value: float, **changed: Any) -> str:
    event = {"score_id": f"{OWN}-{number}", "run_id": f"{OWN}-{number}", "name": SCORE, "value": value}
    return json.dumps(event | {"reason": "outcome", "attributes": {"alr_plan": "paying"}} | changed)


def emit(stack: WholeStack, *lines: str) -> None:
    done = stack.upshot("emit", "scores", text="\n".join(lines))
    assert done.returncode == 0, done.stderr


def workers(data_dir: Path) -> list[int]:
    """The processes of the role `alerts` in this stack."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            environment = (folder / "environ").read_bytes().decode()
        except OSError:
            continue
        if (
            words[1:2] == ["-P"]
            and words[-3:-1] == ["--role", "alerts"]
            and f"UPSHOT_DATA_DIR={data_dir}\0" in environment
        ):
            found.append(int(folder.name))
    return found


def test_a_rule_about_a_score_that_nobody_sent_is_refused(stack: WholeStack, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(FILE.read_text().replace("stayed_closed", "never_sent"))
    refused = stack.upshot("alerts", "apply", str(rules))
    assert refused.returncode == 2 and "no score or wait is named 'never_sent'" in refused.stderr


def test_a_rule_that_would_fire_too_often_is_refused_with_its_count(
    stack: WholeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = f"often_{OWN}"
    emit(stack, *(score(number, 0.1, score_id=f"{often}-{number}", name=often) for number in range(4)))
    stack.eventually(f"SELECT count() AS n FROM scores WHERE name = '{often}'", [{"n": 4}])
    monkeypatch.setattr(alert_registry, "MOST", 3)
    now = datetime.now(UTC)
    [rule] = parse_rules(f"[{{name: {often}, kind: score, score: {often}, below: 0.3}}]", "rules.yaml", now)
    [sentence] = alert_registry.check_rules(stack.settings, Reader(stack.settings), [rule], now)
    assert "would have fired 4 times in the last 7 days: narrow it" in sentence
    [narrow] = parse_rules(f"[{{name: {often}, kind: score, score: {often}, below: 0.1}}]", "rules.yaml", now)
    assert not alert_registry.check_rules(stack.settings, Reader(stack.settings), [narrow], now)


def test_rules_from_a_file_through_kills_to_alerts(stack: WholeStack, tmp_path: Path) -> None:
    emit(stack, *(score(number, 0.1) for number in range(5)), score(5, 0.9))
    stack.eventually(f"SELECT count() AS n FROM scores WHERE name = '{SCORE}'", [{"n": 6}])
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULE)
    tried = json.loads(stack.upshot("alerts", "backtest", str(rules), "--json").stdout)
    assert (tried[0]["fired"], len(tried[0]["alerts"])) == (5, 5)
    for text, sentence in (
        (RULE.replace(SCORE, f"{SCORE}l"), f"did you mean '{SCORE}'?"),
        (RULE.replace("notify", "where: {alr_plam: x}, notify"), "did you mean 'alr_plan'?"),
        (RULE.replace("below", "bellow"), "did you mean `below`?"),
    ):
        rules.write_text(text)
        done = stack.upshot("alerts", "apply", str(rules))
        assert done.returncode == 2 and sentence in done.stderr, done.stderr
    rules.write_text(RULE)
    applied = stack.upshot("alerts", "apply", str(rules))
    assert "version 1" in applied.stdout
    assert "the receiver oncall isn't set up here: its notices fail" in applied.stderr
    assert "0 rules written, 1 unchanged" in stack.upshot("alerts", "apply", str(rules)).stdout
    _through_kills(stack)
    assert "below 0.3" in stack.upshot("alerts", "list").stdout
    shown = stack.upshot("alerts", "show", LOW)
    assert f"{SCORE} is 0.2" in shown.stdout, shown.stderr
    assert "is muted until" in stack.upshot("alerts", "mute", LOW, "--for", "1h").stdout
    assert "muted until" in stack.upshot("alerts", "list").stdout
    assert "is not muted" in stack.upshot("alerts", "mute", LOW, "--off").stdout
    assert "resolved: alert" in stack.upshot("alerts", "test", LOW).stdout
    assert stack.upshot("alerts", "show", "nobody's").returncode == 2
    # The stack is shared, and its doctor complains of rules whose receiver nobody has set up.
    rules.write_text(RULE.replace(", notify: oncall", ""))
    assert "version" in stack.upshot("alerts", "apply", str(rules)).stdout


def _through_kills(stack: WholeStack) -> None:
    """Bad scores while the worker is killed: each has one alert, under its own id."""
    expected = []
    for part in range(3):
        numbers = range(100 + 20 * part, 120 + 20 * part)
        emit(stack, *(score(number, 0.2) for number in numbers))
        expected += [alert_id("upshot.", LOW, f"{OWN}-{number}") for number in numbers]
        [killed] = _running(stack)
        os.kill(killed, signal.SIGKILL)
        _running(stack, other_than=killed)
    emit(stack, score(100, 0.9, revision=2))
    found = "SELECT count() AS n, uniqExact(alert_id) AS ids, countIf(state = 'resolved') AS ended"
    stack.eventually(f"{found} FROM alert_states WHERE name = '{LOW}'", [{"n": 60, "ids": 60, "ended": 1}])
    rows = stack.query(f"SELECT alert_id FROM alert_states WHERE name = '{LOW}'")
    assert sorted(row["alert_id"] for row in rows) == sorted(expected)


def _running(stack: WholeStack, other_than: int = 0) -> list[int]:
    """The worker, once there is one, started after the killed one."""
    deadline = time.monotonic() + ANSWER
    while not (found := [pid for pid in workers(stack.data_dir) if pid != other_than]):
        assert time.monotonic() < deadline, "no worker of the role alerts"
        time.sleep(0.1)
    return found
