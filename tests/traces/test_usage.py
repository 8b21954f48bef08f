"""Usage counts once; a cost has one source; content is opt-in.

Nothing that a span says breaks the mapping.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.traces.test_dialects import START, span
from upshot.otel import (
    SpanRecord,
    Usage,
    price_table,
    repeated_usage,
    run_id_of,
    run_of,
    step_of,
    steps_of,
    trace_of,
)
from upshot.otel.content_names import CONTENT
from upshot.otel.vocabulary import AMOUNTS, COUNTS, KINDS, LISTS, TEXTS
from upshot.schemas.steps import Step

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o"}
USED = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}


def tree(*spans: tuple[str, str | None, dict[str, Any]]) -> list[SpanRecord]:
    return [span(said, span_id=name, parent_span_id=parent) for name, parent, said in spans]


AGENT = {"gen_ai.operation.name": "invoke_agent", **USED}


def test_an_agent_repeats_what_its_calls_used() -> None:
    spans = tree(
        ("a", None, AGENT), ("b", "a", CHAT | USED), ("c", "a", {}), ("d", "c", CHAT | USED | {"x": 1})
    )
    assert repeated_usage(spans) == {"a": "b"}
    steps = {step.step_id: step for step in steps_of(spans, "r1")}
    assert {name: step.input_tokens for name, step in steps.items()} == {
        "a": None,
        "b": 1000,
        "c": None,
        "d": 1000,
    }
    assert steps["a"].attributes == USED
    assert steps["d"].attributes == {"x": 1}


def test_a_model_call_around_a_model_call_is_counted_once() -> None:
    spans = tree(("outer", None, CHAT | USED), ("inner", "outer", CHAT | USED))
    assert [step.input_tokens for step in steps_of(spans, "r1")] == [None, 1000]


def test_a_step_says_what_its_span_says_unless_that_is_repeated() -> None:
    assert step_of(span(AGENT), "r1").input_tokens == 1000
    assert step_of(span(AGENT), "r1", repeats=True).input_tokens is None
    assert step_of(span(CHAT | USED), "r1").input_tokens == 1000
    assert step_of(span(CHAT | USED), "r1", repeats=True).input_tokens is None


def test_a_cost_that_is_repeated_does_not_count_either() -> None:
    spans = tree(
        ("a", None, {"gen_ai.agent.name": "x", "operation.cost": 0.5}), ("b", "a", {"operation.cost": 0.5})
    )
    assert [step.cost_usd for step in steps_of(spans, "r1")] == [None, 0.5]


def ten_dollars(provider: str | None, model: str, usage: Usage, at: datetime) -> float | None:
    return 10.0 if model == "gpt-4o" else None


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({}, (10.0, "table")),
        ({"operation.cost": 2}, (2.0, "span")),
        ({"llm.cost.total": 2.5}, (2.5, "span")),
        ({"gen_ai.usage.cost": 0.0}, (0.0, "span")),
        ({"operation.cost": 2, "upshot.cost_usd": 3.0}, (3.0, "given")),
        ({"operation.cost": -1}, (10.0, "table")),
        ({"operation.cost": float("nan")}, (10.0, "table")),
        ({"gen_ai.response.model": "house/llama"}, (None, None)),
        ({"gen_ai.usage.cache_read.input_tokens": 5000}, (10.0, "table")),
    ],
    ids=str,
)
def test_where_a_cost_comes_from(said: dict[str, Any], cost: tuple[float | None, str | None]) -> None:
    step = step_of(span(CHAT | USED | said), "r1", prices=ten_dollars)
    assert (step.cost_usd, step.cost_source) == cost


def test_no_usage_no_price() -> None:
    assert step_of(span(CHAT), "r1", prices=ten_dollars).cost_usd is None


def test_the_real_table_knows_models_and_says_nothing_of_others() -> None:
    at = datetime.fromisoformat("2026-01-01T12:00:00Z")
    price = price_table()
    usage = Usage(1000, 100, 200)
    assert price("openai", "gpt-4o-mini-2024-07-18", usage, at) == pytest.approx(0.000195)
    assert price(None, "gpt-4o-mini", usage, at) == pytest.approx(0.000195)
    assert price("openai", "house/llama-ft-9", usage, at) is None
    assert price("our-own-machines", "gpt-4o-mini", usage, at) is None


TALK = {
    "gen_ai.input.messages": '[{"role": "user"}]',
    "gen_ai.output.messages": "secret",
    "gen_ai.system_instructions": "secret",
    "llm.input_messages.0.message.content": "secret",
    "gen_ai.completion.0.content": "secret",
    "input.value": "secret",
    "anything.long": "s" * 1001,
    "many.short": ["secret"] * 1000,
}


def test_content_is_opt_in() -> None:
    step = step_of(span(CHAT | TALK), "r1")
    assert (step.input, step.output, step.attributes) == (None, None, {})
    step = step_of(span(CHAT | TALK), "r1", with_content=True)
    assert (step.input, step.output, step.attributes) == ('[{"role": "user"}]', "secret", {})


def test_what_is_spread_over_many_attributes_is_gathered() -> None:
    said = {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi", "gen_ai.prompt.name": "answer"}
    step = step_of(span(said), "r1", with_content=True)
    assert step.input == '{"0.content": "hi", "0.role": "user"}'
    assert step.prompt_name == "answer"


def test_steps_of_a_run_leave_its_own_span_out() -> None:
    spans = tree(("root", None, AGENT), ("a", "root", CHAT | USED), ("b", "a", {}))
    steps = steps_of(spans, "r1", root="root")
    assert [(step.step_id, step.parent_step_id) for step in steps] == [("a", None), ("b", "a")]


def test_the_run_that_an_agent_span_is() -> None:
    said = {
        "gen_ai.agent.name": "support",
        "gen_ai.agent.version": "1.2",
        "gen_ai.conversation.id": "c-7",
        "tenant": "acme",
        "input.value": "secret",
    }
    run = run_of(span(said, trace_id="a" * 32, span_id="b" * 16, status="error", status_message="no"))
    assert run.run_id == f"{'a' * 32}-{'b' * 16}"
    assert (run.agent, run.version, run.session_id) == ("support", "1.2", "c-7")
    assert (run.status, run.error, run.attributes) == ("failed", "no", {})
    assert run.started_at and run.ended_at and run.started_at < run.ended_at
    assert run_of(span({}, resource={"service.version": "3"})).version == "3"


def test_a_run_id_leads_back_to_its_trace() -> None:
    assert trace_of(run_id_of("a" * 32, "b" * 16)) == ("a" * 32, "b" * 16)
    assert trace_of("ticket-7") is None


NAMES = sorted(
    {name for table in (TEXTS, COUNTS, AMOUNTS, LISTS) for names in table.values() for name in names}
    | {*KINDS, *CONTENT, "x", ""}
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=3)


@given(
    attributes=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8),
    name=st.text(max_size=300),
    start=st.integers(min_value=0, max_value=2**63),
    with_content=st.booleans(),
)
def test_nothing_that_a_span_says_breaks_it(
    attributes: dict[str, Any], name: str, start: int, with_content: bool
) -> None:
    step = step_of(
        span(attributes, name=name, start_ns=start), "r1", with_content=with_content, prices=ten_dollars
    )
    assert Step.model_validate(step.model_dump()) == step or "nan" in repr(step)
    run_of(span(attributes, name=name, end_ns=START))
