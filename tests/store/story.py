"""Events that the tests of the store tell."""

from __future__ import annotations

from typing import Any

from tests.store.conftest import NOON, Written, record

RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
LATER = 4_000_000_000_000
AWAITED = {"subject": "t:1", "types": ["ticket.reopened"], "deadline": "2026-02-01T00:00:00Z"}
INSTANT = "2026-01-0{}T00:00:00Z"


def decided(revision: int, value: bool | float | None, **changed: Any) -> Written:
    """A revision as the join writes it."""
    event = {
        "score_id": "score-1",
        "run_id": "r1",
        "name": "merged",
        "value": value,
        "revision": revision,
        "reason": "outcome",
        "subject": "pr:1",
        "wait_id": "w1",
        "decided_at": INSTANT.format(revision),
    }
    return record("scores", event | changed, offset=revision)


def wait(wait_id: str = "w1", **changed: Any) -> Written:
    event = {"wait_id": wait_id, "run_id": "r1", "name": "merged", "subject": "pr:1", "rule": RULE}
    # Written long after all that it may say: nothing in it lies in the future.
    return record("waits", event | changed, timestamp=LATER)


def registered(number: int, weights: dict[str, float], **changed: Any) -> Written:
    """A record of the registry, opening a phase."""
    phases = [{"phase": str(number), "started_at": INSTANT.format(number), "weights": weights}]
    event = {"experiment": "e", "phase": str(number), "variants": weights, "phases": phases}
    event["changed_at"] = INSTANT.format(number)
    return record("experiments", event | changed, offset=number, timestamp=NOON + number)


def story() -> list[Written]:
    """A log with everything in it that could depend on an order."""
    run: dict[str, Any] = {"run_id": "r1"}
    outcome = {"type": "pr.closed", "subject": "pr:1", "id": "o1", "source": "github"}
    given: dict[str, Any] = {"run_id": "r1", "name": "helpful", "decided_at": INSTANT.format(1)}
    step: dict[str, Any] = {"run_id": "r1", "step_id": "s1", "name": "draft"}
    exposure: dict[str, Any] = {"run_id": "r1", "experiment": "e"}
    followup: dict[str, Any] = {"followup_id": "f1", "run_id": "r1", "scorer": "stayed_closed"}
    stands = followup | {"status": "waiting", "deferred_at": INSTANT.format(1), "waiting_for": [AWAITED]}
    records = [
        record(
            "runs",
            run
            | {
                "agent": "z",
                "status": "running",
                "started_at": INSTANT.format(1),
                "attributes": {"a": 1, "b": 1},
            },
        ),
        record(
            "runs", run | {"status": "completed", "ended_at": INSTANT.format(3), "attributes": {"a": "later"}}
        ),
        record(
            "runs", run | {"agent": "a", "occurred_at": INSTANT.format(2), "attributes": {"b": 2, "a": "no"}}
        ),
        record("runs", run | {"status": "running", "occurred_at": INSTANT.format(5), "origin": "replay"}),
        record("runs", run | {"status": "failed", "occurred_at": INSTANT.format(3)}),
        record("runs", run | {"version": "1", "occurred_at": INSTANT.format(4)}),
        record("runs", run | {"version": "2", "occurred_at": INSTANT.format(4)}),
        record("steps", step | {"status": "running", "started_at": INSTANT.format(9)}),
        record("steps", step | {"ended_at": INSTANT.format(2), "output_tokens": 1}),
        record("steps", step | {"ended_at": INSTANT.format(2), "output_tokens": 2}),
        record("steps", step | {"attempt": 2}),
        record("outcomes", outcome | {"time": INSTANT.format(2)}),
        record("outcomes", outcome | {"time": INSTANT.format(1), "data": {"x": 1}}, offset=1),
        record("outcomes", outcome | {"time": INSTANT.format(1), "data": {"x": 2}}, offset=2),
        record("exposures", exposure | {"variant": "b", "exposed_at": INSTANT.format(2)}),
        record("exposures", exposure | {"variant": "a", "exposed_at": INSTANT.format(1)}),
        record("exposures", exposure | {"variant": "a", "probability": 0.5, "weights_from": "code"}),
        registered(1, {"a": 1, "b": 1}),
        registered(2, {"a": 1, "b": 9}, status="stopped"),
        wait(opened_at=INSTANT.format(2)),
        wait(opened_at=INSTANT.format(1), rule=RULE | {"else": True}),
        wait(opened_at=INSTANT.format(1), rule=RULE | {"within": "P2D"}),
        wait("w2"),
        decided(1, False, reason="deadline"),
        decided(2, True, late=True),
        decided(2, True, late=True, decided_at=INSTANT.format(4)),
        record("scores", given | {"value": 0.5}),
        record("scores", given | {"value": 0.7}),
        record("scores", given | {"value": 0.9, "decided_at": INSTANT.format(2)}),
        record("scores", given | {"value": 1.0, "name": "unknown", "run_id": "r2"}),
        wait("w3", reply_to="f1"),
        record("deferrals", followup | {"deferred_at": INSTANT.format(2), "data": {"x": 2}}),
        record("deferrals", followup | {"deferred_at": INSTANT.format(1), "data": {"x": 1}}),
        record("followups", stands | {"status": "running", "changed_at": INSTANT.format(1)}),
        record("followups", stands | {"changed_at": INSTANT.format(3), "revision": 3}),
        record("followups", stands | {"changed_at": INSTANT.format(2), "revision": 2, "error": "no"}),
        record(
            "alerts",
            {
                "alert_id": "a",
                "name": "n",
                "run_id": "r1",
                "score_id": "s",
                "value": 0.1,
                "raised_at": INSTANT.format(2),
            },
        ),
        record(
            "alerts",
            {
                "alert_id": "a",
                "name": "n",
                "run_id": "r1",
                "score_id": "s",
                "value": 0.1,
                "raised_at": INSTANT.format(1),
            },
        ),
        record("dead-letters", b"\xff\0 not json", offset=3),
    ]
    return [
        record(written.topic.removeprefix("upshot."), written.value, offset=n, timestamp=NOON + n)
        for n, written in enumerate(records)
    ]
