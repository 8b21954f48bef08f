"""The role on a real broker, with a real receiver: from a bad outcome to its webhook, and through a kill."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks import Webhook

from tests.processors.bench import TIMING, Bench, until
from tests.receivers.made import SECRET
from tests.receivers.servers import HttpServer, http_server
from upshot.processors.alerts.handler import alerts_app
from upshot.processors.notifications.app import notifications_app
from upshot.schemas.ids import fact_id
from upshot.streams.runtime import BatchApp
from upshot.streams.runtime.runner import run

pytestmark = pytest.mark.stack

SCRIPT = Path(__file__).with_name("notifications_worker.py")
ROOT = Path(__file__).parents[2]


def receivers(**servers: HttpServer) -> str:
    hooks = {name: {"kind": "webhook", "url": one.url, "secret": SECRET} for name, one in servers.items()}
    return json.dumps(hooks)


def alert(number: int, **fields: Any) -> dict[str, Any]:
    known = {
        "alert_id": f"a{number}",
        "name": "reopened",
        "run_id": "r1",
        "score_id": f"s{number}",
        "value": False,
        "raised_at": datetime.now(UTC).isoformat(),
        "notify": ["ops"],
    }
    return known | fields


@asynccontextmanager
async def working(bench: Bench, *apps: BatchApp) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(run(app, stop)) for app in apps]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def notifying(bench: Bench, **servers: HttpServer) -> BatchApp:
    given = {"receivers": SecretStr(receivers(**servers)), "receiver_allow": "127.0.0.0/8"}
    return notifications_app(bench.settings.model_copy(update=given), TIMING)


async def test_a_bad_outcome_reaches_the_webhook(bench: Bench) -> None:
    rule = {
        "name": "not merged",
        "kind": "score",
        "score": "merged",
        "equals": False,
        "severity": "page",
        "notify": ["ops"],
        "changed_at": datetime.now(UTC).isoformat(),
    }
    await bench.send("alert-rules", rule)
    async with (
        http_server() as server,
        bench.worker(),
        working(bench, alerts_app(bench.settings, TIMING), notifying(bench, ops=server)),
    ):
        await bench.wait("pr:1", since=datetime.now(UTC).isoformat())
        await bench.wait("pr:2", since=datetime.now(UTC).isoformat())
        await bench.outcome("pr:2", merged=True)
        await bench.outcome("pr:1", merged=False)
        await until(lambda: bool(server.received))
        [request] = server.received
        body = Webhook(SECRET).verify(request.body, request.headers)
        notices = await bench.read("notices", lambda found: any(n["status"] == "sent" for n in found))
    assert (body["type"], body["data"]["name"], body["data"]["severity"]) == (
        "upshot.alert.firing",
        "not merged",
        "page",
    )
    assert {n["notice_id"] for n in notices} == {request.headers["webhook-id"]}
    assert [n["status"] for n in notices] == ["pending", "sent"]


async def test_a_dead_receiver_holds_up_nobody_and_a_rebalance_repeats_no_id(bench: Bench) -> None:
    released = asyncio.Event()

    async def dead(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=503)

    async with http_server() as slow, http_server() as server:
        slow.answer = dead
        async with working(bench, notifying(bench, ops=server, dead=slow)):
            for number in range(50):
                await bench.send("alerts", alert(number, notify=["dead", "ops"]))
            await until(lambda: len(set(server.ids)) == 50)
        async with working(bench, notifying(bench, ops=server, dead=slow)):
            await bench.send("alerts", alert(50, notify=["ops"]))
            await until(lambda: len(set(server.ids)) == 51)
        released.set()
    assert set(server.ids) == {fact_id("notice", f"a{n}", "firing", "ops") for n in range(51)}
    assert set(slow.ids) <= {fact_id("notice", f"a{n}", "firing", "dead") for n in range(50)}


class Killable:
    """Workers as processes, one at a time."""

    def __init__(self, bench: Bench, folder: Path, given: str) -> None:
        self._arguments = [bench.settings.kafka_url, bench.settings.topic_prefix, str(folder), given]
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(SCRIPT), *self._arguments],
                stdout=log,
                stderr=log,
                env={"PYTHONPATH": str(ROOT)},
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


async def test_a_kill_between_post_and_mark_repeats_the_same_id(bench: Bench, tmp_path: Path) -> None:
    released = asyncio.Event()

    async def holding(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with http_server() as server:
        workers = Killable(bench, tmp_path, receivers(ops=server))
        server.answer = holding
        ids = {fact_id("notice", f"a{number}", "firing", "ops") for number in range(5)}
        try:
            workers.start()
            for number in range(5):
                await bench.send("alerts", alert(number))
            await until(lambda: len(server.received) == 5)
            workers.kill()
            released.set()
            server.answer = 200
            workers.start()
            await until(lambda: len(server.received) >= 10)
            notices = await bench.read(
                "notices", lambda found: sum(n["status"] == "sent" for n in found) >= 5
            )
        finally:
            workers.kill()
            released.set()
    assert set(server.ids) == ids
    assert all(server.ids.count(one) == 2 for one in ids)
    assert {n["notice_id"] for n in notices} == ids
    bodies = {request.body for request in server.received}
    assert len(bodies) == 5
