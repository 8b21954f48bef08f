"""One model call that several spans tell of counts once, in whatever order they end."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.traces.test_dialects import SECOND, START, span
from upshot.otel import SpanRecord, steps_of
from upshot.otel.calls import Counting, response_id_of
from upshot.otel.steps import call_of, says_usage

USED = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.response.model": "claude-sonnet-4-5-20250929"} | USED
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "claude-sonnet-4-5",
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 50,
}
ID = {"gen_ai.response.id": "msg_1"}


def told(own: str, said: dict[str, Any], inside: int = 0, **changed: Any) -> SpanRecord:
    """A span of an instrumentation of its own, so many hundredths of a second shorter at both ends."""
    times = {"start_ns": START + inside * SECOND // 100, "end_ns": START + SECOND - inside * SECOND // 100}
    return span(said, **({"span_id": f"{own:0>16}", "name": own, "scope": own} | times | changed))


ONCE = {
    "one id": (
        told("a", CHAT | ID),
        told("b", CHAT | ID, start_ns=START + 5 * SECOND, end_ns=START + 9 * SECOND),
    ),
    "one id, other figures": (
        told("a", CHAT | ID),
        told("b", CHAT | ID | {"gen_ai.usage.output_tokens": 49}),
    ),
    "OpenInference has it inside the answer": (
        told("a", CHAT | ID, end_ns=START + 1),
        told("b", OPENINFERENCE | {"output.value": '{"id": "msg_1", "content": [{"id": "toolu_1"}]}'}),
    ),
    "deep inside": (
        told("a", CHAT | ID, end_ns=START + 1),
        told(
            "b",
            OPENINFERENCE | {"output.value": '{"generations": [[{"message": {"kwargs": {"id": "msg_1"}}}]]}'},
        ),
    ),
    "without ids": (told("a", CHAT), told("b", OPENINFERENCE, 1)),
    "an id on one side": (told("a", CHAT | ID, 2), told("b", OPENINFERENCE, 1)),
    "of one scope, by other names": (told("a", CHAT, scope="t"), told("b", OPENINFERENCE, 1, scope="t")),
    "one id, one name": (
        told("a", CHAT | ID, name="chat", scope="t"),
        told("b", CHAT | ID, 1, name="chat", scope="t"),
    ),
    "three": (told("a", CHAT, 1), told("b", OPENINFERENCE, 2), told("c", CHAT | ID)),
}
TWICE = {
    "other ids": (told("a", CHAT | ID), told("b", CHAT | {"gen_ai.response.id": "msg_2"}, 1)),
    "one id for all answers of a server": (
        told("a", CHAT | ID, name="chat", scope="t", end_ns=START + SECOND // 3),
        told("b", CHAT | ID, name="chat", scope="t", start_ns=START + SECOND // 2),
    ),
    "one instrumentation": (
        told("a", CHAT, name="chat", scope="t"),
        told("b", CHAT, 1, name="chat", scope="t"),
    ),
    "no instrumentation": (told("a", CHAT, scope=""), told("b", CHAT, 1, scope="")),
    "overlapping": (
        told("a", CHAT, end_ns=START + SECOND // 2),
        told("b", CHAT, start_ns=START + SECOND // 3),
    ),
    "other tokens": (told("a", CHAT), told("b", CHAT | {"gen_ai.usage.output_tokens": 51}, 1)),
    "other models": (told("a", CHAT), told("b", CHAT | {"gen_ai.response.model": "claude-haiku-4-5"}, 1)),
}


def one_by_one(spans: tuple[SpanRecord, ...]) -> int:
    """The input tokens that count, as the spans end."""
    counting = Counting()
    return sum(1000 for ended in spans if counting.repeats(call_of(ended)) is None)


@pytest.mark.parametrize("case", ONCE)
def test_counted_once(case: str) -> None:
    for spans in permutations(ONCE[case]):
        steps = steps_of(spans, "r1")
        assert (len(steps), sum(step.input_tokens or 0 for step in steps)) == (len(spans), 1000)
        assert one_by_one(spans) == 1000


@pytest.mark.parametrize("case", TWICE)
def test_counted_twice(case: str) -> None:
    for spans in permutations(TWICE[case]):
        assert sum(step.input_tokens or 0 for step in steps_of(spans, "r1")) == 2000
        assert one_by_one(spans) == 2000


def test_which_counts_does_not_follow_from_the_order() -> None:
    spans = told("a", CHAT | ID), told("b", CHAT | ID | {"operation.cost": 0.5}), told("c", CHAT | ID)
    for order in permutations(spans):
        assert [step.name for step in steps_of(order, "r1") if step.input_tokens] == ["b"]


def test_what_ends_after_the_span_around_it() -> None:
    around, within = told("a", CHAT), told("b", OPENINFERENCE, 1, parent_span_id=f"{'a':0>16}")
    assert one_by_one((around, within)) == one_by_one((within, around)) == 1000


def test_steps_between_are_looked_through() -> None:
    agent = told("a", CHAT)
    between = told("b", {}, parent_span_id=agent.span_id)
    call = told("c", CHAT | ID, parent_span_id=between.span_id)
    counting = Counting()
    for ended in (call, between, agent):
        if says_usage(ended):
            counted = counting.repeats(call_of(ended)) is None
            assert counted is (ended is call)
        else:
            counting.passed(ended.span_id, ended.parent_span_id)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"gen_ai.response.id": "msg_1"}, "msg_1"),
        ({"llm.response.id": "msg_1"}, "msg_1"),
        ({"ai.response.id": "msg_1"}, "msg_1"),
        ({"output.value": '{"id": "own-7"}'}, "own-7"),
        ({"output.value": "{'id': 1}"}, None),
        ({"output.value": '{"tool_calls": [{"id": "call_77777"}]}'}, None),
        ({"output.value": '"{\\"id\\": \\"resp_12345\\"}"'}, "resp_12345"),
        ({"output.value": "hello"}, None),
        ({"output.value": 5}, None),
        ({}, None),
    ],
    ids=str,
)
def test_where_the_id_of_an_answer_stands(said: dict[str, Any], found: str | None) -> None:
    assert response_id_of(said) == found
