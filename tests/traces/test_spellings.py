"""Kinds, providers, models and stop reasons in one spelling, with the raw words beside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traces.test_dialects import span
from upshot.otel import step_of
from upshot.otel.names import family_of, model_of, provider_of, stop_of

LLM = {"openinference.span.kind": "LLM"}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("acompletion", "model"),
        ("completion", "model"),
        ("atext_completion", "model"),
        ("aresponses", "model"),
        ("anthropic_messages", "model"),
        ("Chat", "model"),
        ("generate_content_stream", "model"),
        ("aembedding", "embedding"),
        ("embed", "embedding"),
        ("arerank", "rerank"),
        ("atranscription", "speech"),
        ("agent", "agent"),
        ("handoff", "handoff"),
    ],
)
def test_kinds_of_operations(word: str, kind: str) -> None:
    step = step_of(span({"gen_ai.operation.name": word}), "r1")
    assert (step.kind, step.operation) == (kind, word)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"ai.operationId": "ai.generateText"}, "chain"),
        ({"ai.operationId": "ai.streamText.doStream"}, "model"),
        ({"ai.operationId": "ai.toolCall"}, "tool"),
        ({"ai.operationId": "ai.embed.doEmbed"}, "embedding"),
        ({"sentry.op": "gen_ai.chat"}, "model"),
        ({"sentry.op": "gen_ai.execute_tool"}, "tool"),
        ({"langfuse.observation.type": "generation"}, "model"),
        ({"langsmith.span.kind": "llm"}, "model"),
        ({"langsmith.span.kind": "retriever"}, "retrieval"),
        ({"mlflow.spanType": '"CHAT_MODEL"'}, "model"),
        ({"mlflow.spanType": "TOOL"}, "tool"),
        ({"lmnr.span.type": "LLM"}, "model"),
    ],
    ids=str,
)
def test_kinds_of_more_dialects(said: dict[str, Any], kind: str) -> None:
    assert step_of(span(said), "r1").kind == kind


@pytest.mark.parametrize(
    ("word", "provider"),
    [
        ("OpenAI", "openai"),
        ("openai.responses", "openai"),
        ("Azure OpenAI", "azure.ai.openai"),
        ("az.ai.openai", "azure.ai.openai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("AWS", "aws.bedrock"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("VertexAI", "gcp.vertex_ai"),
        ("mistralai", "mistral_ai"),
        ("xAI", "x_ai"),
        ("our-own Machines", "our-own-machines"),
        ("LangChain", None),
        ("strands-agents", None),
    ],
)
def test_providers(word: str, provider: str | None) -> None:
    assert provider_of(word) == provider
    step = step_of(span(LLM | {"gen_ai.system": word}), "r1")
    assert step.provider == provider
    assert step.attributes == ({} if word == provider else {"gen_ai.system": word})


@pytest.mark.parametrize(
    ("name", "model", "provider"),
    [
        ("openai/gpt-4o-mini", "gpt-4o-mini", "openai"),
        ("openrouter/anthropic/claude-sonnet-4-5", "claude-sonnet-4-5", "openrouter"),
        ("anthropic:claude-sonnet-4-5", "claude-sonnet-4-5", "anthropic"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash", None),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws.bedrock",
        ),
        ("meta-llama/Llama-3.3-70B", "meta-llama/Llama-3.3-70B", None),
        ("house/llama", "house/llama", None),
        ("llama3:8b", "llama3:8b", None),
        ("ft:gpt-4o:acme", "ft:gpt-4o:acme", None),
        ("openai/", "openai/", None),
        ("gpt-4o", "gpt-4o", None),
    ],
)
def test_models(name: str, model: str, provider: str | None) -> None:
    assert model_of(name) == (model, provider)
    step = step_of(span(LLM | {"llm.model_name": name}), "r1")
    assert (step.model, step.provider) == (model, provider)
    assert step.attributes == ({} if model == name else {"llm.model_name": name})


def test_releases_of_one_model() -> None:
    spelled = ("gpt-4o-mini", "openai/gpt-4o-mini-2024-07-18", "GPT-4o-mini-latest")
    assert {family_of(name) for name in spelled} == {"gpt-4o-mini"}
    assert (
        family_of("claude-sonnet-4-5@20250929")
        == family_of("claude-sonnet-4-5")
        != family_of("claude-sonnet-4")
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("FinishReason.STOP", "stop"),
        ("tool_use", "tool_calls"),
        ("tool-calls", "tool_calls"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("paused", "paused"),
    ],
)
def test_stop_reasons(word: str, reason: str) -> None:
    assert stop_of(word) == reason
    step = step_of(span(LLM | {"gen_ai.response.finish_reasons": (word,)}), "r1")
    assert step.finish_reasons == [reason]
    assert step.attributes == ({} if word == reason else {"gen_ai.response.finish_reasons": [word]})


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.response.finish_reasons": '["end_turn"]'},
        {"gen_ai.completion.0.finish_reason": "stop"},
        {"ai.response.finishReason": "stop"},
        LLM | {"output.value": '{"choices":[{"finish_reason":"stop"}]}'},
        LLM | {"output.value": '{"stop_reason": "end_turn"}'},
    ],
    ids=str,
)
def test_where_stop_reasons_stand(said: dict[str, Any]) -> None:
    assert step_of(span(said), "r1").finish_reasons == ["stop"]


@pytest.mark.parametrize(
    ("said", "name", "model"),
    [
        (LLM | {"llm.invocation_parameters": '{"model": "gpt-4o-mini"}'}, "call", "gpt-4o-mini"),
        (LLM | {"llm.invocation_parameters": '{"model_name": "openai/gpt-4o"}'}, "call", "gpt-4o"),
        (LLM | {"llm.invocation_parameters": "{"}, "call", None),
        (LLM | {"metadata": '{"ls_model_name": "gpt-4o", "ls_provider": "openai"}'}, "call", "gpt-4o"),
        ({"gen_ai.operation.name": "chat"}, "chat gpt-4o", "gpt-4o"),
        ({"gen_ai.operation.name": "execute_tool"}, "execute_tool search", None),
    ],
    ids=str,
)
def test_a_call_that_failed_says_its_model_somewhere(
    said: dict[str, Any], name: str, model: str | None
) -> None:
    step = step_of(span(said, name=name, status="error", status_message="429"), "r1")
    assert (step.model, step.status) == (model, "error")


def test_a_span_says_whose_it_is() -> None:
    assert step_of(span({}, scope="lib"), "r1").attributes == {"otel.scope.name": "lib"}
