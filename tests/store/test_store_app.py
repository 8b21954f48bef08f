"""The store as a worker: from real topics into real tables, across restarts of both sides."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from clickhouse_connect.driver.client import Client

from tests.databases import settings_for
from tests.parts import started
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.processors.store.app import store_app
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.runtime import Timing
from upshot.streams.runtime.runner import run

pytestmark = pytest.mark.stack

PATIENCE = 60.0
RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}


class Bench:
    """Topics of one test, and its database."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self.settings = settings
        self._producer = producer

    async def send(self, topic: str, event: dict[str, Any] | bytes | None, **changed: Any) -> None:
        value = json.dumps(event).encode() if isinstance(event, dict) else event
        await self._producer.send_and_wait(self.settings.topic(topic), value, **changed)

    async def send_scores(self, start: int, count: int) -> None:
        events = [{"run_id": f"r{n}", "name": "n", "value": n} for n in range(start, start + count)]
        topic = self.settings.topic("scores")
        futures = [
            await self._producer.send(topic, json.dumps(event).encode(), key=event["run_id"].encode())
            for event in events
        ]
        await asyncio.gather(*futures)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        client: Client = connect(self.settings)
        try:
            return [tuple(row) for row in client.query(sql).result_rows]
        finally:
            client.close()

    async def eventually(self, sql: str, expected: list[tuple[Any, ...]]) -> None:
        """Wait until the query gives these rows."""
        deadline = time.monotonic() + PATIENCE
        while (found := await asyncio.to_thread(self.ask, sql)) != expected:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)

    async def letters(self) -> list[bytes]:
        """What was written to the topic of dead letters so far."""
        consumer = AIOKafkaConsumer(
            self.settings.topic("dead-letters"),
            bootstrap_servers=self.settings.kafka_url,
            auto_offset_reset="earliest",
        )
        try:
            await consumer.start()
            ends = await consumer.end_offsets(consumer.assignment())
            found: list[bytes] = []
            while len(found) < sum(ends.values()):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += [record.value for record in records]
            return found
        finally:
            await consumer.stop()

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(run(store_app(self.settings, Timing(poll_timeout=0.05)), stop))
        try:
            yield
        finally:
            stop.set()
            code = await task
        assert code == 0


@asynccontextmanager
async def bench_of(kafka: KafkaServer, clickhouse: ClickHouseServer, database: str) -> AsyncIterator[Bench]:
    settings = settings_for(
        clickhouse,
        database,
        kafka_url=kafka.bootstrap,
        topic_prefix=f"{uuid4().hex}.",
        commit_interval=0.2,
        store_interval=0.05,
    )
    await ensure_topics(settings)
    migrate(settings)
    async with started(
        AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=4_000_000)
    ) as producer:
        yield Bench(settings, producer)


@pytest.fixture
async def bench(kafka: KafkaServer, clickhouse: ClickHouseServer, empty: Settings) -> AsyncIterator[Bench]:
    async with bench_of(kafka, clickhouse, empty.clickhouse.database) as made:
        yield made


async def test_every_topic_reaches_its_table(bench: Bench) -> None:
    instant = "2026-01-01T00:00:00Z"
    async with bench.worker():
        await bench.send("runs", {"run_id": "r1", "agent": "coder", "status": "completed"})
        await bench.send("steps", {"run_id": "r1", "step_id": "s1", "name": "draft"})
        await bench.send("outcomes", {"type": "pr.closed", "subject": "pr:1"})
        await bench.send("exposures", {"run_id": "r1", "experiment": "e", "variant": "v"})
        await bench.send("waits", {"run_id": "r1", "name": "merged", "subject": "pr:1", "rule": RULE})
        await bench.send("scores", {"run_id": "r1", "name": "helpful", "value": 0.8})
        alert = {"alert_id": "a", "name": "low", "run_id": "r1", "score_id": "s", "value": 0.1}
        await bench.send("alerts", alert | {"raised_at": instant})
        for view in ("runs", "steps", "outcomes", "exposures", "waits", "scores", "alerts", "pending"):
            await bench.eventually(f"SELECT count() FROM {view}", [(1,)])
        await bench.eventually("SELECT agent, value FROM current_scores", [("coder", 0.8)])


async def test_bad_input_of_each_topic_is_kept_once(bench: Bench) -> None:
    """What the join refuses is the join's; a bad dead letter becomes a row, not another dead letter."""
    async with bench.worker():
        for topic in ("runs", "steps", "exposures", "scores", "alerts", "dead-letters", "outcomes", "waits"):
            await bench.send(topic, b"\xff\0 no json " + topic.encode(), partition=0)
        await bench.send("runs", {"run_id": "r1"})
        await bench.eventually("SELECT count() FROM dead_letters", [(6,)])
        await bench.eventually("SELECT count() FROM runs", [(1,)])
        topics = "SELECT topic FROM dead_letters WHERE startsWith(payload, unhex('FF00')) ORDER BY topic"
        expected = ["alerts", "dead-letters", "exposures", "runs", "scores", "steps"]
        assert bench.ask(topics) == [(bench.settings.topic(topic),) for topic in expected]
    letters = [json.loads(value)["topic"] for value in await bench.letters() if value.startswith(b"{")]
    assert sorted(letters) == [bench.settings.topic(t) for t in expected if t != "dead-letters"]


async def test_a_worker_goes_on_where_the_last_one_ended(bench: Bench) -> None:
    for start in (0, 1000, 2000):
        await bench.send_scores(start, 1000)
        async with bench.worker():
            await bench.eventually(
                "SELECT count(), uniqExact(run_id) FROM scores", [(start + 1000, start + 1000)]
            )
    assert bench.ask("SELECT count() FROM current_scores") == [(3000,)]


async def test_clickhouse_away_means_lag_and_then_catching_up(kafka: KafkaServer, tmp_path: Path) -> None:
    server = ClickHouseServer(tmp_path)
    server.start()
    try:
        server.wait_ready(PATIENCE)
        async with bench_of(kafka, server, "upshot") as bench, bench.worker():
            await bench.send_scores(0, 500)
            await bench.eventually("SELECT count() FROM scores", [(500,)])
            server.kill()
            await bench.send_scores(500, 2000)
            server.start()
            await asyncio.to_thread(server.wait_ready, PATIENCE)
            await bench.eventually("SELECT count(), uniqExact(run_id) FROM scores", [(2500, 2500)])
            await bench.eventually("SELECT count() FROM current_scores", [(2500,)])
    finally:
        server.stop()
