"""Whose usage counts, in the real engine.

By the rule of `upshot.otel.calls`, in any order and any batches.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.store.conftest import Store, record
from tests.traces.test_dialects import SECOND, START, span
from upshot.insights.pages.run import steps_after, steps_query
from upshot.insights.reader import Reader
from upshot.ops.doctor.clickhouse import examine_clickhouse
from upshot.ops.doctor.finding import Finding
from upshot.otel import SpanRecord, price_table
from upshot.otel.calls import Call, repeats_of
from upshot.otel.events import KNOWN_AS, events_of
from upshot.otel.otlp import Spans

pytestmark = pytest.mark.stack

TRACE = "0" * 31 + "1"
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.system": "openai"}
USED = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def otlp(own: str, parent: str | None, said: dict[str, Any], **changed: Any) -> SpanRecord:
    given = {
        "span_id": f"{own:0>16}",
        "parent_span_id": parent and f"{parent:0>16}",
        "scope": own,
        "name": own,
    }
    return span(said, **(given | changed))


async def told(store: Store, *batches: Sequence[SpanRecord]) -> None:
    """Each batch as a request of its own."""
    for spans in batches:
        mapped = events_of(Spans(list(spans), {}), price_table(), with_content=False)
        await store.take(*(record(event.topic, event.value) for event in mapped.events))


AROUND = otlp("b", None, {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini"} | USED)
CALL = otlp("a", "b", CHAT | USED)
BATCHES: list[list[Sequence[SpanRecord]]] = [
    [[CALL], [AROUND]],
    [[AROUND], [CALL]],
    [[CALL, AROUND]],
    [[CALL], [AROUND], [AROUND, CALL]],
    [[AROUND, CALL], [CALL], [AROUND]],
]


@pytest.mark.parametrize("batches", BATCHES, ids=range(len(BATCHES)))
async def test_usage_does_not_depend_on_batches(store: Store, batches: list[Sequence[SpanRecord]]) -> None:
    await told(store, *batches)
    [[tokens, cost, steps, reported]] = store.values(
        "SELECT sum(input_tokens), round(sum(cost_usd), 6), count(), sum(reported_input_tokens) FROM steps"
    )
    assert (tokens, cost, steps, reported) == (1000, 0.00018, 2, 2000)
    assert store.values("SELECT name, counted FROM steps ORDER BY name") == [("a", True), ("b", False)]
    assert store.values("SELECT step_id, because FROM repeated_usage") == [(AROUND.span_id, "below")]


def inside(spans: int) -> dict[str, int]:
    return {"start_ns": START + spans * SECOND // 100, "end_ns": START + SECOND - spans * SECOND // 100}


TWINS = {
    "one answer": (
        otlp("f", None, {"gen_ai.agent.name": "x"}),
        otlp("c", "f", CHAT | USED | {"gen_ai.response.id": "msg_1"}, start_ns=START, end_ns=START + 5),
        otlp("d", "f", CHAT | USED | {"gen_ai.response.id": "msg_1"}),
    ),
    "one answer, inside what OpenInference tells": (
        otlp("c", None, CHAT | USED | {"output.value": '{"id":"chatcmpl-7","choices":[]}'}, end_ns=START + 5),
        otlp("d", None, CHAT | USED | {"gen_ai.response.id": "chatcmpl-7"}),
    ),
    "the same figures, one inside the other": (
        otlp("c", None, CHAT | USED | {"gen_ai.response.model": "gpt-4o-mini-2024-07-18"}, **inside(1)),
        otlp("d", None, CHAT | USED, **inside(2)),
    ),
    "three tell of it": tuple(otlp(name, None, CHAT | USED, **inside(n)) for n, name in enumerate("cde")),
}


@pytest.mark.parametrize("case", TWINS)
async def test_one_call_that_several_tell_of_counts_once(store: Store, case: str) -> None:
    for order in list(permutations(TWINS[case]))[:4]:
        store.clear()
        await told(store, *([one] for one in order))
        sums = "SELECT sum(input_tokens), sum(output_tokens), round(sum(cost_usd), 6), count() FROM steps"
        assert store.values(sums) == [(1000, 50, 0.00018, len(order))]
        told_of = sum("gen_ai.operation.name" in one.attributes for one in order)
        assert store.values("SELECT count(), min(because) FROM repeated_usage") == [(told_of - 1, "twin")]


async def test_the_doctor_names_who_tells_of_a_call_again(store: Store) -> None:
    def found() -> Finding:
        return next(finding for finding in examine_clickhouse(store.settings) if finding.check == "usage")

    now = time.time_ns() // 1_000_000
    assert found().state == "fine"
    mapped = events_of(Spans([*TWINS["one answer"], AROUND, CALL], {}), price_table(), with_content=False)
    await store.take(*(record(event.topic, event.value, timestamp=now) for event in mapped.events))
    assert found().state == "notice"
    who = store.values(
        "SELECT instrumentation FROM steps WHERE step_id IN (SELECT step_id FROM repeated_usage WHERE "
        "because = 'twin')"
    )
    assert who and all(f"1 by {name}" in found().found for [name] in who), found()
    step = {
        "run_id": "r9",
        "step_id": "s",
        "name": "n",
        "attributes": {"upshot.repeats": "t", "otel.scope.name": "lib"},
    }
    await store.take(record("steps", step, timestamp=now))
    assert "1 by lib" in found().found


TWO = {
    "other answers": (
        otlp("c", None, CHAT | USED | {"gen_ai.response.id": "msg_1"}, **inside(1)),
        otlp("d", None, CHAT | USED | {"gen_ai.response.id": "msg_2"}, **inside(2)),
    ),
    "one instrumentation tells of two": (
        otlp("c", None, CHAT | USED, **inside(1), scope="lib", name="chat"),
        otlp("d", None, CHAT | USED, **inside(2), scope="lib", name="chat"),
    ),
    "other times": (
        otlp("c", None, CHAT | USED, end_ns=START + SECOND // 2),
        otlp("d", None, CHAT | USED, start_ns=START + SECOND // 4),
    ),
    "other models": (
        otlp("c", None, CHAT | USED, **inside(1)),
        otlp("d", None, CHAT | USED | {"gen_ai.request.model": "gpt-4o"}, **inside(2)),
    ),
}


@pytest.mark.parametrize("case", TWO)
async def test_two_calls_are_two(store: Store, case: str) -> None:
    await told(store, TWO[case])
    assert store.values("SELECT sum(input_tokens) FROM steps") == [(2000,)]


async def test_the_view_has_the_rule_of_the_code(store: Store) -> None:
    rng = random.Random(7)
    steps = [step for number in range(300) for step in made_up(rng, f"r{number}")]
    rng.shuffle(steps)
    await store.take(*(record("steps", step, offset=n) for n, step in enumerate(steps)))
    found: dict[str, set[str]] = {}
    for run_id, step_id in store.values("SELECT run_id, step_id FROM repeated_usage"):
        found.setdefault(run_id, set()).add(step_id)
    by_run: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        by_run.setdefault(step["run_id"], []).append(step)
    expected = {run_id: set(rule(of_run)) for run_id, of_run in by_run.items()}
    assert found == {run_id: repeated for run_id, repeated in expected.items() if repeated}
    assert len(found) > 50, "the data has to try it"
    some = by_run["r5"], "SELECT count() FROM steps WHERE run_id = 'r5'"
    assert store.values(some[1]) == [(len(some[0]),)]
    reader = Reader(store.settings)
    for run_id in sorted(by_run)[:60]:
        rows = steps_query(run_id).rows(reader)
        assert steps_after(reader, run_id, 0, 100) == (rows, totals(rows))
        assert steps_after(reader, run_id, 100, 1) == ([], totals(rows))


def totals(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The sums of a run's steps, of which none failed."""
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    return {
        "steps": len(rows),
        "input_tokens": sum(row["input_tokens"] or 0 for row in rows),
        "output_tokens": sum(row["output_tokens"] or 0 for row in rows),
        "cost_usd": sum(costs) if costs else None,
        "failed": 0,
        "first_at": min(row["started_at"] for row in rows),
        "last_at": max(row["ended_at"] for row in rows),
    }


