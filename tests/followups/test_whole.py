"""The example from end to end: an agent defers, a worker that has the code runs it, the world answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upshot_process import WholeStack, begin

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.stack


@pytest.fixture
def worker(stack: WholeStack, tmp_path: Path) -> Iterator[None]:
    """A worker beside the stack's own that has the example's scorers."""
    app = ["--app", "pull_request_agent:app", "--data-dir", str(stack.data_dir)]
    environment = {"PYTHONPATH": str(EXAMPLES)}
    running = begin(tmp_path, "worker", "--role", "followups", *app, environment=environment)
    try:
        yield
    finally:
        code = running.interrupt()
    assert code == 0, running.metadata.read_text()


@pytest.mark.usefixtures("worker")
def test_the_example(stack: WholeStack, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "pull_request_agent.py")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "UPSHOT_DATA_DIR": str(stack.data_dir)},
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    stack.eventually(
        "SELECT subject, value, reason FROM current_scores WHERE name = 'landed' ORDER BY subject",
        [
            {"subject": "pr:acme/web#1002", "value": 0, "reason": "outcome"},
            {"subject": "pr:acme/web#1003", "value": 0, "reason": "outcome"},
        ],
    )
    stack.eventually(
        "SELECT value, count() AS runs FROM current_scores WHERE name = 'approved_at_once' GROUP BY value "
        "ORDER BY value",
        [{"value": 0, "runs": 1}, {"value": 1, "runs": 2}],
    )
