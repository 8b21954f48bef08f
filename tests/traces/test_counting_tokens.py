"""Cached tokens inside the input or beside it, thinking inside the output or beside it.

One way of counting.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.test_dialects import span
from upshot.otel import Usage, price_table, step_of
from upshot.otel.usage import inclusive

BEDROCK = {
    "gen_ai.system": "aws.bedrock",
    "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "llm.request.type": "chat",
}


def bedrock(given: int, made: int, read: int, written: int = 0, **more: int) -> dict[str, Any]:
    return {
        **BEDROCK,
        "gen_ai.usage.input_tokens": given,
        "gen_ai.usage.output_tokens": made,
        "gen_ai.usage.cache_read_input_tokens": read,
        "gen_ai.usage.cache_creation_input_tokens": written,
        **{name.replace("__", "."): value for name, value in more.items()},
    }


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (bedrock(9000, 300, 8000, llm__usage__total_tokens=17300), (17000, 300)),
        (bedrock(12, 300, 8000, 200, llm__usage__total_tokens=8512), (8212, 300)),
        (bedrock(12, 300, 8000, 200), (8212, 300)),
        (bedrock(9000, 300, 8000), (17000, 300)),
        (bedrock(9000, 300, 8000, llm__usage__total_tokens=9300), (9000, 300)),
        (bedrock(12, 300, 8000, llm__usage__total_tokens=312), (8012, 300)),
        (
            {
                "gen_ai.operation.name": "generate_content",
                "gen_ai.provider.name": "gcp.vertex_ai",
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 20,
                "gen_ai.usage.reasoning.output_tokens": 900,
                "gen_ai.usage.total_tokens": 1020,
            },
            (100, 920),
        ),
        (
            {
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 920,
                "gen_ai.usage.reasoning.output_tokens": 900,
                "gen_ai.usage.total_tokens": 1020,
            },
            (100, 920),
        ),
        ({"gen_ai.usage.output_tokens": 20, "gen_ai.usage.details.thoughts_tokens": 900}, (None, 920)),
    ],
    ids=str,
)
def test_beside_or_inside(said: dict[str, Any], counted: tuple[int | None, int | None]) -> None:
    step = step_of(span(said), "r1")
    assert (step.input_tokens, step.output_tokens) == counted


def test_what_stands_beside_is_paid_for() -> None:
    """Prices of a Bedrock region: a tenth above the list."""
    step = step_of(span(bedrock(9000, 300, 8000, llm__usage__total_tokens=17300)), "r1", prices=price_table())
    assert step.cost_usd == pytest.approx(1.1 * (9000 * 3 + 8000 * 0.3 + 300 * 15) / 1e6)


TOKENS = st.none() | st.integers(0, 50)


@given(usage=st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS), total=TOKENS, beside=st.booleans())
def test_never_negative_and_never_less(usage: Usage, total: int | None, beside: bool) -> None:
    counted = inclusive(usage, total, beside=beside)
    assert counted.uncached is None or counted.uncached >= 0
    if counted.output_tokens is not None:
        assert counted.output_tokens >= (counted.reasoning_output_tokens or 0)
    assert (counted.input_tokens or 0) >= (usage.input_tokens or 0)
    assert (counted.output_tokens or 0) >= (usage.output_tokens or 0)


SAME = (2006, 300, 1920, 64)


@pytest.mark.parametrize(
    "said",
    [
        {
            "ai.usage.inputTokens": 2006,
            "ai.usage.outputTokens": 300,
            "ai.usage.cachedInputTokens": 1920,
            "ai.usage.reasoningTokens": 64,
        },
        {
            "ai.usage.promptTokens": 2006,
            "ai.usage.completionTokens": 300,
            "ai.usage.inputTokenDetails.cacheReadTokens": 1920,
            "ai.usage.outputTokenDetails.reasoningTokens": 64,
        },
        {
            "gen_ai.usage.input_tokens": 2006,
            "gen_ai.usage.output_tokens": 300,
            "gen_ai.usage.input_tokens.cached": 1920,
            "gen_ai.usage.output_tokens.reasoning": 64,
            "gen_ai.usage.total_tokens": 2306,
        },
        {
            "gen_ai.usage.input_tokens": 2006,
            "gen_ai.usage.output_tokens": 300,
            "gen_ai.usage.input_token_details.cache_read": 1920,
            "gen_ai.usage.output_token_details.reasoning": 64,
        },
        {
            "langfuse.observation.usage_details": '{"input": 2006, "output": 300, "input_cached_tokens": '
            '1920, "output_reasoning_tokens": 64}'
        },
    ],
    ids=("Vercel", "Vercel, older and newer", "Sentry", "LangSmith", "Langfuse"),
)
def test_cached_and_reasoning_tokens_by_other_names(said: dict[str, Any]) -> None:
    step = step_of(span(said), "r1")
    figures = step.input_tokens, step.output_tokens, step.cached_input_tokens, step.reasoning_output_tokens
    assert figures == SAME


def test_mlflow_says_it_as_json() -> None:
    said = {"mlflow.chat.tokenUsage": '{"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}'}
    step = step_of(span(said), "r1")
    assert (step.input_tokens, step.output_tokens) == (9, 4)


def test_a_vercel_tool_and_an_embedding() -> None:
    tool = step_of(
        span({"ai.operationId": "ai.toolCall", "ai.toolCall.name": "lookup", "ai.toolCall.id": "c1"}), "r1"
    )
    assert (tool.kind, tool.tool_name, tool.tool_call_id) == ("tool", "lookup", "c1")
    said = {
        "ai.operationId": "ai.embed.doEmbed",
        "ai.model.id": "text-embedding-3-small",
        "ai.usage.tokens": 9000,
    }
    embedding = step_of(span(said), "r1", prices=price_table())
    assert (embedding.kind, embedding.input_tokens) == ("embedding", 9000)
    assert embedding.cost_usd == pytest.approx(0.00018)
