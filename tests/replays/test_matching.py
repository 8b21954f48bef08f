"""Which recorded step a call is: by place, name, arguments and turn, whatever the code is like."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.trace import TracerProvider

import upshot
from tests.replays.conftest import Diary, Handle, again
from upshot import App
from upshot.errors import ReplayRefused
from upshot.testing import Captured, capture


@pytest.fixture
def on_time(app: App) -> Iterator[Captured]:
    """The app's clock is the real one, as that of an instrumentation is."""
    with capture(app) as captured:
        yield captured


async def test_calls_side_by_side_are_told_apart_by_their_arguments(
    app: App, sent: Captured, diary: Diary
) -> None:
    backwards = False

    @app.step
    async def search(words: str) -> str:
        diary.append(words)
        await asyncio.sleep(0)
        return words.upper()

    @app.agent
    async def answer() -> list[str]:
        words = ["a", "b", "c"]
        found = await asyncio.gather(*(search(w) for w in (reversed(words) if backwards else words)))
        return upshot.current_run().step("sort", sorted, found)

    await answer()
    diary.took()
    backwards = True
    replayed = again(app, sent, "sort")
    assert (diary.took(), replayed.result) == ([], ["A", "B", "C"])
    # Asked for backwards: the one that the replay begins with comes first, and with it all of them.
    again(app, sent, "search#3")
    assert diary.took() == ["a", "b", "c"]
    backwards = False
    again(app, sent, "search#3")
    assert diary.took() == ["c"]


def test_threads(app: App, sent: Captured, diary: Diary) -> None:
    @app.step
    def search(words: str) -> str:
        diary.append(words)
        return words.upper()

    @app.agent
    def answer() -> str:
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(upshot.in_thread(search), ["a", "b", "c"]))
        return upshot.current_run().step("join", "".join, found)

    answer()
    diary.took()
    assert again(app, sent, "join").result == "ABC"
    assert diary.took() == []


def test_what_differs_each_time_goes_by_its_turn(app: App, sent: Captured, diary: Diary) -> None:
    clients: list[Handle] = []

    @app.step
    def ask(client: Handle, number: int) -> int:
        clients.append(client)
        diary.append(number)
        return number * 10

    @app.agent
    def answer() -> int:
        return sum(ask(Handle(), number) for number in (1, 2, 3))

    answer()
    diary.took()
    replayed = again(app, sent, "ask#3")
    assert (diary.took(), replayed.result) == ([3], 60)
    assert [note.split(":")[0] for note in replayed.notes] == [
        f"ask#{n} was given other arguments than recorded" for n in (1, 2)
    ]


def test_steps_in_steps_and_in_the_code_of_a_with(app: App, sent: Captured, diary: Diary) -> None:
    @app.step
    def inner(number: int) -> int:
        diary.append(f"inner {number}")
        return number

    @app.step
    def outer(number: int) -> int:
        diary.append(f"outer {number}")
        return inner(number) + inner(number + 1)

    @app.agent
    def answer() -> int:
        total = outer(10)
        with upshot.current_run().step("block"):
            total += inner(1)
            total += outer(20)
        return total

    answer()
    diary.took()
    replayed = again(app, sent, "outer#2")
    assert diary.took() == ["inner 20", "inner 21", "outer 20"]
    assert [(line.name, line.depth, line.what) for line in replayed.lines] == [
        ("outer#1", 0, "recorded"),
        ("block", 0, "same"),
        ("inner#3", 1, "recorded"),
        ("outer#2", 1, "same"),
        ("inner#4", 2, "same"),
        ("inner#5", 2, "same"),
    ]
    again(app, sent, "inner#5")
    assert diary.took() == ["inner 21", "outer 20"]


