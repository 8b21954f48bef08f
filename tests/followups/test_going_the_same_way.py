"""Code that is run again must go the way it went, as far as what it heard is the same; else it's told."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta

import pytest

import upshot
from upshot import App
from upshot.errors import StepFailed
from upshot.testing import followup

DAY = timedelta(days=1)


def nothing(name: str) -> None: ...


def test_changed_code_needs_a_version(app: App) -> None:
    @app.scorer
    async def before(ctx: upshot.Followup[None]) -> bool:
        await ctx.step("look", nothing, "a")
        return await ctx.wait_for_event("a", subject="s", timeout=DAY) is None

    @app.scorer
    async def other_step(ctx: upshot.Followup[None]) -> bool:
        await ctx.step("look", nothing, "b")
        return await ctx.wait_for_event("a", subject="s", timeout=DAY) is None

    @app.scorer
    async def other_window(ctx: upshot.Followup[None]) -> bool:
        await ctx.step("look", nothing, "a")
        return await ctx.wait_for_event("a", subject="s", timeout=2 * DAY) is None

    @app.scorer
    async def scores_early(ctx: upshot.Followup[None]) -> bool:
        await ctx.step("look", nothing, "a")
        return True

    @app.scorer
    async def ends_early(ctx: upshot.Followup[None]) -> None:
        await ctx.step("look", nothing, "a")

    @app.scorer
    async def other_words(ctx: upshot.Followup[None]) -> float:
        await ctx.step("look", nothing, "a")
        ended = await ctx.wait_for_event("a", subject="s", timeout=DAY)
        await ctx.step("more", nothing, "a")
        return 1.0 if ended is None else 0.5

    with followup(before, None) as f:
        for changed, said in (
            (
                other_step,
                'as number 1 it asked for `step look #1` ("a"), now it asks for `step look #1` ("b")',
            ),
            (other_window, "as number 2 it asked for `wait a about s #1`"),
            (ends_early, "now it ends"),
        ):
            f.deploy(changed)
            assert f.status == "unfit"
            assert said in (f.error or "")
            assert '@app.scorer(version="2")' in (f.error or "")
        f.deploy(before)
        assert f.status == "waiting"
        f.deploy(other_words)
        assert f.status == "waiting"
        f.advance(DAY)
        assert f.scores == {"other_words": 1.0}


def test_after_another_answer_the_rest_may_differ(app: App) -> None:
    ran: list[str] = []

    def work(name: str) -> str:
        ran.append(name)
        return name

    @app.scorer
    async def way(ctx: upshot.Followup[None]) -> int:
        event = await ctx.wait_for_event("a", subject="s", timeout=DAY)
        names = ["x", "y"] if event is None else ["y", "z"]
        for name in names:
            await ctx.step("work", work, name)
        return len(names) if event is None else -1

    with followup(way, None) as f:
        f.advance(2 * DAY)
        f.outcome("a", "s", at=f.now - DAY)
        assert f.revisions("way") == [2, -1]
    assert ran == ["x", "y", "z"]


def test_chance_is_found_out(app: App) -> None:
    chance = random.Random(7)

    @app.scorer
    async def by_chance(ctx: upshot.Followup[None]) -> None:
        await ctx.step("pick", nothing, str(chance.random()))
        await ctx.sleep(DAY)

    with followup(by_chance, None) as f:
        f.advance(DAY)
        assert f.status == "unfit"
        assert "take ctx.now()" in (f.error or "")


def test_scores_may_be_worked_out_anew(app: App) -> None:
    @app.scorer(name="same")
    async def before(ctx: upshot.Followup[None]) -> None:
        ctx.score("a", 1)
        await ctx.sleep(DAY)

    @app.scorer(name="same", version="fixed")
    async def after(ctx: upshot.Followup[None]) -> None:
        ctx.score("a", 2)
        await ctx.sleep(DAY)

    with followup(before, None) as f:
        f.deploy(after)
        assert f.scores == {"a": 2}


def test_a_branch_that_raises_fails_it_at_once(app: App) -> None:
    async def raises(ctx: upshot.Followup[None]) -> None:
        await ctx.step("look", nothing, "a")
        raise ValueError("in a branch")

    async def gathered(ctx: upshot.Followup[None]) -> None:
        await asyncio.gather(ctx.sleep(DAY), raises(ctx))

    async def grouped(ctx: upshot.Followup[None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.sleep(DAY))
            group.create_task(raises(ctx))

    async def in_time(ctx: upshot.Followup[None]) -> None:
        await asyncio.wait_for(asyncio.gather(ctx.sleep(DAY), raises(ctx)), 60)

    for function in (gathered, grouped, in_time):
        with followup(app.scorer(function), None) as f:
            assert f.status == "failed", function
            assert "ValueError: in a branch" in (f.error or "")
            assert "test_going_the_same_way.py" in (f.error or "")


def test_what_a_branch_raised_may_be_handled(app: App) -> None:
    async def raises(ctx: upshot.Followup[None]) -> None:
        await ctx.step("look", nothing, "a")
        raise ValueError("in a branch")

    @app.scorer
    async def handles(ctx: upshot.Followup[None]) -> bool:
        results = await asyncio.gather(raises(ctx), return_exceptions=True)
        await asyncio.gather(ctx.sleep(DAY), ctx.sleep(2 * DAY))
        return isinstance(results[0], ValueError)

    @app.scorer
    async def handles_later(ctx: upshot.Followup[None]) -> bool:
        task = asyncio.create_task(raises(ctx))
        await ctx.sleep(DAY)
        try:
            await task
        except ValueError:
            return True
        return False

    for scorer in (handles, handles_later):
        with followup(scorer, None) as f:
            assert f.status == "waiting"
            f.advance(2 * DAY)
            assert f.scores == {scorer.name: True}


def test_what_leaves_the_code_must_not_be_caught(app: App) -> None:
    async def bare(ctx: upshot.Followup[None]) -> bool:
        try:  # noqa: SIM105 - as people write it
            await ctx.sleep(DAY)
        except:  # noqa: E722
            pass
        return True

    async def goes_on(ctx: upshot.Followup[None]) -> None:
        with contextlib.suppress(BaseException):
            await ctx.wait_for_event("a", subject="s", timeout=DAY)
        await ctx.step("next", nothing, "a")

    async def as_values(ctx: upshot.Followup[None]) -> bool:
        await asyncio.gather(ctx.sleep(DAY), return_exceptions=True)
        return True

    async def unawaited(ctx: upshot.Followup[None]) -> bool:
        task = asyncio.create_task(ctx.sleep(DAY))
        await asyncio.sleep(0)
        return not task.cancelled()

    for function in (bare, goes_on, as_values, unawaited):
        with followup(app.scorer(function), None) as f:
            assert f.status == "failed", function
            assert "the code went on without knowing" in (f.error or "")


def test_finally_runs_at_the_end_alone(app: App) -> None:
    ran: list[str] = []

    @app.scorer
    async def tidy(ctx: upshot.Followup[None]) -> None:
        try:
            await ctx.sleep(DAY)
        finally:
            await ctx.step("tidy", ran.append, "tidied")

    with followup(tidy, None) as f:
        assert not ran
        f.advance(DAY)
        assert f.status == "done"
    assert ran == ["tidied"]


def test_an_error_on_the_way_out_is_told_as_one(app: App) -> None:
    @app.scorer
    async def untidy(ctx: upshot.Followup[None]) -> None:
        try:
            await ctx.sleep(DAY)
        finally:
            raise ValueError("broken pipe")

    with followup(untidy, None) as f:
        assert "ValueError: broken pipe" in (f.error or "")
        assert "on the way out" in (f.error or "")


def test_exceptions_name_the_users_line(app: App) -> None:
    @app.scorer
    async def wrong(ctx: upshot.Followup[None]) -> bool:
        return bool({}["missing"])

    with followup(wrong, None) as f:
        assert f.status == "failed"
        [first, place] = (f.error or "").splitlines()
        assert first == "KeyError: 'missing'"
        assert "test_going_the_same_way.py" in place
        assert place.endswith('in wrong: return bool({}["missing"])')


@pytest.mark.parametrize("value", ["yes", float("nan"), float("inf"), 10**400, [1]])
def test_what_is_no_score_fails(app: App, value: object) -> None:
    @app.scorer
    async def given(ctx: upshot.Followup[None]) -> bool:
        return value  # type: ignore[return-value]

    with followup(given, None) as f:
        assert f.status == "failed"
        assert "is no score for 'given': give True, False or a finite number" in (f.error or "")
        assert "test_going_the_same_way.py" in (f.error or "")


def test_exiting_fails_one_alone(app: App) -> None:
    @app.scorer
    async def exits(ctx: upshot.Followup[bool]) -> None:
        if ctx.data:
            raise SystemExit(3)
        try:
            await ctx.step("exit", exit, 3)
        except StepFailed as error:
            assert "SystemExit(3)" in str(error)

    with followup(exits, True) as f:
        assert "SystemExit(3)" in (f.error or "")
    with followup(exits, False) as f:
        assert f.status == "done"


def test_code_that_takes_too_long_fails_and_keeps_its_steps(app: App) -> None:
    ran: list[str] = []
    hang = True

    @app.scorer
    async def slow(ctx: upshot.Followup[None]) -> bool:
        await ctx.step("first", ran.append, "first")
        if hang:
            let_time_pass(asyncio.get_running_loop(), 301)
            await asyncio.Event().wait()
        return True

    with followup(slow, None) as f:
        assert f.status == "failed"
        assert "ran for more than 300 s, at " in (f.error or "")
        assert "test_going_the_same_way.py" in (f.error or "")
        hang = False
        f.retry()
        assert f.scores == {"slow": True}
    assert ran == ["first"]


def let_time_pass(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Have a loop believe that so many seconds have gone by."""
    real = loop.time
    loop.time = lambda: real() + seconds  # type: ignore[method-assign]


