"""Scores go out as `gen_ai.evaluation.result`.

What each says, and that a collector which is away loses none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from pydantic import SecretStr

from upshot.errors import ConfigurationError
from upshot.local.kafka import KafkaServer
from upshot.otel.collector import Collector
from upshot.otel.evaluations import place_in_trace, record_of
from upshot.processors.evaluations.handler import evaluations_app
from upshot.schemas.scores import Score
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import event_producer
from upshot.streams.runtime import Timing
from upshot.streams.runtime.runner import run

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
PATIENCE = 60.0
"""Seconds until a condition counts as never met: far above what it takes."""
TRACE, SPAN, STEP = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "1a2b3c4d5e6f7081"


def score(**said: Any) -> Score:
    return Score.model_validate({"run_id": "r1", "name": "merged", "value": True} | said)


def said_by(record: LogRecord) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in record.attributes}


def test_what_an_event_says() -> None:
    record = record_of(
        score(run_id=f"{TRACE}-{SPAN}", revision=2, comment="fine", decided_at="2026-11-24T11:59:00.000001Z"),
        AT,
    )
    assert record.event_name == "gen_ai.evaluation.result"
    assert (record.trace_id.hex(), record.span_id.hex()) == (TRACE, SPAN)
    assert record.time_unix_nano == 1_795_521_540_000_001_000
    said = said_by(record)
    assert said.pop("upshot.score_id")
    assert said == {
        "gen_ai.evaluation.name": "merged",
        "gen_ai.evaluation.score.value": 1.0,
        "gen_ai.evaluation.score.label": "true",
        "gen_ai.evaluation.explanation": "fine",
        "upshot.run_id": f"{TRACE}-{SPAN}",
        "upshot.revision": 2,
        "upshot.reason": "given",
        "upshot.late": False,
    }


@pytest.mark.parametrize(
    ("said", "value", "label"),
    [
        ({"value": False}, 0.0, "false"),
        ({"value": 0.25}, 0.25, None),
        ({"value": None, "reason": "expired"}, None, "expired"),
    ],
)
def test_values_and_labels(said: dict[str, Any], value: float | None, label: str | None) -> None:
    found = said_by(record_of(score(**said), AT))
    assert found.get("gen_ai.evaluation.score.value") == value
    assert found.get("gen_ai.evaluation.score.label") == label


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({}, ("", "")),
        ({"step_id": STEP}, ("", "")),
        ({"run_id": TRACE}, (TRACE, "")),
        ({"run_id": f"{TRACE}-{SPAN}"}, (TRACE, SPAN)),
        ({"run_id": f"{TRACE}-{SPAN}", "step_id": STEP}, (TRACE, STEP)),
        ({"run_id": TRACE, "step_id": "draft"}, (TRACE, "")),
        ({"attributes": {"trace_id": TRACE, "span_id": SPAN}}, (TRACE, SPAN)),
        ({"attributes": {"trace_id": TRACE.upper(), "span_id": SPAN}}, ("", "")),
        ({"attributes": {"trace_id": 5}}, ("", "")),
    ],
)
def test_the_place_in_the_trace(said: dict[str, Any], place: tuple[str, str]) -> None:
    assert place_in_trace(score(**said)) == place


@pytest.mark.parametrize(
    "wrong", [{"otlp_url": "collector:4318"}, {"otlp_url": "http://c", "otlp_headers": "key"}]
)
def test_settings_that_cannot_be_meant(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="UPSHOT_OTLP"):
        Collector(Settings.model_validate(wrong))


class Receiver:
    """A collector's endpoint: answers as it is told to, keeps what it took."""

    def __init__(self, *troubles: int) -> None:
        self.troubles = list(troubles)
        self.requests = 0
        self.taken: list[LogRecord] = []
        self._news = asyncio.Condition()
        self.keys: set[str | None] = set()
        self.rejects = 0

    async def take(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.keys.add(request.headers.get("x-key"))
        if self.troubles:
            return web.Response(status=self.troubles.pop(0))
        told = ExportLogsServiceRequest.FromString(await request.read())
        for of_resource in told.resource_logs:
            for of_scope in of_resource.scope_logs:
                self.taken += of_scope.log_records
        async with self._news:
            self._news.notify_all()
        answer = ExportLogsServiceResponse()
        answer.partial_success.rejected_log_records = self.rejects
        return web.Response(body=answer.SerializeToString(), content_type="application/x-protobuf")

    async def has(self, count: int) -> None:
        """Once so many records were taken."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.taken) >= count)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/logs", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def collector(url: str, **more: Any) -> Collector:
    return Collector(Settings(otlp_url=url, **more), pauses=(0.01, 0.01))


async def test_a_collector_that_is_busy_is_asked_again() -> None:
    receiver = Receiver(503, 429, 401, 500)
    async with receiver.serve() as url:
        client = collector(url + "/", otlp_headers=SecretStr("x-key=a%20b"))
        await client.send([record_of(score(), AT)])
    assert (receiver.requests, len(receiver.taken), receiver.keys, client.refused) == (5, 1, {"a b"}, 0)


async def test_what_a_collector_refuses_is_counted_and_the_rest_goes_on() -> None:
    receiver = Receiver(400)
    async with receiver.serve() as url:
        client = collector(url)
        await client.send([record_of(score(), AT)])
        assert (client.refused, receiver.taken) == (1, [])
        receiver.rejects = 2
        await client.send([record_of(score(), AT)] * 3)
    assert (client.refused, len(receiver.taken)) == (3, 3)


@pytest.mark.stack
async def test_scores_in_kafka_reach_the_collector(kafka: KafkaServer) -> None:
    receiver = Receiver(503)
    scores = [{"run_id": TRACE, "name": "helpful", "value": number} for number in range(3)]
    async with receiver.serve() as url:
        settings = Settings(
            kafka_url=kafka.bootstrap,
            topic_prefix=f"tell{uuid4().hex[:12]}.",
            commit_interval=0.2,
            otlp_url=url,
        )
        await ensure_topics(settings)
        async with event_producer(settings) as producer:
            for value in (*map(msgspec.json.encode, scores), b"no score"):
                await (await producer.send("scores", value, key=TRACE))
        stop = asyncio.Event()
        timing = Timing(tick_interval=0.05, poll_timeout=0.05)
        worker = asyncio.create_task(run(evaluations_app(settings, timing), stop))
        await receiver.has(3)
        stop.set()
        assert await worker == 0
        again = asyncio.Event()
        worker = asyncio.create_task(run(evaluations_app(settings, timing), again))
        async with event_producer(settings) as producer:
            await (
                await producer.send("scores", msgspec.json.encode(scores[0] | {"name": "later"}), key=TRACE)
            )
        await receiver.has(4)
        again.set()
        assert await worker == 0
    assert [said_by(record)["gen_ai.evaluation.score.value"] for record in receiver.taken] == [
        0.0,
        1.0,
        2.0,
        0.0,
    ]
    assert {record.trace_id.hex() for record in receiver.taken} == {TRACE}
