"""Runs and steps as they are told: nested, failed, repeated, in tasks and threads."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

import upshot
from upshot import App
from upshot.errors import Misuse
from upshot.otel import trace_of
from upshot.testing import Captured, FakeClock, capture


def test_a_run_and_its_steps(app: App, sent: Captured, clock: FakeClock) -> None:
    with app.run("helper", session_id="c-7", attributes={"language": "Go"}) as run:
        clock.advance(timedelta(seconds=1))
        with run.step("draft", kind="model", attributes={"temperature": 0.2, "stop": ["\n"]}) as outer:
            outer.set_attribute("tone", "kind")
            with run.step("look up", kind="tool"):
                clock.advance(timedelta(seconds=2))
        run.set_attribute("size", "S")
    assert sent.runs == [
        {
            "run_id": run.id,
            "agent": "helper",
            "version": "1.2",
            "session_id": "c-7",
            "status": "completed",
            "started_at": "2026-01-01T12:00:00Z",
            "ended_at": "2026-01-01T12:00:03Z",
            "occurred_at": "2026-01-01T12:00:03Z",
            "attributes": {"language": "Go", "size": "S"},
        }
    ]
    inner, draft = sent.steps
    assert draft == {
        "run_id": run.id,
        "step_id": outer.id,
        "name": "draft",
        "kind": "model",
        "started_at": "2026-01-01T12:00:01Z",
        "ended_at": "2026-01-01T12:00:03Z",
        "attributes": {"temperature": 0.2, "stop": '["\\n"]', "tone": "kind"},
    }
    assert (inner["name"], inner["kind"], inner["parent_step_id"]) == ("look up", "tool", outer.id)
    assert [message.key for message in sent.transport.messages] == [run.id] * 4


def test_ids_are_those_of_the_spans(app: App, sent: Captured) -> None:
    with app.run("helper") as run, run.step("draft") as step:
        step.score("good", True)
    assert trace_of(run.id) is not None
    assert len(step.id) == 16
    with app.run("helper", run_id="ticket-7") as own:
        own.score("good", True)
        own.wait("kept", "s:1", on={"x": True}, within="P1D", attributes={"tier": 1})
    assert own.id == "ticket-7"
    place = sent.runs[-1]["attributes"]
    assert set(place) == {"trace_id", "span_id"}
    assert sent.waits[0]["attributes"] == {**place, "tier": 1}
    assert [score.get("attributes") for score in sent.scores] == [None, place]


def test_a_run_that_runs_is_known_before_it_ends(app: App, sent: Captured) -> None:
    with app.run("helper"):
        assert [run["status"] for run in sent.events("runs")] == ["running"]
    assert [run["status"] for run in sent.events("runs")] == ["running", "completed"]


async def test_decorated_functions_of_every_sort(app: App, sent: Captured) -> None:
    @app.step
    def plain(number: int) -> int:
        """Doc."""
        return number + 1

    @app.step(name="slow", kind="tool")
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return plain(number)

    @app.agent
    async def answer(number: int) -> int:
        return await later(number)

    @app.agent(name="other", version="2")
    def sync_answer(number: int) -> int:
        return plain(number)

    assert await answer(1) == 2
    assert sync_answer(2) == 3
    assert (plain.__name__, plain.__doc__) == ("plain", "Doc.")
    assert [(run["agent"], run["version"]) for run in sent.runs] == [("answer", "1.2"), ("other", "2")]
    first, second = sent.runs
    assert [(s["run_id"], s["name"], s.get("kind")) for s in sent.steps] == [
        (first["run_id"], "plain", None),
        (first["run_id"], "slow", "tool"),
        (second["run_id"], "plain", None),
    ]


async def test_functions_called_as_steps(app: App, sent: Captured) -> None:
    async def draft(ticket: str, *, tone: str) -> str:
        return f"{ticket} {tone}"

    async with app.run("helper") as run:
        assert await run.step("draft", draft, "hi", tone="kind") == "hi kind"
        assert run.step("length", len, "abc") == 3
        assert await run.step("partial", functools.partial(draft, tone="dry"), "hi") == "hi dry"
        assert await asyncio.gather(*(run.step(f"n{n}", draft, "hi", tone=str(n)) for n in range(3)))
    assert sorted(step["name"] for step in sent.steps) == ["draft", "length", "n0", "n1", "n2", "partial"]
    assert all("parent_step_id" not in step for step in sent.steps)


def test_how_it_went_wrong(app: App, sent: Captured) -> None:
    with pytest.raises(ValueError, match="no order"), app.run("helper") as run, run.step("look up"):
        raise ValueError("no order 7")
    [told] = sent.runs
    assert (told["status"], told["error"]) == ("failed", "ValueError: no order 7")
    [step] = sent.steps
    assert (step["status"], step["error"], step["error_type"]) == ("error", "no order 7", "ValueError")


async def test_cancelled_is_not_failed(app: App, sent: Captured) -> None:
    begun = asyncio.Event()

    @app.agent
    async def wait_for_ever() -> None:
        with upshot.current_run().step("wait"):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait_for_ever())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [run["status"] for run in sent.runs] == ["cancelled"]
    assert [(s["status"], s["error_type"]) for s in sent.steps] == [("cancelled", "CancelledError")]


def test_attempts_at_one_thing_share_their_step(app: App, sent: Captured) -> None:
    tries: list[int] = []

    @app.step(attempts=3)
    def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError(f"try {len(tries)}")
        return len(tries)

    with app.run("helper") as run:
        assert flaky() == 3
        for attempt in (1, 2):
            with run.step("by hand", attempt=attempt), run.step("inside"):
                pass
    steps = [(s["name"], s.get("attempt", 1), s.get("status", "ok"), s["step_id"]) for s in sent.steps]
    ids = {name: next(i for n, _, _, i in steps if n == name) for name in ("flaky", "by hand")}
    assert [step for step in steps if step[0] != "inside"] == [
        ("flaky", 1, "error", ids["flaky"]),
        ("flaky", 2, "error", ids["flaky"]),
        ("flaky", 3, "ok", ids["flaky"]),
        ("by hand", 1, "ok", ids["by hand"]),
        ("by hand", 2, "ok", ids["by hand"]),
    ]
    assert {s["parent_step_id"] for s in sent.steps if s["name"] == "inside"} == {ids["by hand"]}


async def test_attempts_of_async_functions_end_with_the_last_error(app: App, sent: Captured) -> None:
    @app.step(attempts=2)
    async def broken() -> None:
        raise ConnectionError("away")

    async with app.run("helper"):
        with pytest.raises(ConnectionError):
            await broken()
    assert [step.get("attempt", 1) for step in sent.steps] == [1, 2]


def test_a_run_inside_a_run(app: App, sent: Captured) -> None:
    with app.run("outer") as outer, outer.step("ask") as ask, app.run("inner") as inner:
        assert upshot.current_run() is inner
        with inner.step("think"):
            pass
    told = {run["agent"]: run for run in sent.runs}
    assert told["inner"]["parent_run_id"] == outer.id
    assert "parent_run_id" not in told["outer"]
    think, shown, _ = sent.steps
    assert (think["run_id"], "parent_step_id" in think) == (inner.id, False)
    assert (shown["run_id"], shown["kind"], shown["parent_step_id"]) == (outer.id, "agent", ask.id)


async def test_context_follows_tasks_and_threads(app: App, sent: Captured) -> None:
    def seen() -> str:
        with upshot.current_run().step("seen") as step:
            return step.run.id

    async def seen_later() -> str:
        return seen()

    async with app.run("helper") as run, run.step("around") as around:
        ids = [
            await asyncio.create_task(seen_later()),
            await asyncio.to_thread(seen),
        ]
        with ThreadPoolExecutor(4) as pool:
            ids += pool.map(upshot.in_thread(lambda _: seen()), range(8))
        thread = threading.Thread(target=upshot.in_thread(seen))
        thread.start()
        thread.join()
    assert set(ids) == {run.id}
    assert [step["parent_step_id"] for step in sent.steps[:-1]] == [around.id] * 11


def test_a_thread_that_was_not_wrapped_has_no_run_but_may_use_one(app: App, sent: Captured) -> None:
    def work(run: upshot.Run) -> None:
        with pytest.raises(Misuse, match="in_thread"):
            upshot.current_run()
        with run.step("elsewhere") as step:
            assert upshot.current_run() is run
            assert upshot.current_step() is step

    with app.run("helper") as run, ThreadPoolExecutor(1) as pool:
        pool.submit(work, run).result()
    assert [step["run_id"] for step in sent.steps] == [run.id]


async def test_runs_of_other_tasks_do_not_mix(app: App, sent: Captured) -> None:
    @app.agent
    async def answer(number: int) -> str:
        run = upshot.current_run()
        for _ in range(3):
            async with run.step(str(number)):
                await asyncio.sleep(0)
                assert upshot.current_run() is run
        return run.id

    ids = await asyncio.gather(*map(answer, range(10)))
    names = {step["run_id"]: step["name"] for step in sent.steps}
    assert names == {identity: str(number) for number, identity in enumerate(ids)}
    assert len(sent.steps) == 30


async def test_a_stream_is_one_run_and_its_reader_is_outside(app: App, sent: Captured) -> None:
    @app.agent
    async def answer() -> Any:
        with upshot.current_run().step("write"):
            for word in ["a", "b", "c"]:
                assert upshot.current_step().name == "write"
                yield word

    words = []
    async for word in answer():
        with pytest.raises(Misuse):
            upshot.current_run()
        words.append(word)
    assert words == ["a", "b", "c"]
    assert [(run["agent"], run["status"]) for run in sent.runs] == [("answer", "completed")]
    assert [step["name"] for step in sent.steps] == ["write"]


def test_a_generator_gets_what_is_sent_and_thrown(app: App, sent: Captured) -> None:
    @app.step
    def talk() -> Iterator[Any]:
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"
        return "end"

    with app.run("helper"):
        talking: Any = talk()
        assert next(talking) == "first"
        assert talking.send("sent") == "sent"
        assert talking.throw(KeyError("x")) == "caught"
        with pytest.raises(StopIteration, match="end"):
            next(talking)
    assert [step.get("status", "ok") for step in sent.steps] == ["ok"]


async def test_a_stream_that_nobody_reads_on_is_cancelled(app: App, sent: Captured) -> None:
    @app.agent
    async def answer() -> Any:
        yield 1
        yield 2

    @app.agent(name="sync")
    def sync_answer() -> Iterator[int]:
        yield 1
        yield 2

    stream = answer()
    assert await anext(stream) == 1
    await stream.aclose()
    items = sync_answer()
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert [(run["agent"], run["status"]) for run in sent.runs] == [
        ("answer", "cancelled"),
        ("sync", "cancelled"),
    ]


def test_what_a_model_call_used(app: App, sent: Captured) -> None:
    with app.run("helper") as run, run.step("draft", kind="model") as step:
        step.usage(model="gpt-4o-mini", provider="openai", input_tokens=1000, output_tokens=100)
        with run.step("own machine", kind="model") as own:
            own.usage(model="house/llama", input_tokens=10, output_tokens=1, cost_usd=0.25)
    own_step, draft = sent.steps
    assert (own_step["cost_usd"], own_step["cost_source"]) == (0.25, "given")
    # The model call around it repeats what is counted below.
    assert "input_tokens" not in draft


def test_steps_outside_of_a_run_are_plain_calls(app: App, sent: Captured) -> None:
    @app.step(attempts=2)
    def plain(number: int) -> int:
        return number

    @app.step
    def stream() -> Iterator[int]:
        yield 1

    assert plain(3) == 3
    assert list(stream()) == [1]
    assert sent.steps == []


def test_what_json_does_not_know_is_told_all_the_same(app: App, sent: Captured) -> None:
    with app.run("helper", attributes={"odd": {1, 2}, "half": "\ud800", "none": None}) as run:
        with run.step("draft", attributes={"path": app, "half": "\ud800"}):
            pass
        run.set_output(object())
    [told] = sent.runs
    assert told["attributes"]["half"] == "?"
    assert len(sent.steps) == 1


def test_what_is_too_long_is_cut_or_left_out(app: App, sent: Captured) -> None:
    with app.run("helper") as run, run.step("draft") as step:
        run.set_output("x" * 2_000_000)
        step.set_output("x" * 2_000_000)
    assert [len(event["output"]) for event in (*sent.runs, *sent.steps)] == [100_000, 100_000]
    with app.run("helper", attributes={}) as run:
        run.set_attribute("all", "x" * 2_000_000)
    assert sent.runs[-1]["status"] == "completed"
    assert sent.runs[-1]["attributes"] == {"upshot.left_out": "too long"}


def test_two_apps_in_one_process(app: App, sent: Captured) -> None:
    other = App("other", settings=app.settings)
    with capture(other) as sent_by_other:
        with app.run("mine"), other.run("theirs") as theirs, theirs.step("draft"):
            pass
        assert [run["agent"] for run in sent_by_other.runs] == ["theirs"]
        assert [step["name"] for step in sent_by_other.steps] == ["draft"]
    assert [step["name"] for step in sent.steps] == ["invoke_agent theirs"]
