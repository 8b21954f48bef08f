"""Scores, waits and outcomes exactly as they are sent, and read by the very decoding that the workers use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from upshot import App
from upshot.errors import Misuse
from upshot.schemas.runs import Run
from upshot.schemas.steps import Step
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.records import decode, decode_outcome, decode_score, decode_wait
from upshot.testing import Captured, FakeClock, capture

NOON = "2026-01-01T12:00:00Z"


class Record(NamedTuple):
    """A message as a worker gets it."""

    topic: str
    value: bytes
    timestamp: int
    key: bytes
    partition: int = 0
    offset: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def read(message: OutgoingEvent, clock: FakeClock) -> Any:
    record = Record(message.topic, message.value, clock() // 1_000_000, message.key.encode())
    special: Any = {"waits": decode_wait, "scores": decode_score, "outcomes": decode_outcome}
    if message.topic in special:
        return special[message.topic](record)
    models: Any = {"runs": Run, "steps": Step}
    return decode(models[message.topic], record)


def test_a_wait(app: App, sent: Captured, clock: FakeClock) -> None:
    with app.run("helper") as run:
        clock.advance(timedelta(minutes=5))
        identity = run.wait(
            "merged",
            "pr:acme/web#12",
            on={"pr.closed": "data.merged", "pr.reverted": {"score": False, "when": "data.final"}},
            within=timedelta(days=14, hours=12),
            otherwise=False,
            attributes={"size": "S"},
        )
    assert sent.waits == [
        {
            "wait_id": identity,
            "run_id": run.id,
            "name": "merged",
            "subject": "pr:acme/web#12",
            "opened_at": "2026-01-01T12:05:00Z",
            "since": NOON,
            "rule": {
                "on": {
                    "pr.closed": {"score": "data.merged"},
                    "pr.reverted": {"score": False, "when": "data.final"},
                },
                "within": "P14DT12H",
                "else": False,
                "mode": "first",
            },
            "agent": "helper",
            "attributes": {"size": "S"},
        }
    ]


def test_waits_of_other_modes(app: App, sent: Captured) -> None:
    with app.run("helper") as run:
        first = run.wait("replies", "t:1", on=["ticket.replied"], within="P7D", mode="count")
        run.wait("revenue", "o:1", on={"order.paid": "data.amount"}, within="P7D", mode="sum", otherwise=0)
        assert run.wait("replies", "t:1", on=["ticket.replied"], within="P7D", mode="count") == first
        assert run.wait("replies", "t:1", on=["x"], within="P7D", mode="count", wait_id="again") == "again"
    assert [wait["rule"]["mode"] for wait in sent.waits] == ["count", "sum", "count", "count"]
    assert sent.waits[0]["rule"] == {"on": {"ticket.replied": {}}, "within": "P7D", "mode": "count"}
    assert sent.waits[1]["rule"]["else"] == 0


def test_scores_from_each_place(app: App, sent: Captured, clock: FakeClock) -> None:
    with app.run("helper") as run, run.step("draft") as step:
        run.score("polite", True, comment="says please", source="judge", key="1")
        step.score("length", 7)
    app.score("r9", "helpful", 0.8, step_id="s1", comment="thanks", source="customer", key="k")
    assert sent.scores == [
        {
            "run_id": run.id,
            "name": "polite",
            "value": True,
            "key": "1",
            "decided_at": NOON,
            "agent": "helper",
            "source": "judge",
            "comment": "says please",
        },
        {
            "run_id": run.id,
            "step_id": step.id,
            "name": "length",
            "value": 7.0,
            "decided_at": NOON,
            "agent": "helper",
            "source": "support",
        },
        {
            "run_id": "r9",
            "step_id": "s1",
            "name": "helpful",
            "value": 0.8,
            "key": "k",
            "decided_at": NOON,
            "source": "customer",
            "comment": "thanks",
        },
    ]


def test_outcomes(app: App, sent: Captured) -> None:
    one = app.outcome("pr.closed", "pr:1", {"merged": True})
    two = app.outcome("pr.closed", "pr:1")
    then = datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert app.outcome("pr.closed", "pr:1", id="d-1", source="github", time=then) == "d-1"
    assert one != two
    assert sent.outcomes == [
        {
            "specversion": "1.0",
            "type": "pr.closed",
            "subject": "pr:1",
            "id": one,
            "source": "support",
            "time": NOON,
            "data": {"merged": True},
        },
        {
            "specversion": "1.0",
            "type": "pr.closed",
            "subject": "pr:1",
            "id": two,
            "source": "support",
            "time": NOON,
        },
        {
            "specversion": "1.0",
            "type": "pr.closed",
            "subject": "pr:1",
            "id": "d-1",
            "source": "github",
            "time": "2025-12-31T23:00:00Z",
        },
    ]


def test_workers_read_all_of_it(app: App, sent: Captured, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="no"), app.run("helper", session_id="c") as run:
        run.wait("merged", "pr:1", on={"a": True}, within="P1D", otherwise=False)
        run.score("polite", True)
        with run.step("draft", kind="model", attributes={"a": [1, {"b": None}]}) as step:
            step.usage(model="gpt-4o-mini", input_tokens=5, output_tokens=5)
        app.outcome("a", "pr:1", {"deep": [{"x": 1.5}]})
        raise ValueError("no")
    assert app.flush()
    read_all = [(message.topic, read(message, clock)) for message in sent.transport.messages]
    assert {topic for topic, _ in read_all} == {"runs", "steps", "scores", "waits", "outcomes"}
    [wait] = [event for topic, event in read_all if topic == "waits"]
    assert (wait.rule.within, wait.since) == (timedelta(days=1), datetime(2026, 1, 1, 12, tzinfo=UTC))
    keys = {message.topic: message.key for message in sent.transport.messages}
    assert (keys["waits"], keys["outcomes"], keys["scores"]) == ("pr:1", "pr:1", run.id)


def test_a_wait_is_cancelled_by_what_run_wait_gave_or_by_its_id_and_subject(app: App) -> None:
    with capture(app) as sent:
        with app.run("support") as run:
            wait = run.wait("merged", "pr:1", on={"pr.closed": "data.merged"}, within="P1D")
            run.cancel_wait(wait)
            with pytest.raises(Misuse, match="subject="):
                run.cancel_wait("w1")
        app.cancel_wait("w2", subject="pr:2")
        opened, first, second = sent.waits
    assert (first["wait_id"], first["subject"]) == (opened["wait_id"], "pr:1")
    assert (second["wait_id"], second["subject"]) == ("w2", "pr:2")
    assert first["cancelled_at"] >= opened["opened_at"]
