"""Instrumentations of others, real ones.

What they tell of a model call becomes a step of the run around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.sdk.model_server import model_server
from upshot import App
from upshot.testing import Captured

HELLO: Any = [{"role": "user", "content": "hello, this is personal"}]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with model_server() as address:
        yield address


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def instrumented(app: App, exported: InMemorySpanExporter) -> Iterator[App]:
    """The app, on a tracer provider that somebody else exports from, too."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    provider = app.instrument(provider)
    instrumentors = OpenAIInstrumentor(), AnthropicInstrumentor()
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    yield app
    for instrumentor in instrumentors:
        instrumentor.uninstrument()


OPENAI = {
    "kind": "model",
    "provider": "openai",
    "model": "gpt-4o-mini-2024-07-18",
    "input_tokens": 2000,
    "output_tokens": 70,
    "cached_input_tokens": 1024,
    "reasoning_output_tokens": 20,
    "finish_reasons": ["stop"],
    "cost_source": "table",
}


def test_openai_by_openinference(instrumented: App, sent: Captured, address: str) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="x")
    with client, instrumented.run("helper") as run, run.step("draft") as draft:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    call, around = sent.steps
    assert call == call | OPENAI | {"run_id": run.id, "parent_step_id": draft.id}
    assert call["cost_usd"] == pytest.approx((976 * 0.15 + 1024 * 0.075 + 70 * 0.6) / 1e6)
    assert call["started_at"] <= call["ended_at"]
    assert around["step_id"] == draft.id
    assert "personal" not in str(sent.events("steps"))


async def test_openai_streamed_and_async(instrumented: App, sent: Captured, address: str) -> None:
    options: Any = {"model": "gpt-4o-mini", "messages": HELLO, "stream": True}
    client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="x")
    async with client, instrumented.run("helper"):
        stream = await client.chat.completions.create(**options, stream_options={"include_usage": True})
        async for _ in stream:
            """Read to its end: then the usage is known."""
    [call] = sent.steps
    assert call == call | OPENAI
    assert 0 < call["first_chunk_seconds"] < 60
    assert "parent_step_id" not in call


def test_anthropic_by_traceloop(instrumented: App, sent: Captured, address: str) -> None:
    with anthropic.Anthropic(base_url=address, api_key="x") as client, instrumented.run("helper"):
        client.messages.create(model="claude-3-5-sonnet-latest", max_tokens=9, messages=HELLO)
    [call] = sent.steps
    assert call == call | {
        "kind": "model",
        "operation": "chat",
        "provider": "anthropic",
        "request_model": "claude-3-5-sonnet-latest",
        "model": "claude-3-5-sonnet-20241022",
        # As the API counts, cached tokens come on top of the 1,000.
        "input_tokens": 1500,
        "output_tokens": 50,
        "cached_input_tokens": 300,
        "cache_write_input_tokens": 200,
        "finish_reasons": ["stop"],
        "cost_source": "table",
    }
    assert call["cost_usd"] == pytest.approx((1000 * 3 + 300 * 0.3 + 200 * 3.75 + 50 * 15) / 1e6)
    assert "personal" not in str(sent.events("steps"))


def test_a_call_that_fails(instrumented: App, sent: Captured, address: str) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="x", max_retries=0)
    with client, instrumented.run("helper"), pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="broken", messages=HELLO)
    [call] = sent.steps
    assert call["status"] == "error"
    assert call["error_type"].endswith("BadRequestError")
    assert "no such model" in call["error"]
    assert "cost_usd" not in call


def test_content_where_it_is_wanted(instrumented: App, sent: Captured, address: str) -> None:
    instrumented.capture_content = True
    with openai.OpenAI(base_url=f"{address}/v1", api_key="x") as client, instrumented.run("helper"):
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    [call] = sent.steps
    assert "personal" in call["input"]
    assert "Hi" in call["output"]


async def test_many_at_once_belong_to_their_runs(instrumented: App, sent: Captured, address: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="x") as client:

        @instrumented.agent
        async def answer() -> None:
            calls = [client.chat.completions.create(model="gpt-4o-mini", messages=HELLO) for _ in range(3)]
            await asyncio.gather(*calls)

        await asyncio.gather(*(answer() for _ in range(4)))
    per_run = [sum(step["run_id"] == run["run_id"] for step in sent.steps) for run in sent.runs]
    assert per_run == [3, 3, 3, 3]


def test_outside_of_a_run_nothing_is_told(instrumented: App, sent: Captured, address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="x") as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    assert sent.steps == []


def test_who_exports_spans_sees_runs_and_steps(
    instrumented: App, sent: Captured, exported: InMemorySpanExporter
) -> None:
    with instrumented.run("helper") as run, run.step("draft"):
        pass
    names = [(span.name, bool(span.parent)) for span in exported.get_finished_spans()]
    assert names == [("draft", True), ("invoke_agent helper", False)]
    [_, root] = exported.get_finished_spans()
    assert (root.attributes or {})["upshot.run_id"] == run.id
