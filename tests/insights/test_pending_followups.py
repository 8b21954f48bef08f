"""Follow-ups that are not done are pending, wherever pending is counted; sums are told beside means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.insights.conftest import Stored, at, settings_of, store
from tests.insights.test_named_queries import ask, chosen
from upshot.insights.named_queries import ALL_PENDING
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer

pytestmark = pytest.mark.stack

STATES = {"f0": "done", "f1": "waiting", "f2": "failed", "f3": "undeployed", "f4": None, "f5": "running"}


def events() -> list[tuple[str, dict[str, Any]]]:
    told: list[tuple[str, dict[str, Any]]] = []
    for number, (ident, status) in enumerate(STATES.items()):
        about = {"followup_id": ident, "run_id": f"r{number}", "scorer": "stays", "deferred_at": at(number)}
        agent = {} if ident == "f1" else {"agent": "pend"}
        told.append(("runs", {"run_id": f"r{number}", "agent": "pend", "attributes": {"language": "Go"}}))
        told.append(("deferrals", about | agent))
        if status == "waiting":
            waits = [{"subject": "t:2", "types": ["x"], "deadline": at(10**7)}]
            waits.append({"subject": "t:1", "types": ["x"], "deadline": at(10**6)})
            told.append(("followups", about | {"status": status, "changed_at": at(9), "waiting_for": waits}))
        elif status:
            told.append(("followups", about | {"status": status, "changed_at": at(9)}))
    told.append(("runs", {"run_id": "again", "origin": "replay"}))
    told.append(("deferrals", {"followup_id": "f9", "run_id": "again", "scorer": "stays"}))
    told.append(("scores", {"run_id": "r0", "name": "stays", "value": False, "reason": "outcome"}))
    for run, value in (("r0", 50), ("r1", -20.5)):
        told.append(("scores", {"run_id": run, "name": "revenue", "value": value, "agent": "pend"}))
    return told


@pytest.fixture(scope="session")
async def followups(clickhouse: ClickHouseServer) -> Reader:
    settings = settings_of(clickhouse, "upshot_insights_followups")
    stored = [
        Stored(settings.topic(topic), 0, number, 1_772_366_400_000, None, json.dumps(event).encode())
        for number, (topic, event) in enumerate(events())
    ]
    await store(settings, stored)
    return Reader(settings)


@pytest.mark.parametrize("question", ["scores-by-agent", "scores-by-attribute"])
def test_rates_count_them(followups: Reader, question: str) -> None:
    group = "agent" if question == "scores-by-agent" else "attribute"
    of = "pend" if group == "agent" else "Go"
    rows = ask(followups, question)
    assert chosen(rows, "name", group, "scored", "rate_percent", "mean", "total", "pending") == [
        ("revenue", of, 2, None, 14.75, 29.5, 0),
        ("stays", of, 1, 0, None, None, 5),
    ]


def test_the_next_deadline_comes_first(followups: Reader) -> None:
    rows = ask(followups, "pending-by-deadline")
    assert chosen(rows, "wait_id", "subject", "mode", "overdue")[0] == ("f1", "t:1", "followup", False)
    assert {row["wait_id"] for row in rows} == {"f1", "f2", "f3", "f4", "f5", "f9"}
    assert [row["deadline"] is None for row in rows] == [False, True, True, True, True, True]
    assert {row["agent"] for row in rows} == {"pend", ""}


def test_the_command_and_the_view_have_them_too(followups: Reader) -> None:
    found = followups.query(f"SELECT wait_id FROM ({ALL_PENDING}) WHERE subject = 't:1'").rows
    assert found == [["f1"]]
    states = followups.query("SELECT followup_id, status FROM pending_followups ORDER BY 1").rows
    assert states[:5] == [
        ["f1", "waiting"],
        ["f2", "failed"],
        ["f3", "undeployed"],
        ["f4", "deferred"],
        ["f5", "running"],
    ]
