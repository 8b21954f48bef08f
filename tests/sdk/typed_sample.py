"""What type checkers must see through; never run. `test_types.py` has mypy and pyright read it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any, assert_type

import upshot
from upshot.replays import Replayed
from upshot.sources import Source
from upshot.testing import FakeClock, capture, followup

app = upshot.App("support", version="1")


class Ticket:
    number: int = 1


prompts = app.experiment("tone", {"plain": "a", "warm": "b"}, control="plain", unit="user")
assert_type(prompts.choose(unit="u").value, str)
assert_type(prompts.peek("u"), upshot.Variant[str])


@app.agent
async def answer(ticket: Ticket, *, tone: str = "dry") -> str:
    return tone


@app.agent(name="other", version="2")
def answer_now(ticket: Ticket) -> int:
    return ticket.number


@app.agent
async def stream(ticket: Ticket) -> AsyncIterator[str]:
    yield "a"


@app.step
def plain(number: int, *more: int) -> list[int]:
    return [number, *more]


@app.step(kind="tool", attempts=3)
async def look_up(number: int) -> dict[str, int]:
    return {"n": number}


@app.step(name="items")
def items() -> Iterator[bytes]:
    yield b""


@app.step(side_effects=True)
def send(text: str) -> bool:
    return True


class Tools:
    @app.step
    def count(self, text: str) -> int:
        return len(text)


@app.scorer
async def stayed_closed(ctx: upshot.Followup[Ticket]) -> bool:
    """Does the ticket stay closed?"""
    assert_type(ctx, upshot.Followup[Ticket])
    assert_type(ctx.data, Ticket)
    subject = f"ticket:{ctx.data.number}"
    reopened = await ctx.wait_for_event("ticket.reopened", subject=subject, timeout=timedelta(days=7))
    assert_type(reopened, upshot.Event | None)
    events = await ctx.wait_for_all([upshot.expect("a", subject=subject)], timeout=timedelta(days=7))
    assert_type(events, list[upshot.Event] | None)
    await ctx.sleep(timedelta(hours=1))
    assert_type(await ctx.step("draft", draft, ctx.data, tone="kind"), str)
    assert_type(await ctx.step("plain", plain, 1, 2), list[int])
    assert_type(await ctx.step("look up", look_up, 1), dict[str, int])
    ctx.score("length", 3, comment="words")
    assert_type(ctx.defer(judged, 7), str)
    return reopened is None


@app.scorer(name="judged_well", version="2", timeout=timedelta(minutes=1), attempts=3)
async def judged(ctx: upshot.Followup[int]) -> float | None:
    assert_type(ctx.data, int)
    return None


@app.scorer
async def silent(ctx: upshot.Followup[list[str]]) -> None: ...


assert_type(stayed_closed, upshot.Scorer[Ticket, bool])
assert_type(judged, upshot.Scorer[int, float | None])
assert_type(silent, upshot.Scorer[list[str], None])


def rehearse() -> None:
    with followup(stayed_closed, Ticket(), run_id="r1") as f:
        f.outcome("ticket.reopened", "ticket:1")
        assert_type(f.scores, dict[str, bool | float])


async def draft(ticket: Ticket, tone: str) -> str:
    return tone


def map_the_world() -> None:
    assert_type(app.outcome("ticket.closed", "ticket:1", {"by": "ann"}), str)
    assert_type(app.map_outcomes("pr.closed", "pr:{number}", topic="github", decode=bytes.decode), Source)
    assert_type(app.map_outcomes("pr.closed", lambda message: message.key, webhook="github"), Source)
    assert_type(app.outcome("pr.closed", "pr:{number}", topic="github", when="merged"), Source)
    assert_type(app.outcome("pr.closed", lambda message: message.key, webhook="github"), Source)


async def use() -> None:
    ticket = Ticket()
    assert_type(await answer(ticket, tone="kind"), str)
    assert_type(answer_now(ticket), int)
    assert_type(plain(1, 2), list[int])
    assert_type(await look_up(1), dict[str, int])
    assert_type(items(), Iterator[bytes])
    assert_type(Tools().count("a"), int)
    assert_type(send("a"), bool)
    async for word in stream(ticket):
        assert_type(word, str)
    async with app.run("support") as run:
        assert_type(run, upshot.Run)
        assert_type(await run.step("draft", draft, ticket, tone="kind"), str)
        assert_type(run.step("length", len, "abc"), int)
        with run.step("by hand", kind="tool", attempt=2, side_effects=True) as step:
            assert_type(step, upshot.Step)
            step.score("good", True)
        assert_type(run.wait("m", "s", on={"a": True}, within=timedelta(days=1)), str)
        assert_type(run.defer(stayed_closed, ticket, key="k"), str)
        assert_type(step.defer(silent, ["a"]), str)
        assert_type(app.defer("r1", judged, 7), str)
        assert_type(run.id, str)
    assert_type(upshot.current_run(), upshot.Run)
    wrapped = upshot.in_thread(answer_now)
    assert_type(wrapped(ticket), int)
    assert_type(app.flush(), bool)
    assert_type(app.delivered.dropped, int)
    with capture(app, clock=FakeClock()) as sent:
        assert_type(sent.steps, list[dict[str, Any]])
        replayed = upshot.replay(app, "r1", "draft", side_effects="recorded", history=sent)
        assert_type(replayed, Replayed)
        upshot.replay(app, "r1", "draft", side_effects="perhaps")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def takes(function: Callable[[int], list[int]]) -> None: ...


takes(plain)


async def wrong() -> None:
    """Each of these lines is an error; where a checker finds none, it says that the comment isn't needed."""
    await answer("ticket")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await answer(Ticket(), mood="kind")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    plain("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run = app.run("support")
    run.step("draft", draft, 7, "kind")  # type: ignore[call-overload]  # pyright: ignore
    run.score("good", "yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run.wait("m", "s", on={"a": True})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    app.map_outcomes("pr.closed", "pr:{number}")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    app.score(7, "good", True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    run.defer(stayed_closed, "ticket")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    run.defer(draft, Ticket())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ctx: upshot.Followup[Ticket] = ...  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    ctx.defer(judged, "text")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await ctx.step("draft", draft, 7, "kind")  # type: ignore[call-overload]  # pyright: ignore
    await ctx.wait_for_event("a", subject="s")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    followup(judged, "text")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    app.scorer(says_text)  # type: ignore[type-var]  # pyright: ignore
    app.scorer(not_async)  # type: ignore[arg-type]  # pyright: ignore


async def says_text(ctx: upshot.Followup[int]) -> str:
    return "good"


def not_async(ctx: upshot.Followup[int]) -> bool:
    return True
