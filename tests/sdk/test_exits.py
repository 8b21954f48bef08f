"""How a process ends says how its runs end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.test_processes import PATIENCE, TO_A_FILE, run
from upshot import App
from upshot.testing import Captured


def taken(folder: Path) -> list[dict[str, Any]]:
    """What was told of runs."""
    events = map(json.loads, (folder / "taken.jsonl").read_text().splitlines())
    return [event for event in events if "agent" in event]


@pytest.mark.parametrize(
    ("ending", "status", "error"),
    [
        ("sys.exit(0)", "completed", None),
        ("sys.exit()", "completed", None),
        ("sys.exit(3)", "failed", "SystemExit: 3"),
        ("sys.exit('no room')", "failed", "SystemExit: no room"),
        ("raise KeyboardInterrupt", "cancelled", "KeyboardInterrupt"),
    ],
)
def test_a_process_that_exits_inside_a_run(
    tmp_path: Path, ending: str, status: str, error: str | None
) -> None:
    run(TO_A_FILE + f"with app.run('a'):\n    {ending}\n", tmp_path)
    [told] = [event for event in taken(tmp_path) if event.get("status") not in (None, "running")]
    assert (told["status"], told.get("error")) == (status, error)


def test_a_step_that_exits_well_is_well(app: App, sent: Captured) -> None:
    with pytest.raises(SystemExit), app.run("a") as around, around.step("s"):
        sys.exit(0)
    assert (sent.runs[0]["status"], sent.steps[0]["status"]) == ("completed", "ok")


def terminated(code: str, folder: Path) -> int:
    """Start a program, tell it to end once it says so, and give its exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", TO_A_FILE + code], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE)


SLEEPS = "print('ready', flush=True); import time; time.sleep(60)"


def test_a_process_that_is_told_to_end_ends_its_runs_as_cancelled(tmp_path: Path) -> None:
    code = f"with app.run('outer'):\n    with app.run('inner'):\n        {SLEEPS}\n"
    assert terminated(code, tmp_path) == -signal.SIGTERM
    ended = {event["agent"]: event for event in taken(tmp_path) if event.get("ended_at")}
    assert {name: event["status"] for name, event in ended.items()} == {
        "outer": "cancelled",
        "inner": "cancelled",
    }


def test_a_programs_own_handler_stays(tmp_path: Path) -> None:
    code = "signal_ = __import__('signal')\nsignal_.signal(signal_.SIGTERM, lambda *_: sys.exit(0))\n"
    assert terminated(f"{code}with app.run('a'):\n    {SLEEPS}\n", tmp_path) == 0
    [ended] = [event for event in taken(tmp_path) if event.get("ended_at")]
    assert ended["status"] == "completed"


def test_a_child_does_not_end_the_runs_of_its_parent(tmp_path: Path) -> None:
    code = """
import signal, time
with app.run('parent'):
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(begun, b"x")  # Python drops signals that come before a child has begun
        time.sleep(60)
        os._exit(1)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
"""
    run(TO_A_FILE + code, tmp_path)
    ended = [event["status"] for event in taken(tmp_path) if event.get("ended_at")]
    assert ended == ["completed"]