def test_attempts_fail_as_they_did(app: App, sent: Captured, diary: Diary) -> None:
    class OutOfOrder(Exception):
        def __init__(self, code: int, *, why: str) -> None:
            super().__init__(f"{code} {why}")

    @app.step(attempts=3)
    def flaky() -> str:
        diary.append("flaky")
        if len(diary) < 2:
            raise ConnectionError("try again")
        return "fine"

    @app.step(attempts=2)
    async def broken() -> str:
        raise OutOfOrder(7, why="no paper")

    @app.agent
    async def answer() -> tuple[str, str]:
        first = flaky()
        try:
            await broken()
        except ConnectionError:
            return first, "connection"
        except Exception as error:  # noqa: BLE001 - whatever class it has in a replay
            return first, str(error)
        finally:
            upshot.current_run().step("end", len, first)
        return first, ""

    first = asyncio.run(answer())
    assert first == ("fine", "7 no paper")
    diary.took()
    replayed = again(app, sent, "end")
    assert diary.took() == []
    assert replayed.result[0] == "fine"
    assert replayed.result[1].endswith("OutOfOrder: 7 no paper")
    told = [step for step in sent.steps if step["run_id"] == replayed.run_id]
    assert [(s["name"], s.get("attempt", 1), s.get("status", "ok")) for s in told] == [
        ("flaky", 1, "error"),
        ("flaky", 2, "ok"),
        ("broken", 1, "error"),
        ("broken", 2, "error"),
        ("end", 1, "ok"),
    ]


def test_a_step_below_the_span_of_an_instrumentation(app: App, on_time: Captured, diary: Diary) -> None:
    sent = on_time
    provider = TracerProvider()
    app.instrument(provider)
    client = provider.get_tracer("some.client")

    @app.step
    def tool(number: int) -> int:
        diary.append(number)
        return number

    @app.agent
    def answer() -> int:
        with client.start_as_current_span("chat m", attributes={"gen_ai.request.model": "m"}):
            first = tool(1)
        return first + tool(2)

    answer()
    diary.took()
    replayed = again(app, sent, "tool#2")
    assert diary.took() == [2]
    assert [(line.name, line.depth, line.what) for line in replayed.lines] == [
        ("chat m", 0, "same"),
        ("tool#1", 1, "recorded"),
        ("tool#2", 0, "same"),
    ]
    with pytest.raises(ReplayRefused, match=r"chat m is a span of some.client, no step of your code"):
        again(app, sent, "chat m")


def test_no_code_gets_around_the_end_of_a_replay(app: App, sent: Captured, diary: Diary) -> None:
    changed = False

    @app.step
    async def new(number: int) -> None:
        diary.append(number)

    @app.agent
    async def answer() -> str:
        run = upshot.current_run()
        if changed:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(new(1))
                    group.create_task(new(2))
            except BaseException:  # noqa: BLE001 - code that takes everything
                await new(3)
        run.step("end", len, "abc")
        return "done"

    asyncio.run(answer())
    changed = True
    with pytest.raises(ReplayRefused, match="asks for step 'new' here"):
        again(app, sent, "end")
    assert diary == []


def test_the_code_of_a_with_has_no_result_to_give(app: App, sent: Captured, diary: Diary) -> None:
    @app.agent
    def answer() -> None:
        run = upshot.current_run()
        with run.step("send", side_effects=True):
            diary.append("sent")
        run.step("end", len, "abc")

    answer()
    diary.took()
    for step in ("send", "end"):
        with pytest.raises(ReplayRefused, match="step 'send' has side effects; it wasn't run"):
            again(app, sent, step)
        with pytest.raises(ReplayRefused, match=r"make it a function with @app.step"):
            again(app, sent, step, side_effects="recorded")
    assert diary.took() == []
    again(app, sent, "end", side_effects="run")
    assert diary.took() == ["sent"]


def test_the_function_of_the_version_that_ran(app: App, sent: Captured, diary: Diary) -> None:
    def agent_of(version: str) -> Callable[[], None]:
        @app.agent(name="answer", version=version)
        def answer() -> None:
            diary.append(version)
            upshot.current_run().step("end", len, "abc")

        return answer

    first, _ = agent_of("1"), agent_of("2")
    first()
    again(app, sent, "end")
    assert diary == ["1", "1"]
