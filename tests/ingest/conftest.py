"""The HTTP API of a real web server over real Kafka topics."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.web.server import make_app

PATIENCE = 60.0
"""Seconds until a condition counts as never met: far above what it takes."""


class Answer(NamedTuple):
    """A response, read."""

    status: int
    headers: Mapping[str, str]
    content_type: str
    text: str


class Client:
    """Sends to one server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def post(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and answer; a body that isn't bytes goes as JSON."""
        raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
        said = {"Content-Type": "application/json"} | (headers or {})
        kept = {name: text for name, text in said.items() if text}
        async with self._session.post(
            self.url + path, data=io.BytesIO(raw), headers=kept, skip_auto_headers=["Content-Type"]
        ) as response:
            content = await response.read()
            assert b"Traceback" not in content
            return response.status, msgspec.json.decode(
                content
            ) if "json" in response.content_type else content

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        """What is answered."""
        async with self._session.request(method, self.url + path, **options) as response:
            return Answer(
                response.status,
                response.headers,
                response.content_type,
                await response.text(errors="replace"),
            )


@asynccontextmanager
async def open_api(settings: Settings, **options: Any) -> AsyncIterator[Client]:
    """The web server in this process, on a free port."""
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(make_app(settings, **options), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Client(session, f"http://127.0.0.1:{runner.addresses[0][1]}")


async def read(settings: Settings, topic: str, count: int) -> list[ConsumerRecord]:
    """The first records of a topic, from its beginning, by partition and offset.

    Exactly so many are there.
    """
    consumer = AIOKafkaConsumer(
        settings.topic(topic), bootstrap_servers=settings.kafka_url, auto_offset_reset="earliest"
    )
    found: list[ConsumerRecord] = []
    try:
        await consumer.start()
        async with asyncio.timeout(PATIENCE):
            ends = await consumer.end_offsets(consumer.assignment())
            while len(found) < count or any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def values(records: Sequence[ConsumerRecord]) -> list[Any]:
    """The records' values as JSON."""
    return [msgspec.json.decode(record.value) for record in records]


@pytest.fixture
async def settings(kafka: KafkaServer) -> Settings:
    """Topics of its own."""
    settings = Settings(
        kafka_url=kafka.bootstrap, topic_prefix=f"door{uuid4().hex[:12]}.", commit_interval=0.2
    )
    await ensure_topics(settings)
    return settings


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    """A client of an HTTP API without keys."""
    async with open_api(settings) as client:
        yield client
