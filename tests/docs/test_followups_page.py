"""The page on follow-ups and its examples, run as they stand."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

from tests.upshot_process import WholeStack
from upshot.testing import capture, followup

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "followups.md"
#: What the page's app defers is caught: nobody is there to take it.
CAUGHT = "from upshot.testing import capture\ncaught = capture(app)\ncaught.__enter__()\n"


def test_the_page(tmp_path: Path) -> None:
    first, *rest = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(rest) > 6
    script = tmp_path / "page.py"
    script.write_text("\n".join([first, CAUGHT, *rest, "caught.__exit__(None, None, None)\n"]))
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "UPSHOT_DATA_DIR": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def example() -> ModuleType:
    """The agent that opens pull requests."""
    path = ROOT / "examples" / "pull_request_agent.py"
    spec = importlib.util.spec_from_file_location("pull_request_agent", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its annotations are looked up by the module's name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_example_defers_and_tells(example: ModuleType) -> None:
    with capture(example.app) as sent:
        example.main()
    assert [deferral["data"]["number"] for deferral in sent.deferrals] == [1001, 1002, 1003]
    assert {outcome["type"] for outcome in sent.outcomes} == {
        "pr.approved",
        "pr.changes_requested",
        "pr.closed",
        "pr.reverted",
    }


def test_the_example_scores(example: ModuleType) -> None:
    pull_request = example.PullRequest(repository="acme/web", number=12)
    subject = pull_request.subject
    with followup(example.landed, pull_request) as f:
        f.advance(timedelta(hours=3))
        f.outcome("pr.approved", subject, {"by": "ann"})
        f.advance(timedelta(days=1))
        f.outcome("pr.closed", subject, {"merged": True})
        assert f.scores == {"hours_to_review": 3.0, "approved_at_once": True}
        f.advance(timedelta(days=7))
        assert f.scores["landed"] is True
        f.outcome("pr.reverted", subject, at=f.now - timedelta(days=1))
        assert f.revisions("landed") == [True, False]
    with followup(example.landed, pull_request) as f:
        f.advance(timedelta(days=3 + 14))
        assert f.scores == {"landed": False}


@pytest.mark.stack
def test_the_example_without_our_code(stack: WholeStack) -> None:
    orders = [uuid4().hex, uuid4().hex]
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "plain_kafka_agent.py"), *orders],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "KAFKA": stack.settings.kafka_url},
    )
    assert ran.returncode == 0, ran.stderr
    complained, content = (line.split()[1] for line in ran.stdout.splitlines())
    stack.eventually(
        f"SELECT name, value, agent FROM current_scores WHERE run_id = '{complained}' ORDER BY name",
        [
            {"name": "refunded", "value": 1, "agent": "refunds"},
            {"name": "satisfied", "value": 0, "agent": "refunds"},
        ],
    )
    stack.eventually(
        f"SELECT name, subject FROM pending WHERE run_id = '{content}'",
        [{"name": "satisfied", "subject": f"order:{orders[1]}"}],
    )
    stack.eventually(
        f"SELECT status, steps FROM (SELECT status FROM runs WHERE run_id = '{content}') AS r, "
        f"(SELECT count() AS steps FROM steps WHERE run_id = '{content}') AS s",
        [{"status": "completed", "steps": 1}],
    )
