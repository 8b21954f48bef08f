"""Every exchange that docs/http-api.md shows happens just so, with a real web server and Kafka."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.ingest.conftest import open_api
from upshot.ingest.routes import OPEN_TOPICS
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.webhooks.providers import PROVIDERS

pytestmark = pytest.mark.stack

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()
EXCHANGES = re.findall(r"^```http\n(.*?)\n\n(\d+)\n(.*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
async def settings(kafka: KafkaServer) -> Settings:
    settings = Settings(kafka_url=kafka.bootstrap, topic_prefix=f"page{uuid4().hex[:12]}.")
    await ensure_topics(settings)
    return settings


async def test_exchanges_happen_as_shown(settings: Settings) -> None:
    assert len(EXCHANGES) >= 3
    async with open_api(settings) as client:
        for asked, status, answer in EXCHANGES:
            path, headers, body = taken_apart(asked)
            found = await client.post(path, body, headers)
            assert found == (int(status), msgspec.json.decode(answer)), asked


def taken_apart(asked: str) -> tuple[str, dict[str, str], Any]:
    first, *lines = asked.split("\n")
    headers = dict(line.split(": ", 1) for line in lines if re.match(r"[\w-]+: ", line))
    body = "\n".join(line for line in lines if not re.match(r"[\w-]+: ", line))
    return first.removeprefix("POST "), headers, msgspec.json.decode(body)


@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
def test_code_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSHOT_LINK_SECRET", "0123456789abcdef0123456789abcdef")
    exec(compile(code, "docs/http-api.md", "exec"), {})


def test_every_path_is_named() -> None:
    assert all(f"/v1/{topic.name}`" in PAGE for topic in OPEN_TOPICS)
    assert all(f"/v1/webhooks/{name}`" in PAGE for name in PROVIDERS)
