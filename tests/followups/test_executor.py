"""The executor runs deferred code beside whoever asks for it, and no execution holds up another."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from msgspec import Raw

import upshot
from upshot import App
from upshot.followups.branches import Branch
from upshot.followups.engine import execute
from upshot.followups.executor import LoopExecutor, make_executor
from upshot.followups.replay import Replay
from upshot.processors.followups.execution import EmitScore, Execution, Executor, FollowupSpec, Snapshot

_PATIENCE = 60.0


@pytest.fixture
def executor(app: App) -> Iterator[LoopExecutor]:
    executor = make_executor(app, concurrency=3)
    yield executor
    executor.close()


def memory(followup_id: str, scorer: str, data: bytes = b"null") -> Snapshot:
    return Snapshot(FollowupSpec(followup_id, "r1", scorer, "1", 1_767_225_600_000_000, 0, Raw(data)))


def until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + _PATIENCE
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.005)


def results(executor: Executor, number: int) -> dict[str, Execution]:
    found: dict[str, Execution] = {}

    def all_there() -> bool:
        found.update(executor.finished())
        return len(found) >= number

    until(all_there)
    return found


def test_it_runs_what_it_knows(app: App, executor: LoopExecutor) -> None:
    @app.scorer
    async def double(ctx: upshot.Followup[int]) -> float:
        return 2 * ctx.data

    assert executor.knows("double", "1")
    assert not executor.knows("double", "2")
    assert executor.finished() == []
    executor.start(memory("f1", "double", b"21"))
    executor.start(memory("f2", "double", b'"text"'))
    executor.start(memory("f3", "unknown"))
    found = results(executor, 3)
    assert executor.running() == []
    [score] = found["f1"].commands
    assert isinstance(score, EmitScore)
    assert score.value == 42
    assert found["f2"].ending == "unfit"
    assert "is no int" in (found["f2"].error or "")
    assert "isn't deployed here" in (found["f3"].error or "")


def test_it_has_room_for_so_many(app: App, executor: LoopExecutor) -> None:
    gates: list[asyncio.Event] = []

    @app.scorer(attempts=2)
    async def gated(ctx: upshot.Followup[None]) -> bool:
        gates.append(asyncio.Event())
        await gates[-1].wait()
        return True

    begun = time.time_ns() // 1000
    assert executor.room() == 3
    for number in range(3):
        executor.start(memory(f"f{number}", "gated"))
    assert executor.room() == 0
    assert [name for name, _ in executor.running()] == ["f0", "f1", "f2"]
    assert all(begun <= since <= time.time_ns() // 1000 for _, since in executor.running())
    until(lambda: len(gates) == 3)
    executor.forget("f1")
    executor.forget("never there")
    assert executor.room() == 1
    executor._thread.call(lambda: [gate.set() for gate in gates])  # type: ignore[union-attr]
    assert results(executor, 2).keys() == {"f0", "f2"}
    executor.start(memory("f1", "gated"))
    until(lambda: len(gates) == 4)
    executor._thread.call(gates[-1].set)  # type: ignore[union-attr]
    again = results(executor, 1)["f1"]
    assert (again.ending, again.attempts) == ("done", 2)


def test_code_that_blocks_its_loop_holds_up_no_other(
    app: App,
    executor: LoopExecutor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("upshot.followups.executor._BLOCKED", 0.2)
    free, begun = threading.Event(), threading.Event()

    @app.scorer
    async def blocks(ctx: upshot.Followup[None]) -> bool:
        begun.set()
        free.wait(_PATIENCE)
        return False

    @app.scorer
    async def fast(ctx: upshot.Followup[None]) -> bool:
        return True

    executor.start(memory("f1", "blocks"))
    assert begun.wait(_PATIENCE)
    executor.start(memory("f2", "fast"))
    assert results(executor, 1).keys() == {"f2"}
    assert "blocks its event loop at" in caplog.text
    assert "in blocks" in caplog.text
    executor.start(memory("f3", "fast"))
    assert results(executor, 1).keys() == {"f3"}
    assert [name for name, _ in executor.running()] == ["f1"]
    free.set()
    assert results(executor, 1)["f1"].ending == "done"

    def relieved() -> bool:
        executor.finished()
        return not executor._blocked

    until(relieved)


def test_code_that_takes_no_notice_of_its_timeout_is_given_up(
    app: App, executor: LoopExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("upshot.followups.executor._GRACE", 0.0)
    free = threading.Event()

    @app.scorer(timeout=timedelta(milliseconds=10))
    async def blocks(ctx: upshot.Followup[None]) -> bool:
        free.wait(_PATIENCE)
        return False

    executor.start(memory("f1", "blocks"))
    error = results(executor, 1)["f1"].error or ""
    free.set()
    assert "blocks its event loop" in error
    assert executor.room() == 3


def test_a_closed_executor_gives_nothing(app: App, executor: LoopExecutor) -> None:
    ended = threading.Event()

    @app.scorer
    async def hangs(ctx: upshot.Followup[None]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    @app.scorer
    async def fast(ctx: upshot.Followup[None]) -> None: ...

    executor.start(memory("f1", "hangs"))
    executor.start(memory("f2", "fast"))
    assert results(executor, 1).keys() == {"f2"}
    executor.close()
    assert ended.wait(_PATIENCE)
    assert (executor.finished(), executor.running(), executor.room()) == ([], [], 3)


async def test_nothing_is_left_of_an_execution(app: App) -> None:
    @app.scorer
    async def branches(ctx: upshot.Followup[None]) -> None:
        await asyncio.gather(ctx.sleep(timedelta(days=1)), ctx.step("nothing", asyncio.sleep, 0))

    def left() -> int:
        gc.collect()
        return sum(isinstance(found, Replay | Branch) for found in gc.get_objects())

    known = memory("f1", "branches")
    assert (await execute(branches, known)).ending == "waiting"
    before = left()
    for _ in range(20):
        await execute(branches, known)
    assert left() <= before
