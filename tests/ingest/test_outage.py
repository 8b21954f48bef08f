"""While Kafka is away senders are told to come again; once it is back, what they send again is taken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from tests.ingest.conftest import PATIENCE, Client, open_api, read, values
from tests.parts import START
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics

pytestmark = pytest.mark.stack

OUTCOME = {"type": "pr.closed", "subject": "pr:1", "id": "e1"}


async def test_a_broker_that_dies_and_comes_back(tmp_path: Path) -> None:
    broker = KafkaServer(tmp_path)
    await asyncio.to_thread(started, broker)
    try:
        settings = Settings(kafka_url=broker.bootstrap)
        await ensure_topics(settings)
        async with open_api(settings) as client:
            assert (await client.post("/v1/outcomes", OUTCOME))[0] == 202
            await asyncio.to_thread(broker.kill)
            status, problem = await client.post("/v1/outcomes", OUTCOME)
            assert status == 503
            assert "again" in problem["detail"]
            await asyncio.to_thread(started, broker)
            await until_taken(client)
        found = values(await read(settings, "outcomes", 2))
        assert {outcome["id"] for outcome in found} == {"e1"}
    finally:
        await asyncio.to_thread(broker.stop)


def started(broker: KafkaServer) -> None:
    broker.start()
    broker.wait_ready(START)


async def until_taken(client: Client) -> None:
    deadline = monotonic() + PATIENCE
    while (answer := await client.post("/v1/outcomes", OUTCOME))[0] != 202:
        assert monotonic() < deadline, answer
        assert answer[0] == 503
