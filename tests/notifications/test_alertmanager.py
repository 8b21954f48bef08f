"""A real Alertmanager: the same alert twice is one, and a resolved one goes away."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest

from tests.processors.bench import until
from tests.receivers.made import alert, configured
from tests.receivers.servers import HttpServer, http_server
from upshot.receivers.messages import AlertMessage, AlertSummary
from upshot.receivers.posting import Poster
from upshot.receivers.results import Accepted
from upshot.streams.events.instants import micros

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(
        PROGRAM is None, reason="no Alertmanager is installed: apt-get install prometheus-alertmanager"
    ),
]
CONFIG = """\
route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}", send_resolved: true}}]}}]
"""


@contextmanager
def alertmanager(folder: Path, hook: str) -> Iterator[str]:
    """Its address."""
    assert PROGRAM is not None
    (folder / "config.yml").write_text(CONFIG.format(url=hook))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [
        f"--config.file={folder / 'config.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, *arguments], stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


@asynccontextmanager
async def ready(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    deadline = monotonic() + 60
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/-/ready") as answer:
                    if answer.status == 200:
                        break
            except aiohttp.ClientError:
                pass
            assert monotonic() < deadline
            await asyncio.sleep(0.05)
        yield session


async def active(session: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    async with session.get(f"{url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found


def statuses(hook: HttpServer) -> list[tuple[str, str]]:
    """Alert and status of each notification, in order and without those told again by the group."""
    pairs = [
        (one["labels"]["alert_id"], one["status"])
        for request in hook.received
        for one in json.loads(request.body)["alerts"]
    ]
    return list(dict.fromkeys(pairs))


async def test_alerts_fire_once_and_resolve(tmp_path: Path) -> None:
    async with http_server() as hook:
        with alertmanager(tmp_path, hook.url) as url:
            receivers = configured(am={"kind": "alertmanager", "url": url})
            poster = Poster(receivers)

            async def post(*alerts: AlertSummary) -> None:
                message = AlertMessage("n", "alert", alerts, len(alerts), alerts[0].raised_at)
                result = await poster.post(receivers.named("am"), message, datetime.now(UTC))
                assert isinstance(result, Accepted), result

            now = micros(datetime.now(UTC))
            try:
                async with ready(url) as session:
                    await post(alert(1, raised_at=now), alert(2, raised_at=now))
                    await post(alert(1, raised_at=now))
                    found = await active(session, url)
                    assert sorted(one["labels"]["alert_id"] for one in found) == [f"{1:032x}", f"{2:032x}"]
                    later = datetime.now(UTC) + timedelta(days=29)
                    assert all(datetime.fromisoformat(one["endsAt"]) > later for one in found)
                    await until(lambda: len(statuses(hook)) == 2)
                    await post(alert(1, raised_at=now + 1, state="resolved"))
                    [left] = await active(session, url)
                    assert left["labels"]["alert_id"] == f"{2:032x}"
                    await until(lambda: (f"{1:032x}", "resolved") in statuses(hook))
            finally:
                await poster.disconnect()
    assert (f"{2:032x}", "resolved") not in statuses(hook)
