"""Each dialect says the same call in its own words; all of them become the same step."""

from __future__ import annotations

from typing import Any

import pytest

from upshot.otel import SpanEvent, SpanRecord, Usage, step_of
from upshot.schemas.steps import Step

START = 1_767_268_800_000_000_000
SECOND = 1_000_000_000


def span(attributes: dict[str, Any], **changed: Any) -> SpanRecord:
    given: dict[str, Any] = {
        "trace_id": "0" * 31 + "1",
        "span_id": "000000000000000a",
        "name": "call",
        "start_ns": START,
        "end_ns": START + SECOND,
    }
    return SpanRecord(**(given | {"attributes": attributes} | changed))


CALL = {
    "kind": "model",
    "provider": "openai",
    "model": "gpt-4o-2024-08-06",
    "input_tokens": 20,
    "output_tokens": 7,
    "cached_input_tokens": 4,
    "cache_write_input_tokens": 3,
    "reasoning_output_tokens": 2,
    "finish_reasons": ["stop"],
}

DIALECTS: dict[str, dict[str, Any]] = {
    "gen_ai, current": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.response.finish_reasons": ("stop",),
    },
    "gen_ai, older": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.prompt_tokens": 20,
        "gen_ai.usage.completion_tokens": 7,
        "gen_ai.usage.cache_read_input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "gen_ai.usage.reasoning_tokens": 2,
        "gen_ai.response.finish_reasons": ["stop"],
    },
    "Traceloop": {
        "llm.request.type": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.prompt_tokens": 20,
        "gen_ai.usage.completion_tokens": 7,
        "llm.usage.total_tokens": 27,
        "gen_ai.usage.cache_read_input_tokens": 4,
        "gen_ai.usage.cache_creation_input_tokens": 3,
        "llm.usage.reasoning_tokens": 2,
        "llm.response.finish_reason": "stop",
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.model_name": "gpt-4o-2024-08-06",
        "llm.token_count.prompt": 20,
        "llm.token_count.completion": 7,
        "llm.token_count.total": 27,
        "llm.token_count.prompt_details.cache_read": 4,
        "llm.token_count.prompt_details.cache_write": 3,
        "llm.token_count.completion_details.reasoning": 2,
        "llm.finish_reason": "stop",
    },
    "pydantic-ai": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.details.cache_read_tokens": 4,
        "gen_ai.usage.details.cache_write_tokens": 3,
        "gen_ai.usage.details.reasoning_tokens": 2,
        "gen_ai.response.finish_reasons": ("stop",),
    },
    "as exporters write numbers": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": "20",
        "gen_ai.usage.output_tokens": 7.0,
        "gen_ai.usage.cache_read.input_tokens": "4",
        "gen_ai.usage.cache_write.input_tokens": 3.0,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.response.finish_reasons": "stop",
    },
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_says_the_same_call(dialect: str) -> None:
    step = step_of(span(DIALECTS[dialect]), "r1")
    assert {name: getattr(step, name) for name in CALL} == CALL
    assert step.attributes == {}


KINDS = [
    ({"gen_ai.operation.name": "chat"}, "model"),
    ({"gen_ai.operation.name": "generate_content"}, "model"),
    ({"gen_ai.operation.name": "text_completion"}, "model"),
    ({"gen_ai.operation.name": "embeddings"}, "embedding"),
    ({"gen_ai.operation.name": "retrieval"}, "retrieval"),
    ({"gen_ai.operation.name": "execute_tool"}, "tool"),
    ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
    ({"gen_ai.operation.name": "invoke_workflow"}, "workflow"),
    ({"gen_ai.operation.name": "search_memory"}, "search_memory"),
    ({"openinference.span.kind": "LLM"}, "model"),
    ({"openinference.span.kind": "EMBEDDING"}, "embedding"),
    ({"openinference.span.kind": "RETRIEVER"}, "retrieval"),
    ({"openinference.span.kind": "RERANKER"}, "rerank"),
    ({"openinference.span.kind": "TOOL"}, "tool"),
    ({"openinference.span.kind": "AGENT"}, "agent"),
    ({"openinference.span.kind": "CHAIN"}, "chain"),
    ({"openinference.span.kind": "GUARDRAIL"}, "guardrail"),
    ({"openinference.span.kind": "UNKNOWN"}, "function"),
    ({"llm.request.type": "completion"}, "model"),
    ({"llm.request.type": "rerank"}, "rerank"),
    ({"traceloop.span.kind": "workflow"}, "workflow"),
    ({"traceloop.span.kind": "agent"}, "agent"),
    ({"traceloop.span.kind": "task"}, "function"),
    ({"traceloop.span.kind": "tool"}, "tool"),
    ({"gen_ai.tool.name": "find_order"}, "tool"),
    ({"agent_name": "support", "model_name": "gpt-4o"}, "agent"),
    ({"gen_ai.response.model": "m", "gen_ai.usage.input_tokens": 1}, "model"),
    ({"http.request.method": "GET"}, "function"),
    ({"upshot.kind": "human", "gen_ai.operation.name": "chat"}, "human"),
]


