"""Usage over any tree of spans.

What is counted is what the innermost tellers say, batch by batch or one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.traces.test_dialects import span
from upshot.otel import SpanRecord, repeated_usage, step_of, steps_of
from upshot.otel.calls import Counting
from upshot.otel.steps import call_of, says_usage


class Node(NamedTuple):
    """A span of a tree: its parent's place in the list, and the tokens that it tells of."""

    parent: int | None
    tokens: int | None


@st.composite
def trees(draw: st.DrawFn) -> list[Node]:
    """Any tree, parents before their children."""
    nodes = [Node(None, None)]
    for place in range(1, draw(st.integers(1, 12))):
        nodes.append(Node(draw(st.integers(0, place - 1)), draw(st.none() | st.integers(0, 99))))
    return nodes


def spans_of(nodes: list[Node], kind: str) -> list[SpanRecord]:
    def told(node: Node) -> dict[str, Any]:
        usage = {} if node.tokens is None else {"gen_ai.usage.input_tokens": node.tokens}
        return {"upshot.kind": kind, **usage}

    return [
        span(
            told(node),
            span_id=f"{place:016x}",
            parent_span_id=None if node.parent is None else f"{node.parent:016x}",
        )
        for place, node in enumerate(nodes)
    ]


def innermost(nodes: list[Node]) -> int:
    """The tokens of all that tell some and have nobody below who does."""

    def below(place: int) -> bool:
        children = [n for n, node in enumerate(nodes) if node.parent == place]
        return any(nodes[child].tokens is not None or below(child) for child in children)

    return sum(node.tokens or 0 for place, node in enumerate(nodes) if not below(place))


@given(nodes=trees(), order=st.randoms())
def test_nothing_is_counted_twice_and_nothing_is_lost(nodes: list[Node], order: Any) -> None:
    spans = spans_of(nodes, "model")
    order.shuffle(spans)
    assert sum(step.input_tokens or 0 for step in steps_of(spans, "r1")) == innermost(nodes)


@given(nodes=trees())
def test_one_by_one_as_they_end_gives_the_same(nodes: list[Node]) -> None:
    """As in a process: children end before their parents,
    so an agent's own usage is known to be nobody's else.
    """
    spans = spans_of(nodes, "agent")
    counting = Counting()
    repeated = set()
    for ended in reversed(spans):
        if not says_usage(ended):
            counting.passed(ended.span_id, ended.parent_span_id)
        elif counting.repeats(call_of(ended)) is not None:
            repeated.add(ended.span_id)
    steps = [step_of(span, "r1", repeats=span.span_id in repeated) for span in spans]
    assert sum(step.input_tokens or 0 for step in steps) == innermost(nodes)
    assert repeated == repeated_usage(spans).keys()
