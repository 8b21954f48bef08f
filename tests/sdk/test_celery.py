"""Celery as it is: the module's app is found or refused in words, and a chain of tasks is one run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TASKS = """
from celery import Celery
from upshot import App

app = App("refunds")
celery_app = Celery("tasks", broker="memory://", backend="cache+memory://", set_as_current=False)


@celery_app.task
def draft(ticket):
    with app.run("refunds", run_id=f"refund-{ticket}") as run:
        run.step("draft", len, ticket)
        run.leave_open()
        return run.carrier


@celery_app.task
def send(carrier):
    with app.attach(carrier, ends=True) as run:
        run.step("send", len, "answer")
        run.score("approved", True)
"""
CHAIN = """
import json
from celery import chain
from celery.contrib.testing.worker import start_worker
from tasks import app, celery_app, draft, send
from upshot.testing import capture

with capture(app) as sent:
    with start_worker(celery_app, pool="solo", perform_ping_check=False):
        chain(draft.s("t-1"), send.s())().get(timeout=60)
    app.flush()
    print(json.dumps({
        "runs": [[run["run_id"], run["status"]] for run in sent.runs],
        "steps": [[step["run_id"], step["name"]] for step in sent.steps],
        "scores": [[score["run_id"], score["name"], score["value"]] for score in sent.scores],
    }))
"""


def celery(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `celery …` beside the module `tasks`."""
    (folder / "tasks.py").write_text(TASKS)
    command = [sys.executable, "-m", "celery", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_module_whose_app_is_ours_is_refused_in_words(tmp_path: Path) -> None:
    ran = celery(tmp_path, "-A", "tasks", "report")
    assert ran.returncode != 0
    assert "`celery -A tasks:celery_app worker`" in " ".join((ran.stdout + ran.stderr).split())


def test_celerys_own_app_is_found_by_its_name(tmp_path: Path) -> None:
    ran = celery(tmp_path, "-A", "tasks:celery_app", "report")
    assert ran.returncode == 0, ran.stderr
    assert "transport:memory" in ran.stdout


def test_a_chain_of_tasks_is_one_run(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    command = [sys.executable, "-c", CHAIN]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    sent = json.loads(ran.stdout.splitlines()[-1])
    assert sent["runs"][-1] == ["refund-t-1", "completed"]
    assert {run_id for run_id, _ in sent["runs"]} == {"refund-t-1"}
    assert sent["steps"] == [["refund-t-1", "draft"], ["refund-t-1", "send"]]
    assert sent["scores"] == [["refund-t-1", "approved", True]]