def test_a_loop_that_never_ends_is_found_out(app: App) -> None:
    @app.scorer
    async def endless(ctx: upshot.Followup[None]) -> None:
        while True:
            ctx.score("n", 1)

    @app.scorer
    async def same_event(ctx: upshot.Followup[None]) -> None:
        while await ctx.wait_for_event("a", subject="s", timeout=DAY):
            ...

    for scorer in (endless, same_event):
        with followup(scorer, None) as f:
            f.outcome("a", "s")
            assert "a loop that never ends?" in (f.error or "")
            assert "say since=event" in (f.error or "")


def test_a_loop_that_never_ends_fails_also_where_the_code_catches_the_refusal(app: App) -> None:
    @app.scorer
    async def endless(ctx: upshot.Followup[None]) -> None:
        with contextlib.suppress(Exception):
            while True:
                ctx.score("n", 1)

    with followup(endless, None) as f:
        assert f.status == "failed"
        assert "a loop that never ends?" in (f.error or "")


def test_ctx_ends_with_its_code(app: App) -> None:
    kept: list[upshot.Followup[None]] = []

    @app.scorer
    async def keeps(ctx: upshot.Followup[None]) -> None:
        kept.append(ctx)

    with followup(keeps, None), pytest.raises(upshot.errors.Misuse, match="has ended"):
        kept[0].score("late", 1)


def test_more_is_deferred(app: App) -> None:
    @app.scorer
    async def check(ctx: upshot.Followup[datetime]) -> None: ...

    @app.scorer
    async def begin(ctx: upshot.Followup[None]) -> None:
        ids = [ctx.defer(check, ctx.now()), ctx.defer(check, ctx.now()), ctx.defer(check, ctx.now(), key="k")]
        ids.append(ctx.defer(check, ctx.now(), key="k"))
        assert len(set(ids)) == 3
        await ctx.sleep(DAY)
        await check(ctx)  # type: ignore[arg-type]

    with followup(begin, None) as f:
        first = {"scorer": "check", "version": "1", "data": "2026-01-01T12:00:00Z"}
        assert first.items() <= f.deferred[0].items()
        assert len(f.deferred) == len({more["id"] for more in f.deferred}) == 3
        f.advance(DAY)
        assert f.status == "done"
        assert f.now == datetime(2026, 1, 2, 12, tzinfo=UTC)
