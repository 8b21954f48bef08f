"""`upshot up --app`: an app's sources read topics and say what webhooks mean, on a whole stack."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from tests.ingest.conftest import Client
from tests.parts import started
from tests.upshot_process import start, whole_stack
from tests.webhooks.signing import GITHUB, by_github
from upshot.streams.kafka.admin import admin_client

pytestmark = pytest.mark.stack

APP = """
import upshot

app = upshot.App("shop")
app.outcome("order.refunded", topic="orders", subject="order:{order}")
app.outcome("pr.closed", webhook="github", subject="change:{number}")
"""


async def test_an_app_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = f"shop_{uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    secret = {"UPSHOT_WEBHOOK_GITHUB_SECRET": GITHUB}
    running = start(tmp_path / "data", "up", "--app", f"{module}:app", environment=secret)
    try:
        stack = whole_stack(running)
        body = msgspec.json.encode({"number": 12})
        async with aiohttp.ClientSession() as session:
            client = Client(session, f"http://127.0.0.1:{stack.ports['web']}")
            answer = await client.post("/v1/webhooks/github", body, by_github(body, "pull_request"))
            assert answer == (202, {"accepted": 1, "ids": ["github-d-1/pr.closed"]})
        async with admin_client(stack.settings) as admin:
            await admin.create_topics([NewTopic("orders", 1, 1)])
        async with started(AIOKafkaProducer(bootstrap_servers=stack.settings.kafka_url)) as producer:
            await producer.send_and_wait("orders", b'{"order":7}')
        stack.eventually(
            "SELECT type, subject FROM outcomes ORDER BY type",
            [
                {"type": "order.refunded", "subject": "order:7"},
                {"type": "pr.closed", "subject": "change:12"},
            ],
        )
    finally:
        code = running.interrupt()
    said = running.metadata.read_text()
    assert code == 0, said
    assert "sources: ready" in said
    assert "/v1/outcomes" in said
