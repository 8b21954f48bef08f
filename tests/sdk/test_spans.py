"""Spans of other people's libraries.

Each a step of its run, whenever it begins, and each call counted once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from upshot import App
from upshot.otel import asked_for
from upshot.sdk import ended_spans, tracing
from upshot.testing import Captured

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.response.model": "gpt-4o-mini"}
USED = CHAT | {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50}
ID = {"gen_ai.response.id": "chatcmpl-1"}


@pytest.fixture
def tracer_of(app: App) -> Callable[[str], Tracer]:
    """A tracer for each instrumentation."""
    return app.instrument(TracerProvider(shutdown_on_exit=False)).get_tracer


def call(tracer: Tracer, said: dict[str, Any], name: str = "chat", where: Context | None = None) -> None:
    with tracer.start_as_current_span(name, context=where, attributes=said):
        """A call."""


def total(sent: Captured) -> tuple[int, float]:
    tokens = sum(step.get("input_tokens", 0) for step in sent.steps)
    return tokens, round(sum(step.get("cost_usd", 0) for step in sent.steps), 6)


def test_side_by_side_with_one_answer(app: App, sent: Captured, tracer_of: Callable[[str], Tracer]) -> None:
    with app.run("a"):
        for scope in ("langchain", "com.anthropic.sdk.python", "opentelemetry.instrumentation.anthropic"):
            call(tracer_of(scope), USED | ID)
    first, *others = sent.steps
    assert total(sent) == (1000, 0.00018)
    assert (len(others), first["response_id"]) == (2, "chatcmpl-1")
    for other in others:
        assert other["attributes"]["upshot.repeats"] == first["step_id"]
        assert other["attributes"]["gen_ai.usage.input_tokens"] == 1000


def test_side_by_side_without_ids(app: App, sent: Captured, tracer_of: Callable[[str], Tracer]) -> None:
    """As LangChain's callbacks do it: a span that is never current, around the client's."""
    with app.run("a"):
        around = tracer_of("langchain").start_span("ChatOpenAI", attributes=USED)
        call(tracer_of("openai"), USED)
        around.end()
    assert total(sent) == (1000, 0.00018)


def test_a_cost_that_only_the_second_knows(
    app: App, sent: Captured, tracer_of: Callable[[str], Tracer]
) -> None:
    with app.run("a"):
        call(tracer_of("one"), USED | ID | {"gen_ai.response.model": "house/model"})
        call(tracer_of("two"), USED | ID)
        call(tracer_of("three"), USED | ID)
    assert [step.get("response_id") for step in sent.steps] == ["chatcmpl-1", None, "chatcmpl-1"]
    assert total(sent) == (1000, 0.00018)


def test_two_calls_are_two(app: App, sent: Captured, tracer_of: Callable[[str], Tracer]) -> None:
    with app.run("a"):
        outer = tracer_of("openai").start_span("chat", attributes=USED)
        inner = tracer_of("openai").start_span("chat", attributes=USED)
        inner.end()
        outer.end()
    assert total(sent) == (2000, 0.00036)


def test_steps_of_ones_own_are_never_twins(app: App, sent: Captured) -> None:
    with app.run("a") as run, run.step("draft") as one:
        one.usage(model="gpt-4o-mini", provider="openai", input_tokens=10, output_tokens=5)

        def other() -> None:
            with run.step("check") as step:
                step.usage(model="gpt-4o-mini", provider="openai", input_tokens=10, output_tokens=5)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert sorted(step.get("input_tokens", 0) for step in sent.steps) == [10, 10]


def test_a_span_that_begins_after_its_run_has_ended(
    app: App, sent: Captured, tracer_of: Callable[[str], Tracer]
) -> None:
    tracer = tracer_of("litellm")
    with app.run("a") as run:
        of_run = trace.set_span_in_context(trace.get_current_span(), Context())
        with tracer.start_as_current_span("parent") as parent:
            below = trace.set_span_in_context(parent, Context())
    for where in (of_run, below):
        call(tracer, CHAT | {"gen_ai.usage.input_tokens": 5}, "late", where)
    late = [step for step in sent.steps if step["name"] == "late"]
    assert [step["run_id"] for step in late] == [run.id] * 2
    assert [step.get("parent_step_id") for step in late] == [None, sent.steps[0]["step_id"]]


def test_below_the_span_of_a_run_that_still_lasts(
    app: App, sent: Captured, tracer_of: Callable[[str], Tracer]
) -> None:
    with app.run("a"):
        where = trace.set_span_in_context(trace.get_current_span(), Context())
        token = context.attach(Context())
        call(tracer_of("lib"), CHAT, "elsewhere", where)
        context.detach(token)
    assert [step["name"] for step in sent.steps] == ["elsewhere"]


def test_only_so_many_ended_spans_are_remembered(
    app: App, sent: Captured, tracer_of: Callable[[str], Tracer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_spans, "REMEMBERED", 3)
    with app.run("a"):
        where = trace.set_span_in_context(trace.get_current_span(), Context())
        for _ in range(10):
            call(tracer_of("lib"), {})
        call(tracer_of("lib"), {}, "below the run's own span", where)
    assert len(tracing._processor._ended) == 3
    assert len(sent.steps) == 11


def test_a_call_below_a_forgotten_span_is_counted_and_reported(
    app: App,
    sent: Captured,
    tracer_of: Callable[[str], Tracer],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ended_spans, "REMEMBERED", 3)
    lost = tracing._processor.lost = 0
    with app.run("a"):
        early = trace.set_span_in_context(trace.get_current_span(), Context())
    for _ in range(5):
        with app.run("b"):
            """Another run."""
    with caplog.at_level(logging.WARNING, "upshot"):
        call(tracer_of("lib"), {}, "plain", early)
        assert tracing._processor.lost == lost
        for _ in range(12):
            call(tracer_of("lib"), CHAT, "late", early)
    assert tracing._processor.lost == 12
    told = [record.getMessage() for record in caplog.records if "forgotten" in record.getMessage()]
    assert [text.partition(": ")[2].partition(" lost")[0] for text in told] == ["1", "10"]
    assert "late" not in [step["name"] for step in sent.steps]


def test_a_run_inside_a_run_has_what_is_below_its_own_span(
    app: App, sent: Captured, tracer_of: Callable[[str], Tracer]
) -> None:
    with app.run("outer") as outer, app.run("inner") as inner:
        where = trace.set_span_in_context(trace.get_current_span(), Context())
        call(tracer_of("lib"), {}, "early", where)
    call(tracer_of("lib"), {}, "late", where)
    runs = {step["name"]: step["run_id"] for step in sent.steps}
    assert runs == {"early": inner.id, "late": inner.id, "invoke_agent inner": outer.id}


def test_a_bare_thread_is_told_of_once(
    app: App,
    sent: Captured,
    tracer_of: Callable[[str], Tracer],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing._processor, "_hinted", False)
    tracer = tracer_of("lib")
    with caplog.at_level(logging.WARNING, "upshot"), ThreadPoolExecutor() as pool:
        pool.submit(call, tracer, CHAT).result()
        assert not caplog.records, "no run is open"
        with app.run("a"):
            pool.submit(call, tracer, {"http.request.method": "GET"}).result()
            assert not caplog.records, "nothing of an agent"
            for _ in range(3):
                pool.submit(call, tracer, CHAT).result()
    [told] = caplog.records
    assert "opentelemetry-instrumentation-threading" in told.message
    assert "upshot.in_thread" in told.message
    assert sent.steps == []


def test_content_of_others_is_left_out(app: App, sent: Captured, tracer_of: Callable[[str], Tracer]) -> None:
    with app.run("a", attributes={"note": "mine"}) as run, run.step("own", attributes={"why": "mine"}):
        call(tracer_of("lib"), {"gen_ai.task.input": "SECRET", "tenant": "acme", "server.port": 443})
    other, own = sent.steps
    assert other["attributes"] == {"server.port": 443, "otel.scope.name": "lib"}
    assert own["attributes"] == {"why": "mine"}
    assert sent.runs[0]["attributes"] == {"note": "mine"}


def test_more_is_kept_where_the_settings_say_so(
    app: App, sent: Captured, tracer_of: Callable[[str], Tracer]
) -> None:
    app.asked = asked_for(["tenant"])
    with app.run("a"):
        call(tracer_of("lib"), {"tenant": "acme", "other": "x"})
    assert sent.steps[0]["attributes"] == {"tenant": "acme", "otel.scope.name": "lib"}


def test_flags_evaluated_in_a_run_are_its_exposures(
    app: App, sent: Captured, tracer_of: Callable[[str], Tracer]
) -> None:
    tone = app.experiment("tone", {"plain": 1, "warm": 2}, control="plain", unit="user")
    with app.run() as run:
        chosen = tone.choose("user-1")
        with tracer_of("flags").start_as_current_span("answer") as span:
            for flag, variant, unit in (("model", "big", "user-1"), ("tone", chosen.name, "user-1")):
                facts = {"key": flag, "result.variant": variant, "context.id": unit}
                event = {f"feature_flag.{name}": value for name, value in facts.items()}
                span.add_event("feature_flag.evaluation", event)
        run.wait("solved", "ticket:1", on={"ticket.reopened": False}, within="P7D", otherwise=True)
    ours, elsewhere = sent.exposures
    assert (ours["experiment"], ours["strategy"]) == ("tone", "bucket")
    assert {name: elsewhere[name] for name in ("run_id", "experiment", "variant", "unit", "strategy")} == {
        "run_id": run.id,
        "experiment": "model",
        "variant": "big",
        "unit": "user-1",
        "strategy": "external",
    }
    assert {one["experiment"] for one in sent.waits[0]["exposures"]} == {"tone", "model"}
