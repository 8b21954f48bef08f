"""`upshot up --app` with an app that has scorers: they are run, seen and mended on a whole stack."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.upshot_process import WholeStack, start, whole_stack

pytestmark = pytest.mark.stack

APP = """
from datetime import timedelta
from pathlib import Path

import upshot
from pydantic import BaseModel


class Ticket(BaseModel):
    ticket_id: int


app = upshot.App("support")


@app.scorer
async def stayed_closed(ctx: upshot.Followup[Ticket]) -> bool:
    reopened = await ctx.wait_for_event(
        "ticket.reopened", subject=f"ticket:{ctx.data.ticket_id}", timeout=timedelta(days=7)
    )
    return reopened is None


@app.scorer(attempts=1)
async def quality(ctx: upshot.Followup[str]) -> float:
    return float(Path(ctx.data).read_text())
"""


def emit(stack: WholeStack, topic: str, **event: object) -> None:
    done = stack.upshot("emit", topic, text=json.dumps(event))
    assert done.returncode == 0, done.stderr


async def test_scorers_of_an_app_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"support_{uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    running = start(tmp_path / "data", "up", "--app", f"{module}:app")
    mended = tmp_path / "quality.txt"
    try:
        stack = whole_stack(running)
        emit(stack, "runs", run_id="r1", agent="support")
        emit(stack, "deferrals", run_id="r1", scorer="stayed_closed", data={"ticket_id": 7})
        emit(stack, "deferrals", run_id="r1", scorer="quality", data=str(mended))
        emit(stack, "deferrals", run_id="r1", scorer="stayed_closed", version="2", data={"ticket_id": 7})
        stack.eventually(
            "SELECT scorer, version, status FROM current_followups ORDER BY scorer, version",
            [
                {"scorer": "quality", "version": "1", "status": "failed"},
                {"scorer": "stayed_closed", "version": "1", "status": "waiting"},
                {"scorer": "stayed_closed", "version": "2", "status": "undeployed"},
            ],
        )
        listed = stack.upshot("followups", "--json")
        assert listed.returncode == 0, listed.stderr
        by_status = {one["status"]: one for one in json.loads(listed.stdout)}
        assert "FileNotFoundError" in by_status["failed"]["error"]
        assert by_status["waiting"]["waiting_for"][0]["subject"] == "ticket:7"
        assert stack.query("SELECT count() AS n FROM dead_letters WHERE reason = 'followup_failed'") == [
            {"n": 1}
        ]
        assert stack.query("SELECT count() AS n FROM pending") == [{"n": 0}]
        shown = stack.upshot("followups", "--status", "waiting")
        assert "ticket.reopened of ticket:7 until" in shown.stdout
        examined = stack.upshot("doctor", "--json")
        findings = {one["check"]: one for one in json.loads(examined.stdout)["checks"]}
        assert findings["follow-ups"]["state"] == "wrong"
        assert "stayed_closed version 2 (1); failed: quality version 1 (1)" in findings["follow-ups"]["found"]
        assert findings["executions"]["state"] == findings["pace followups"]["state"] == "fine"

        emit(stack, "outcomes", type="ticket.reopened", subject="ticket:7")
        mended.write_text("0.5")
        retried = stack.upshot("followups", "retry", "--all-failed")
        assert (retried.returncode, retried.stdout.split()[0]) == (0, "1"), retried.stderr
        stack.eventually(
            "SELECT name, value, reason, agent, source FROM current_scores "
            "JOIN scores USING (score_id) ORDER BY name",
            [
                {
                    "name": name,
                    "value": value,
                    "reason": reason,
                    "agent": "support",
                    "source": name,
                }
                for name, value, reason in (("quality", 0.5, "followup"), ("stayed_closed", 0, "outcome"))
            ],
        )
        nothing = stack.upshot("followups", "retry")
        assert (nothing.returncode, "say which" in nothing.stderr) == (2, True)
    finally:
        code = running.interrupt()
    said = running.metadata.read_text()
    assert code == 0, said
    assert "followups: ready" in said
