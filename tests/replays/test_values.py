"""Recorded results and arguments come back as what they were, or it's said why they can't."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

import upshot
from tests.replays.conftest import Diary, Handle, again
from upshot import App
from upshot.errors import ReplayRefused
from upshot.testing import Captured


@pytest.mark.parametrize(
    "text", ["5", "null", "true", '{"a": 1}', "[1]", "NaN", "plain", "", '"quoted"', "1e5", "é\u0000"]
)
def test_a_text_stays_a_text_whatever_it_reads_like(app: App, sent: Captured, text: str) -> None:
    def untyped(value):  # type: ignore[no-untyped-def]
        return value

    @app.agent
    def answer(value: str) -> Any:
        run = upshot.current_run()
        given = run.step("untyped", untyped, value), run.step("number", untyped, 5)
        return given, run.step("end", len, "abc")

    asked = answer(text)
    replayed = again(app, sent, "end")
    assert replayed.result == asked
    assert "untyped says no type for what it gives: its result is plain JSON" in replayed.notes


async def test_a_plain_function_that_gives_something_to_await(app: App, sent: Captured, diary: Diary) -> None:
    async def slow(number: int) -> int:
        diary.append(number)
        return number

    def later(number: int) -> Awaitable[int]:
        return slow(number)

    @app.agent
    async def answer() -> int:
        run = upshot.current_run()
        first = await run.step("later", later, 1)
        second = await run.step("lambda", lambda: slow(2))
        return run.step("end", max, first, second)

    await answer()
    diary.took()
    # In a loop that runs already, as in a notebook.
    assert again(app, sent, "end").result == 2
    assert diary.took() == []


def test_streams(app: App, sent: Captured, diary: Diary) -> None:
    @app.step
    def words() -> Iterator[str]:
        diary.append("words")
        yield from ("a", "b")

    @app.step
    async def more() -> AsyncIterator[str]:
        yield "c"

    @app.agent
    async def answer() -> AsyncIterator[str]:
        upshot.current_run().step("begin", len, "abc")
        for word in words():
            yield word
        async for word in more():
            yield word

    async def all_of_it() -> list[str]:
        return [word async for word in answer()]

    asyncio.run(all_of_it())
    diary.took()
    assert again(app, sent, "words").result == ["a", "b", "c"]
    assert diary.took() == ["words"]
    with pytest.raises(ReplayRefused, match=r"words is a stream, whose items aren't kept.*replay from it"):
        again(app, sent, "more")
    assert diary.took() == []


def test_what_cannot_be_read_back(app: App, sent: Captured) -> None:
    def opened() -> Handle:
        return Handle()

    def number() -> int:
        return "no number"  # type: ignore[return-value]

    def long() -> list[str]:
        return ["x" * 200_000]

    def agent_of(function: Callable[[], Any]) -> Callable[[], Any]:
        @app.agent(name=function.__name__)
        def agent() -> None:
            upshot.current_run().step("first", function)
            upshot.current_run().step("end", len, "abc")

        return agent

    for function, said in (
        (opened, "gave something that JSON doesn't know .*: make it a pydantic model or a dataclass"),
        (number, "doesn't fit the function's annotation"),
        (long, "cut at 100,000 characters"),
    ):
        agent_of(function)()
        run_id = sent.runs[-1]["run_id"]
        with pytest.raises(ReplayRefused, match=said) as refused:
            upshot.replay(app, run_id, "end", history=sent)
        assert "replay from it, or from an earlier step" in str(refused.value)

    class Bot:
        @app.agent
        def talk(self, words: str) -> None:
            upshot.current_run().step("end", len, words)

    Bot().talk("hi")
    with pytest.raises(ReplayRefused, match=r"the method .*Bot.talk, whose object isn't recorded"):
        upshot.replay(app, sent.runs[-1]["run_id"], "end", history=sent)

    @app.agent
    def given(handle: Handle) -> None:
        upshot.current_run().step("end", len, "abc")

    given(Handle())
    with pytest.raises(ReplayRefused, match="Handle can't be read back"):
        upshot.replay(app, sent.runs[-1]["run_id"], "end", history=sent)


def test_arguments_of_every_sort(app: App, sent: Captured) -> None:
    taken: list[Any] = []

    @app.agent
    def answer(a: int, /, b: bytes, *more: float, c: set[int], d: str = "d", **rest: tuple[int, int]) -> None:
        taken.append((a, b, more, c, d, rest))
        upshot.current_run().step("end", len, "abc")

    answer(1, b"b", 1.5, 2.5, c={3}, e=(1, 2))
    again(app, sent, "end")
    assert taken[0] == taken[1]
