"""Windows, silences and open waits judged by the role, beside the join and the store, through a restart."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.store.test_store_app import Bench, bench_of
from upshot.alerts.scored import alert_id
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.processors.alerts.handler import alerts_app
from upshot.processors.correlate.handler import join_app
from upshot.processors.store.app import store_app
from upshot.settings import Settings
from upshot.streams.runtime import BatchApp, Timing
from upshot.streams.runtime.runner import run

pytestmark = pytest.mark.stack

PATIENCE = 90.0


@asynccontextmanager
async def worker(make: Callable[..., BatchApp], settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run(make(settings, Timing(tick_interval=0.05, poll_timeout=0.05)), stop))
    try:
        yield
    finally:
        stop.set()
        assert await task == 0


async def until(bench: Bench, sql: str, enough: Callable[[list[Any]], bool]) -> list[Any]:
    deadline = time.monotonic() + PATIENCE
    while not enough(found := await asyncio.to_thread(bench.ask, sql)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)
    return found


async def test_windows_silence_and_open_waits_fire_and_resolve(
    kafka: KafkaServer, clickhouse: ClickHouseServer, empty: Settings
) -> None:
    async with AsyncExitStack() as running:
        bench = await running.enter_async_context(bench_of(kafka, clickhouse, empty.clickhouse.database))
        for make in (join_app, store_app):
            await running.enter_async_context(worker(make, bench.settings))
        await _send_rules(bench)
        for number in range(10):
            await bench.send("scores", _score(number, number < 3), key=f"r{number}".encode())
        wait = {"run_id": "slow", "name": "merged", "subject": "pr:1", "wait_id": "w1", "agent": "coder"}
        rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P1D"}
        await bench.send("waits", wait | {"rule": rule}, key=b"pr:1")
        fired = (
            "SELECT name, alert_id, cause, value FROM alerts WHERE state = 'firing' ORDER BY name, raised_at"
        )
        async with worker(alerts_app, bench.settings):
            first = await until(
                bench, fired, lambda found: {row[0] for row in found} == {"quiet", "rate", "slow"}
            )
        # A bad window while nobody judges: the next worker judges its instants.
        for number in range(10):
            await bench.send("scores", _score(number, True, revision=2), key=f"r{number}".encode())
        await bench.send(
            "outcomes", {"type": "pr.closed", "subject": "pr:1", "data": {"merged": True}}, key=b"pr:1"
        )
        async with worker(alerts_app, bench.settings):
            await bench.send("alert-rules", None, key=b"quiet")
            ended = "SELECT name, message FROM alert_states WHERE state = 'resolved' ORDER BY name"
            last = await until(
                bench, ended, lambda found: [row[0] for row in found] == ["quiet", "rate", "slow"]
            )
        assert "since the rule was removed" in last[0][1]
        await until(bench, "SELECT name FROM alert_rules WHERE name = 'quiet'", lambda found: found == [])
        values = {name: value for name, _, _, value in first}
        assert values["rate"] == 0.3 and values["slow"] is None
        for name, identity, cause, _ in first:
            assert identity == alert_id(bench.settings.topic_prefix, name, cause)


def _score(number: int, value: bool, **changed: Any) -> dict[str, Any]:
    event = {"score_id": f"s{number}", "run_id": f"r{number}", "name": "good", "value": value, "agent": "a"}
    return event | {"reason": "outcome", "decided_at": datetime.now(UTC).isoformat()} | changed


async def _send_rules(bench: Bench) -> None:
    ago = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    rules: list[dict[str, Any]] = [
        {"name": "rate", "kind": "rate", "score": "good", "below": 0.6, "min_n": 5, "by": ["agent"]},
        {"name": "slow", "kind": "pending_for", "score": "merged", "window": "PT1S"},
        {"name": "quiet", "kind": "silence", "score": "never", "window": "PT10S"},
    ]
    for rule in rules:
        event = rule | {"every": "PT10S", "changed_at": ago}
        await bench.send("alert-rules", json.dumps(event).encode(), key=rule["name"].encode())
