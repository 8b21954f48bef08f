"""A provider's raw answer on a span, as LiteLLM's callback writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.traces.test_dialects import span
from upshot.otel.steps import call_of, says_usage, step_of
from upshot.otel.usage import usage_in

RUN = "r1"
OPENAI: dict[str, Any] = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 300},
    "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": None},
}
ANTHROPIC = {"input_tokens": 700, "output_tokens": 50, "cache_read_input_tokens": 300}
WRITTEN = ANTHROPIC | {"input_tokens": 500, "cache_creation_input_tokens": 200}
GEMINI = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 1050,
    "cachedContentTokenCount": 300,
}
BEDROCK = {"inputTokens": 700, "outputTokens": 50, "totalTokens": 1050, "cacheReadInputTokens": 300}
RESPONSES = {
    "input_tokens": 1000,
    "output_tokens": 50,
    "total_tokens": 1050,
    "input_tokens_details": {"cached_tokens": 300},
}


def raw(provider: str, usage: Any, member: str = "usage", **facts: Any) -> dict[str, Any]:
    said = {f"llm.{provider}.{name}": value for name, value in facts.items()}
    return {f"llm.{provider}.{member}": usage, f"llm.{provider}.messages": "[SECRET]"} | said


@pytest.mark.parametrize("written", [str, json.dumps], ids=["python", "json"])
@pytest.mark.parametrize(
    ("provider", "member", "usage"),
    [
        ("openai", "usage", OPENAI),
        ("azure", "usage", RESPONSES),
        ("anthropic", "usage", ANTHROPIC),
        ("anthropic", "usage", WRITTEN),
        ("vertex_ai", "usageMetadata", GEMINI),
        ("bedrock", "usage", BEDROCK),
    ],
)
def test_the_tokens_of_a_raw_answer(provider: str, member: str, usage: Any, written: Any) -> None:
    step = step_of(span(raw(provider, written(usage), member, model="m-1", id="chatcmpl-1")), RUN)
    assert (step.input_tokens, step.output_tokens, step.cached_input_tokens) == (1000, 50, 300)
    assert (step.kind, step.model, step.response_id) == ("model", "m-1", "chatcmpl-1")
    assert "SECRET" not in step.model_dump_json()


def test_a_raw_answer_is_the_call_of_the_span_beside_it() -> None:
    call = call_of(span(raw("openai", str(OPENAI), model="gpt-4o-mini", id="chatcmpl-1")))
    assert (call.response_id, call.model, call.input_tokens) == ("chatcmpl-1", "gpt-4o-mini", 1000)


@pytest.mark.parametrize(
    "usage",
    ["", "{", "[1]", "{'prompt_tokens': __import__('os')}", "{" * 20_000, "{'a': 1}" * 5000, 7, None, ["x"],
     "{'prompt_tokens': -5}", "{'prompt_tokens': 'many'}"],
    ids=repr,
)  # fmt: skip
def test_an_unreadable_usage_counts_nothing(usage: Any) -> None:
    given = span(raw("openai", usage))
    assert not says_usage(given)
    assert step_of(given, RUN).input_tokens is None


def test_the_spans_own_figures_win_over_the_raw_answer() -> None:
    own = {"gen_ai.usage.input_tokens": 7, "gen_ai.provider.name": "groq"}
    step = step_of(span(raw("openai", str(OPENAI)) | own), RUN)
    assert (step.input_tokens, step.provider) == (7, "groq")
    assert usage_in(own).input_tokens == 7


def test_no_provider_is_no_word() -> None:
    step = step_of(span(raw("None", str(OPENAI), model="gpt-4o-mini")), RUN)
    assert (step.provider, step.input_tokens) != ("none", None)