def made_up(rng: random.Random, run_id: str) -> list[dict[str, Any]]:
    """Steps of a run, each inside the time of its parent."""
    times: list[tuple[int, int]] = []
    steps = []
    for place in range(rng.randint(1, 9)):
        parent = rng.choice([None, *range(place)])
        low, high = (0, 60) if parent is None else times[parent]
        began = rng.randint(low, high)
        times.append((began, rng.randint(began, high)))
        usage: dict[str, Any] = {}
        if rng.random() < 0.6:
            usage = {"input_tokens": rng.choice([5, 7]), "output_tokens": 3}
            usage |= {"cost_usd": 0.5} if rng.random() < 0.5 else {}
            usage |= {"response_id": rng.choice("xy")} if rng.random() < 0.4 else {}
        teller = rng.choice(["", "a", "b", "c"])
        steps.append(
            {
                "run_id": run_id,
                "step_id": f"s{place}",
                "name": rng.choice(["chat", "call"]),
                "model": rng.choice(["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "claude-sonnet-4-5-20250929"]),
                "started_at": (NOON + timedelta(seconds=times[place][0])).isoformat(),
                "ended_at": (NOON + timedelta(seconds=times[place][1])).isoformat(),
                **({} if parent is None else {"parent_step_id": f"s{parent}"}),
                **({"attributes": {"otel.scope.name": teller}} if teller else {}),
                **usage,
            }
        )
    return steps


def rule(steps: list[dict[str, Any]]) -> dict[str, str]:
    """Which steps repeat, by the code."""

    def at(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp())

    calls = [
        Call(
            step=step["step_id"],
            parent=step.get("parent_step_id"),
            instrumentation=step.get("attributes", {}).get("otel.scope.name", ""),
            name=step["name"],
            response_id=step.get("response_id", ""),
            model=step["model"],
            input_tokens=step["input_tokens"],
            output_tokens=step["output_tokens"],
            started=at(step["started_at"]),
            ended=at(step["ended_at"]),
            priced="cost_usd" in step,
        )
        for step in steps
        if "input_tokens" in step
    ]
    return repeats_of(calls, {step["step_id"]: step.get("parent_step_id") for step in steps})


ROOT = otlp("a", None, {"gen_ai.agent.name": "x", "upshot.run_id": "order-run-7"})
CHILDREN = otlp("b", "a", CHAT | USED), otlp("c", "b", {"gen_ai.agent.name": "helper"} | USED)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_a_root_takes_its_trace_along(store: Store, order: tuple[int, ...]) -> None:
    spans = ROOT, *CHILDREN
    await told(store, *([spans[place]] for place in order), spans)
    assert store.values("SELECT run_id, count(), sum(input_tokens) FROM steps GROUP BY run_id") == [
        ("order-run-7", 3, 1000)
    ]
    assert store.values("SELECT run_id, agent FROM runs") == [("order-run-7", "x")]
    assert store.values("SELECT count() FROM steps WHERE run_id = 'order-run-7'") == [(3,)]
    assert store.values(f"SELECT DISTINCT known_as FROM raw_run_aliases WHERE run_id = '{TRACE}'") == [
        ("order-run-7",)
    ]
    assert KNOWN_AS not in store.values("SELECT attributes FROM runs")[0][0]
