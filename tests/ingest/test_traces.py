"""OTLP at the HTTP API, sent by OpenTelemetry's own exporter; and from Kafka, as the Collector writes it."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from uuid import uuid4

import msgspec
import pytest
from google.protobuf.json_format import ParseDict
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult
from pydantic import SecretStr

from tests.ingest.conftest import Client, open_api, read, values
from tests.otel_requests.otlp_requests import agent_run, as_json, as_protobuf, nameless
from tests.otel_requests.test_logs import both, record, request
from upshot.processors.traces.handler import traces_app
from upshot.schemas.steps import Step
from upshot.settings import Settings
from upshot.streams.kafka.producer import event_producer
from upshot.streams.runtime import Timing
from upshot.streams.runtime.runner import run

pytestmark = pytest.mark.stack

PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
async def test_the_exporter_of_opentelemetry_is_served(settings: Settings, compression: Compression) -> None:
    key = "a-key-of-some-service"
    guarded = settings.model_copy(update={"api_keys": SecretStr(key)})
    async with open_api(guarded) as client:
        exporter = OTLPSpanExporter(
            endpoint=client.url + "/v1/traces",
            headers={"authorization": f"Bearer {key}"},
            compression=compression,
        )
        assert await asyncio.to_thread(exporter.export, agent_run()) is SpanExportResult.SUCCESS
        exporter.shutdown()
    [told] = values(await read(settings, "runs", 1))
    steps = [Step.model_validate(step) for step in values(await read(settings, "steps", 3))]
    assert (told["agent"], told["status"]) == ("support", "completed")
    assert {step.run_id for step in steps} == {told["run_id"]}
    [model] = [step for step in steps if step.kind == "model"]
    assert (model.model, model.input_tokens, model.cost_source) == ("gpt-4o-mini", 900, "table")


async def test_json_is_answered_in_json(settings: Settings, client: Client) -> None:
    body = msgspec.json.encode(as_json(agent_run()))
    assert await client.post("/v1/traces", body) == (200, {})
    packed = await client.post("/v1/traces", gzip.compress(body), {"Content-Encoding": "gzip"})
    assert packed == (200, {})
    assert len(await read(settings, "steps", 6)) == 6


async def test_spans_that_cannot_be_told_apart_are_counted(client: Client) -> None:
    status, body = await client.post("/v1/traces", nameless(), PROTOBUF)
    answer = ExportTraceServiceResponse.FromString(body)
    assert (status, answer.partial_success.rejected_spans) == (200, 1)
    assert "trace id" in answer.partial_success.error_message
    assert await client.post("/v1/traces", b"", PROTOBUF) == (200, b"")


async def test_refusals_are_statuses_in_the_encoding_of_the_request(client: Client) -> None:
    status, body = await client.post("/v1/traces", b"\xff\xff", PROTOBUF)
    assert (status, Status.FromString(body).code) == (400, 3)
    assert "ExportTraceServiceRequest" in Status.FromString(body).message
    status, answer = await client.post("/v1/traces", b"[")
    assert (status, answer["code"]) == (400, 3)
    status, body = await client.post("/v1/traces", b"", PROTOBUF | {"Origin": "https://evil.example"})
    assert (status, Status.FromString(body).code) == (401, 16)
    assert (await client.post("/v1/traces", b"", {"Content-Type": "text/plain"}))[0] == 415


async def test_without_kafka_the_exporter_comes_again() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        nowhere = Settings(kafka_url=f"127.0.0.1:{nobody.getsockname()[1]}")
        async with open_api(nowhere) as client:
            response = await client.ask("POST", "/v1/traces", data=as_protobuf(agent_run()), headers=PROTOBUF)
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("encoding", [0, 1])
async def test_evaluations_in_logs_become_exposures(
    settings: Settings, client: Client, encoding: int
) -> None:
    headers = [PROTOBUF, {"Content-Type": "application/json"}][encoding]
    body = both(request(record(), record(name="gen_ai.choice")))[encoding]
    status, answer = await client.post("/v1/logs", body, headers)
    assert status == 200
    told = ExportLogsServiceResponse()
    told = told.FromString(answer) if encoding == 0 else ParseDict(answer, told)
    assert told.partial_success.rejected_log_records == 1
    assert "OTEL_LOGS_EXPORTER=none" in told.partial_success.error_message
    [exposure] = values(await read(settings, "exposures", 1))
    assert (exposure["experiment"], exposure["strategy"]) == ("tone", "external")
    assert (await client.post("/v1/logs", b"\xff", headers))[0] == 400
    assert (await client.post("/v1/metrics", b"", headers))[0] == 404


async def test_the_collectors_topic_becomes_steps_and_runs(settings: Settings) -> None:
    spans = agent_run()
    bad = uuid4().bytes
    async with event_producer(settings) as producer:
        for value in (as_protobuf(spans), json.dumps(as_json(spans)).encode(), bad, nameless()):
            await (await producer.send("otlp", value))
        other = record(name="gen_ai.choice")
        for logs in (request(record(), other), request(record(), record(trace_id=b"no")), request(other)):
            await (await producer.send("otlp", logs.SerializeToString()))
    stop = asyncio.Event()
    pace = Timing(tick_interval=0.05, poll_timeout=0.05)
    worker = asyncio.create_task(run(traces_app(settings, pace), stop))
    steps = values(await read(settings, "steps", 6))
    assert len({step["step_id"] for step in steps}) == 3
    assert len({json.dumps(told) for told in values(await read(settings, "runs", 2))}) == 1
    assert len(values(await read(settings, "exposures", 2))) == 2
    letters = values(await read(settings, "dead-letters", 4))
    assert ["log records were left out" in letter["detail"] for letter in letters].count(True) == 1
    assert {letter["reason"] for letter in letters} == {"not_otlp"}
    assert {letter["topic"] for letter in letters} == {settings.topic("otlp")}
    stop.set()
    assert await worker == 0
