"""Steps are run once; what they gave, or that they failed, is found again each time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

import upshot
from upshot import App
from upshot.errors import StepFailed
from upshot.followups.steps import arguments_shape
from upshot.testing import followup

DAY = timedelta(days=1)


class Model(BaseModel):
    at: datetime
    amount: Decimal


@dataclass
class Plain:
    items: tuple[int, ...]


async def model(at: datetime) -> Model:
    return Model(at=at, amount=Decimal("1.10"))


def plain(*items: int) -> Plain:
    return Plain(items)


class Client:
    def __init__(self) -> None:
        self.calls = 0

    async def fetch(self, url: str) -> dict[str, int]:
        self.calls += 1
        return {url: self.calls}


def test_results_come_back_as_what_they_were(app: App) -> None:
    client = Client()
    seen: list[Any] = []

    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> None:
        seen.clear()
        seen.append(await ctx.step("model", model, ctx.now()))
        seen.append(await ctx.step("plain", plain, 1, 2))
        seen.append(await ctx.step("fetch", client.fetch, "a"))
        seen.append(await ctx.step("fetch", client.fetch, url="a"))
        seen.append(await ctx.step("fetch", client.fetch, "a"))
        seen.append(await ctx.step("partial", functools.partial(plain, 3)))
        seen.append(await ctx.step("lambda", lambda: [1, None, "a"]))
        await ctx.sleep(DAY)

    with followup(steps, None) as f:
        first = list(seen)
        assert isinstance(first[0], Model)
        assert first[1] == Plain((1, 2))
        assert first[2:5] == [{"a": 1}, {"a": 2}, {"a": 3}]
        assert first[5] == Plain((3,))
        f.retry()
        f.advance(DAY)
        assert f.status == "done"
        assert seen == first
        assert client.calls == 3


def test_sets_are_told_in_an_order() -> None:
    words = {f"word-{number}" for number in range(50)}
    assert arguments_shape("s", [words, {"a": frozenset({2, 1})}], {}) == arguments_shape(
        "s", [sorted(words), {"a": [1, 2]}], {}
    )


def test_plain_functions_run_in_threads(app: App) -> None:
    threads: list[str] = []

    def where() -> None:
        threads.append(threading.current_thread().name)

    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> None:
        await ctx.step("where", where)

    with followup(steps, None) as f:
        assert f.status == "done"
    assert threads == ["upshot-step"]


def test_a_failed_step_is_tried_again_without_those_that_worked(app: App) -> None:
    ran: list[str] = []

    def work(name: str) -> str:
        ran.append(name)
        if ran.count("b") == 1 and name == "b":
            raise ValueError("not yet")
        return name

    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> bool:
        await asyncio.gather(ctx.step("work", work, "a"), ctx.step("work", work, "b"))
        return True

    with followup(steps, None) as f:
        assert f.status == "failed"
        error = f.error or ""
        assert "step 'work' raised ValueError: not yet" in error
        assert "test_steps.py" in error
        assert "in work" in error
        f.retry()
        assert f.scores == {"steps": True}
    assert sorted(ran) == ["a", "b", "b"]


def test_a_failure_that_is_caught_stays_one(app: App) -> None:
    tries: list[int] = []

    async def flaky() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("away")
        return 1

    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> bool:
        try:
            await ctx.step("flaky", flaky)
        except StepFailed as error:
            assert "OSError: away" in str(error)
            await ctx.sleep(DAY)
            return False
        return True

    with followup(steps, None) as f:
        f.retry()
        f.advance(DAY)
        assert f.scores == {"steps": False}
        f.retry()
        assert f.scores == {"steps": False}
    assert tries == [1]


def test_steps_under_way_are_finished_when_the_code_leaves(app: App) -> None:
    ran: list[str] = []

    async def slow() -> str:
        for _ in range(50):
            await asyncio.sleep(0)
        ran.append("slow")
        return "slow"

    async def after(ctx: upshot.Followup[str]) -> bool:
        await ctx.step("slow", slow)
        return await ctx.wait_for_event("b", subject="s", timeout=DAY) is not None

    async def gathered(ctx: upshot.Followup[str]) -> bool:
        await asyncio.gather(ctx.sleep(DAY), after(ctx))
        return True

    async def grouped(ctx: upshot.Followup[str]) -> bool:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.sleep(DAY))
            group.create_task(after(ctx))
        return True

    for function in (gathered, grouped):
        ran.clear()
        with followup(app.scorer(function), "x") as f:
            assert len(f.waiting_for) == 2
            f.advance(DAY)
            assert f.scores == {function.__name__: True}
        assert ran == ["slow"]


UNKEPT: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (lambda: (1, 2), (), "annotate the function, `-> tuple`"),
    (lambda: object(), (), "return plain data"),
    (plain, (object(),), "belongs to the function"),
    ((lambda: float("nan")), (), "annotate"),
]


@pytest.mark.parametrize(("function", "args", "instead"), UNKEPT)
def test_what_cant_be_kept_is_told(
    app: App, function: Callable[..., Any], args: tuple[Any, ...], instead: str
) -> None:
    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> None:
        await ctx.step("odd", function, *args)

    with followup(steps, None) as f:
        assert f.status == "failed"
        assert instead in (f.error or "")


def test_a_type_that_cant_be_kept_is_refused_before_the_step_runs(app: App) -> None:
    ran: list[int] = []

    class Handle:
        pass

    def opened() -> Handle:
        ran.append(1)
        return Handle()

    opened.__annotations__["return"] = Handle

    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> None:
        await ctx.step("open", opened)

    with followup(steps, None) as f:
        assert "returns Handle, which can't be kept as JSON" in (f.error or "")
    assert not ran


def test_a_step_has_no_ctx(app: App) -> None:
    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> None:
        async def inner() -> None:
            await ctx.sleep(DAY)

        await ctx.step("inner", inner)

    with followup(steps, None) as f:
        assert "such as inside a step" in (f.error or "")


def test_a_call_is_no_function(app: App) -> None:
    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> None:
        await ctx.step("plain", plain(1))  # type: ignore[call-overload]

    with followup(steps, None) as f:
        assert "the function and its arguments apart" in (f.error or "")


def test_a_step_isnt_cut_short_from_outside(app: App) -> None:
    @app.scorer
    async def impatient(ctx: upshot.Followup[None]) -> bool:
        begun = asyncio.Event()

        async def slow() -> None:
            begun.set()
            for _ in range(50):
                await asyncio.sleep(0)

        task = asyncio.create_task(ctx.step("slow", slow))

        async def cut() -> None:
            await begun.wait()
            task.cancel()

        await asyncio.gather(task, cut(), return_exceptions=True)
        return True

    @app.scorer
    async def in_a_hurry(ctx: upshot.Followup[None]) -> bool:
        try:
            async with asyncio.timeout(0):
                await ctx.step("slow", asyncio.sleep, 0.1)
        except TimeoutError:
            return False
        return True

    with followup(in_a_hurry, None) as f:
        assert "Put a time limit into the step's own function" in (f.error or "")
    with followup(impatient, None) as f:
        assert f.scores == {"impatient": True}


def test_code_that_catches_the_refusal_after_a_cancelled_step_fails(app: App) -> None:
    async def in_a_hurry(ctx: upshot.Followup[None]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                await ctx.step("slow", asyncio.sleep, 0.1)

    async def catches_everything(ctx: upshot.Followup[None]) -> None:
        await in_a_hurry(ctx)
        with contextlib.suppress(Exception):
            ctx.score("score", 1)

    async def catches_as_value(ctx: upshot.Followup[None]) -> None:
        await asyncio.gather(catches_nothing(ctx), return_exceptions=True)

    async def catches_nothing(ctx: upshot.Followup[None]) -> None:
        await in_a_hurry(ctx)
        ctx.score("score", 1)

    async def starts_and_forgets(ctx: upshot.Followup[None]) -> None:
        task = asyncio.create_task(catches_nothing(ctx))
        await asyncio.wait([task])

    for function in (catches_everything, catches_as_value, starts_and_forgets):
        with followup(app.scorer(function), None) as f:
            assert f.status == "failed", function
            assert "step 'slow' was cancelled by the code around it" in (f.error or "")


def test_errors_of_ours_in_a_step_are_failures_too(app: App) -> None:
    def misused() -> None:
        upshot.current_run()

    @app.scorer
    async def steps(ctx: upshot.Followup[None]) -> bool:
        try:
            await ctx.step("misused", misused)
        except StepFailed as error:
            return "there is no run here" in str(error)
        return False

    with followup(steps, None) as f:
        assert f.scores == {"steps": True}