@pytest.mark.parametrize(("attributes", "kind"), KINDS, ids=[str(said) for said, _ in KINDS])
def test_kinds(attributes: dict[str, Any], kind: str) -> None:
    assert step_of(span(attributes), "r1").kind == kind


def test_tools_prompts_and_the_model_that_was_asked_for() -> None:
    said = {
        "gen_ai.tool.name": "find_order",
        "gen_ai.tool.call.id": "call_7",
        "gen_ai.prompt.name": "answer",
        "gen_ai.prompt.version": "12",
        "gen_ai.request.model": "gpt-4o",
        "server.address": "api.example",
    }
    step = step_of(span(said), "r1")
    assert (step.tool_name, step.tool_call_id) == ("find_order", "call_7")
    assert (step.prompt_name, step.prompt_version) == ("answer", "12")
    assert (step.request_model, step.model) == ("gpt-4o", "gpt-4o")
    assert step.attributes == {"server.address": "api.example"}


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        ({"attributes": {"gen_ai.response.time_to_first_chunk": 0.25}}, 0.25),
        ({"events": (SpanEvent("First Token Stream Event", START + SECOND // 2),)}, 0.5),
        (
            {
                "events": tuple(
                    SpanEvent("llm.content.completion.chunk", START + n * SECOND // 4) for n in (3, 1)
                )
            },
            0.25,
        ),
        ({"events": (SpanEvent("something else", START),)}, None),
        ({"attributes": {"ai.response.msToFirstChunk": 250.0}}, 0.25),
        ({"attributes": {"ai.response.msToFirstChunk": 40}}, 0.04),
        ({"attributes": {"ai.stream.msToFirstChunk": 250}}, 0.25),
        ({"attributes": {"gen_ai.latency.time_to_first_token": 0.25}}, 0.25),
        ({"attributes": {"gen_ai.response.time_to_first_token": 0.25}}, 0.25),
        (
            {
                "attributes": {
                    "gen_ai.response.time_to_first_chunk": 0.5,
                    "ai.response.msToFirstChunk": 250,
                }
            },
            0.5,
        ),
        ({"attributes": {"ai.response.msToFirstChunk": "soon"}}, None),
    ],
)
def test_time_to_the_first_chunk(changed: dict[str, Any], seconds: float | None) -> None:
    assert step_of(span(**({"attributes": {}} | changed)), "r1").first_chunk_seconds == seconds


def test_how_a_span_failed() -> None:
    raised = SpanEvent(
        "exception", START, {"exception.type": "TimeoutError", "exception.message": "no answer"}
    )
    cases: list[tuple[dict[str, Any], tuple[str, str | None, str | None]]] = [
        ({}, ("ok", None, None)),
        ({"status": "ok"}, ("ok", None, None)),
        ({"events": (raised,)}, ("ok", None, None)),
        ({"status": "error"}, ("error", "", None)),
        ({"status": "error", "status_message": "no"}, ("error", "no", None)),
        ({"status": "error", "events": (raised,)}, ("error", "no answer", "TimeoutError")),
        ({"status": "error", "attributes": {"error.type": "429"}}, ("error", "429", "429")),
        (
            {"status": "error", "attributes": {"error.type": "asyncio.exceptions.CancelledError"}},
            ("cancelled", "asyncio.exceptions.CancelledError", "asyncio.exceptions.CancelledError"),
        ),
    ]
    for changed, expected in cases:
        step = step_of(span(**({"attributes": {}} | changed)), "r1")
        assert (step.status, step.error, step.error_type) == expected


def test_uncached_tokens_are_what_is_left() -> None:
    assert Usage(20, 7, 4, 3).uncached == 13
    assert Usage(4, 7, 16, None).uncached == -12
    assert Usage(None, 7, 16, None).uncached is None


def test_a_step_survives_its_own_json() -> None:
    for attributes in DIALECTS.values():
        step = step_of(span(attributes), "r1", with_content=True)
        assert Step.model_validate_json(step.model_dump_json()) == step
