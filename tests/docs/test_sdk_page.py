"""The page on the SDK and the example, run as they stand.

Against a broker, and what they sent is looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from tests.upshot_process import WholeStack

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sdk.md"

pytestmark = pytest.mark.stack


def blocks() -> list[str]:
    """The page's Python, top to bottom."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def run(stack: WholeStack, code: list[str], folder: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", *code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, "UPSHOT_DATA_DIR": str(stack.data_dir)},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_page(stack: WholeStack, tmp_path: Path) -> None:
    assert len(blocks()) > 8
    own = uuid4().hex
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks()).replace("web#12", f"web#{own}").replace('"support"', f'"s-{own}"'))
    run(stack, [str(script)], tmp_path)
    stack.eventually(
        f"SELECT name, value FROM current_scores WHERE subject = 'pr:acme/web#{own}'",
        [{"name": "merged", "value": 1}],
    )
    stack.eventually(
        f"SELECT count() AS runs FROM runs WHERE agent = 's-{own}' AND status = 'completed'",
        [{"runs": 7}],
    )
    stack.eventually(
        f"SELECT name, value FROM current_scores WHERE name = 'helpful' AND agent = 's-{own}'",
        [{"name": "helpful", "value": 0.8}],
    )


def test_the_readme(stack: WholeStack, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text().split("\n## From an agent in Python\n")[1].split("\n## ")[0]
    [code] = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    own = uuid4().hex
    run(stack, ["-c", code.replace('"ticket:{', f'"{own}:{{')], tmp_path)
    stack.eventually(
        f"SELECT name, agent FROM pending WHERE subject = '{own}:7'",
        [{"name": "stays_closed", "agent": "answer"}],
    )


def test_the_example(stack: WholeStack, tmp_path: Path) -> None:
    said = run(stack, [str(ROOT / "examples" / "support_agent.py")], tmp_path)
    assert said.splitlines()[0] == "1 Hello! Refunds take five days."
    stack.eventually(
        "SELECT subject, value FROM current_scores WHERE agent = 'support' AND name = 'stays_closed'",
        [{"subject": "ticket:3", "value": 0}],
    )
    stack.eventually(
        "SELECT subject FROM pending WHERE agent = 'support' ORDER BY subject",
        [{"subject": "ticket:1"}, {"subject": "ticket:2"}],
    )
    stack.eventually(
        "SELECT attributes['topic'] AS topic, value FROM current_scores "
        "WHERE agent = 'support' AND name = 'found_articles' ORDER BY run_started_at",
        [
            {"topic": "refund", "value": 1},
            {"topic": "other", "value": 1},
            {"topic": "other", "value": 0},
        ],
    )
    stack.eventually(
        "SELECT name, kind, model, input_tokens, cost_usd, cost_source FROM steps "
        "WHERE run_id IN (SELECT run_id FROM runs WHERE agent = 'support') AND kind = 'model' LIMIT 1",
        [
            {
                "name": "draft",
                "kind": "model",
                "model": "house/template-1",
                "input_tokens": 120,
                "cost_usd": 0,
                "cost_source": "given",
            }
        ],
    )


def test_the_example_of_an_experiment(stack: WholeStack, tmp_path: Path) -> None:
    lines = run(stack, [str(ROOT / "examples" / "reply_tone.py")], tmp_path).splitlines()
    tones = [line.partition(":")[0] for line in lines]
    assert len(lines) == 6 and set(tones) <= {"plain", "warm"}
    assert tones[:2] == tones[4:], "a user changes the tone"
    mine = "run_id IN (SELECT run_id FROM runs WHERE agent = 'answer' AND version = '2.0')"
    stack.eventually(
        f"SELECT uniqExact(run_id) AS runs, uniqExact(unit) AS users FROM exposures WHERE {mine}",
        [{"runs": 6, "users": 4}],
    )
    stack.eventually(
        "SELECT value, exposures[1].variant AS variant FROM current_scores WHERE name = 'stays_solved' "
        "AND subject = 'ticket:3'",
        [{"value": 0, "variant": tones[2]}],
    )
