"""The role `alerts` on a real broker: from a score to its alert, through a kill, and again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.processors.bench import Bench
from upshot.processors.alerts.handler import alerts_app

pytestmark = pytest.mark.stack

RULE = {
    "name": "low",
    "kind": "score",
    "score": "helpful",
    "below": 0.5,
    "notify": ["oncall"],
    "changed_at": "2026-05-01T00:00:00Z",
}


def score(number: int, value: float, **changed: Any) -> dict[str, Any]:
    event = {"score_id": f"s{number}", "run_id": f"r{number}", "name": "helpful", "value": value}
    return event | {"reason": "outcome"} | changed


async def test_a_bad_score_fires_and_its_good_revision_resolves_across_restarts(bench: Bench) -> None:
    await bench.send("alert-rules", RULE)
    async with bench.worker(alerts_app):
        await bench.send("scores", score(1, 0.1))
        await bench.send("scores", score(2, 0.9))
        await bench.send("scores", b"{no json")
        old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
        await bench.send("scores", score(3, 0.2, occurred_at=old))
        first = await bench.read("alerts", lambda found: len(found) >= 2)
    async with bench.worker(alerts_app):
        await bench.send("scores", score(1, 0.9, revision=2))
        found = await bench.read("alerts", lambda found: len(found) >= 3)
    assert {(a["score_id"], a["state"], a.get("silent", "")) for a in first} == {
        ("s1", "firing", ""),
        ("s3", "firing", "older than max_age"),
    }
    assert [(a["score_id"], a["state"], a["revision"]) for a in found[2:]] == [("s1", "resolved", 2)]
    ids = {a["score_id"]: a["alert_id"] for a in first}
    assert found[2]["alert_id"] == ids["s1"] != ids["s3"]


async def test_a_rule_counts_from_its_record_on_and_a_mute_is_a_record(bench: Bench) -> None:
    async with bench.worker(alerts_app):
        await bench.send("alert-rules", RULE)
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        # The rule is followed beside the scores: until it has arrived, scores pass.
        fired: list[dict[str, Any]] = []
        for number in range(1, 100):
            await bench.send("scores", score(number, 0.1))
            await asyncio.sleep(0.1)
            if number % 5 == 0 and (fired := await _so_far(bench)):
                break
        assert fired and fired[0]["silent"] == ""
        await bench.send("alert-rules", RULE | {"muted_until": later, "version": 2})
        for number in range(100, 200):
            await bench.send("scores", score(number, 0.1))
            await asyncio.sleep(0.1)
            if number % 5 == 0 and (await _so_far(bench))[-1]["silent"] == "muted":
                return
    raise AssertionError("the mute never counted")


async def _so_far(bench: Bench) -> list[dict[str, Any]]:
    """The alerts so far, in the order of their detection."""
    started = asyncio.get_running_loop().time()
    found = await bench.read("alerts", lambda some: asyncio.get_running_loop().time() - started > 0.5)
    return sorted(found, key=lambda alert: str(alert["detected_at"]))
