"""The unit of work by itself, over a source whose every answer the test gives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from upshot.errors import UnitFailed
from upshot.streams.kafka.sender import BatchSender
from upshot.streams.metrics.engine import EngineMetrics
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, Change, Effects, Timing
from upshot.streams.runtime.loop import ProcessingLoop
from upshot.streams.runtime.source import Polled

T0, T1 = TP("in", 0), TP("in", 1)


class Script:
    """A source that hands out what is put into it."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Polled] = asyncio.Queue()
        self.polls = 0
        self.at: dict[TP, int] = {}
        self.commits: list[Mapping[TP, int]] = []
        self.current = True
        self.member = True
        self.ends: dict[TP, int] = {}

    async def poll(self, tps: frozenset[TP], timeout: float, max_records: int) -> Polled:
        self.polls += 1
        return await self.answers.get()

    async def commit_positions(
        self, positions: Mapping[TP, int], generation: int, notes: Mapping[TP, str]
    ) -> bool:
        if all(self.at.get(tp) == position for tp, position in positions.items()):
            return True  # only the notes differ
        if self.current:
            self.at |= positions
            self.commits.append(dict(positions))
        return self.current

    async def is_member(self, generation: int, *, ask: bool = False) -> bool:
        return self.member

    async def list_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        return {tp: self.ends.get(tp, 0) for tp in tps}

    def give(self, tp: TP, first: int, last: int, position: int | None = None) -> None:
        records = [SimpleNamespace(offset=offset, timestamp=0) for offset in range(first, last + 1)]
        self.answers.put_nowait(Polled({tp: records}, {tp: last + 1 if position is None else position}))  # type: ignore[dict-item]


class Table:
    """Notes what is written, and what is written again."""

    changelog_topic_name = "changelog"

    def __init__(self) -> None:
        self.writes: list[Any] = []
        self.restored: list[Mapping[int, range]] = []
        self.finished = 0
        self.hold: asyncio.Event | None = None
        self.refuses: Exception | None = None

    async def begin(self, changes: Any, sender: BatchSender) -> Any:
        self.writes.append(changes)
        return changes

    async def finish(self, writing: Any, sender: BatchSender) -> dict[int, range]:
        if self.hold is not None:
            await self.hold.wait()
        if self.refuses is not None:
            raise self.refuses
        self.finished += 1
        return {}

    def has(self, partition: int) -> bool:
        return True

    def forget(self) -> None:
        self.writes = self.writes[: self.finished]

    def foreign(self, ends: Mapping[int, int]) -> dict[int, range]:
        return {partition: range(end) for partition, end in ends.items() if end}

    async def restore(self, foreign: Mapping[int, range], sender: BatchSender) -> None:
        self.restored.append(foreign)


TIMING = Timing(tick_interval=10_000.0)


class Handler:
    topics = ("in",)

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.calls: list[str] = []
        self.hold: asyncio.Event | None = None
        self.effects = Effects()
        self.left = 0
        #: After how many records each tick came.
        self.ticked_at: list[int] = []

    async def assigned(self, tps: frozenset[TP]) -> None:
        self.calls.append("assigned")

    async def revoked(self, tps: frozenset[TP]) -> None:
        self.calls.append("revoked")

    async def process(self, batches: Any) -> Effects:
        self.calls.append("process")
        if self.hold:
            await self.hold.wait()
        self.offsets += [record.offset for batch in batches.values() for record in batch]
        return self.effects

    async def tick(self) -> Effects:
        self.left -= 1
        self.ticked_at.append(len(self.offsets))
        return Effects(more=self.left > 0)

    async def flush(self) -> None:
        self.calls.append("flush")


class Setting:
    """A cycle with its surroundings; it commits at every turn, and hardly ever ticks by itself."""

    def __init__(self) -> None:
        self.source, self.handler, self.table = Script(), Handler(), Table()
        sender = BatchSender(lambda: None, 1.0)
        engine_metrics = EngineMetrics(Instruments())
        self.processing_loop = ProcessingLoop(
            self.handler, lambda: self.source, sender, self.table, TIMING, 0.0, engine_metrics, None
        )  # type: ignore[arg-type]
        self.running = asyncio.create_task(self.processing_loop.run())

    async def open(self, **positions: int) -> None:
        at = {T0: positions.get("t0", 0), T1: positions.get("t1", 0)}
        self.source.at = dict(at)
        await self.processing_loop.open(self.processing_loop.epoch, 1, at, {})


@pytest.fixture
async def setting() -> Any:
    setting = Setting()
    yield setting
    setting.running.cancel()
    await asyncio.gather(setting.running, return_exceptions=True)


async def test_records_of_a_former_assignment_are_not_processed(setting: Any, until: Any) -> None:
    await setting.open()
    await until(lambda: setting.source.polls == 1)
    await setting.processing_loop.close(1.0)
    await setting.open()
    setting.source.give(T0, 0, 4)  # what the poll from before brings
    await until(lambda: setting.source.polls == 2)
    setting.source.give(T0, 10, 12)
    await until(lambda: setting.handler.offsets)
    assert setting.handler.offsets == [10, 11, 12]


async def test_records_below_the_position_are_dropped(setting: Any, until: Any) -> None:
    await setting.open(t0=3)
    setting.source.give(T0, 0, 5)
    await until(lambda: setting.handler.offsets)
    assert setting.handler.offsets == [3, 4, 5]
    assert setting.source.commits == [{T0: 6}]


async def test_a_commit_does_not_wait_for_a_handler_that_tells_what_is_durable(
    setting: Any, until: Any
) -> None:
    setting.handler.durable = lambda: {T0: 2}
    await setting.open()
    setting.source.give(T0, 0, 5)
    await until(lambda: setting.source.commits)
    assert setting.source.commits == [{T0: 2}]
    assert "flush" not in setting.handler.calls
    assert await setting.processing_loop.close(5.0) == "committed"
    assert setting.source.commits == [{T0: 2}, {T0: 6}]
    assert setting.handler.calls[-2:] == ["flush", "revoked"]


async def test_a_log_that_was_cut_back_is_read_on(setting: Any, until: Any) -> None:
    await setting.open(t0=100)
    setting.source.give(T0, 0, 2)
    await until(lambda: setting.source.commits)
    assert setting.handler.offsets == [0, 1, 2]
    assert setting.source.commits == [{T0: 3}]


async def test_gaps_alone_move_the_position_and_are_committed(setting: Any, until: Any) -> None:
    await setting.open()
    setting.source.answers.put_nowait(Polled({}, {T0: 7, T1: 0}))
    await until(lambda: setting.source.commits)
    assert setting.source.commits == [{T0: 7}]
    assert setting.processing_loop.position(T0) == 7
    assert "process" not in setting.handler.calls


async def test_without_membership_no_state_is_written(setting: Any, until: Any) -> None:
    await setting.open()
    setting.source.member = False
    setting.handler.effects = Effects({0: {b"k": Change(b"v")}})
    setting.source.give(T0, 0, 0)
    await until(lambda: setting.handler.offsets and not setting.processing_loop.is_open)
    assert setting.table.writes == []
    assert await setting.processing_loop.close(1.0) == "dropped"
    assert setting.source.commits == []
    assert setting.handler.calls == ["assigned", "process", "revoked"]
    # The next generation works again.
    setting.source.member = True
    await setting.open()
    setting.source.give(T0, 0, 0)
    await until(lambda: setting.source.commits)
    assert setting.table.writes == [{0: {b"k": Change(b"v")}}]


async def test_a_late_write_is_put_right_before_the_next_commit(setting: Any, until: Any) -> None:
    setting.source.ends = {TP("changelog", 1): 3}
    await setting.open()
    setting.source.give(T0, 0, 0)
    await until(lambda: setting.source.commits)
    assert setting.table.restored == [{1: range(3)}]


async def test_a_late_write_of_our_own_is_left_to_the_owner(setting: Any, until: Any) -> None:
    """The changelog goes on without us because it's another's: then nothing is written, or committed."""
    setting.source.ends = {TP("changelog", 1): 3}
    setting.source.member = False
    await setting.open()
    setting.source.give(T0, 0, 0)
    await until(lambda: setting.handler.offsets and not setting.processing_loop.is_open)
    assert await setting.processing_loop.close(1.0) == "dropped"
    assert (setting.table.restored, setting.source.commits) == ([], [])


async def test_a_commit_that_comes_too_late_stops_work_until_the_next_assignment(
    setting: Any, until: Any
) -> None:
    await setting.open()
    setting.source.current = False
    setting.source.give(T0, 0, 0)
    await until(lambda: "flush" in setting.handler.calls and not setting.processing_loop.is_open)
    assert not setting.running.done()
    assert await setting.processing_loop.close(1.0) == "dropped"
    assert setting.handler.calls == ["assigned", "process", "flush", "revoked"]


async def test_close_waits_for_the_running_unit_and_commits_it(setting: Any, until: Any) -> None:
    setting.handler.hold = asyncio.Event()
    await setting.open()
    setting.source.give(T0, 0, 0)
    await until(lambda: "process" in setting.handler.calls)
    closing = asyncio.create_task(setting.processing_loop.close(30.0))
    await until(lambda: not setting.processing_loop.is_open)
    setting.handler.hold.set()
    assert await closing == "committed"
    assert setting.source.commits == [{T0: 1}]
    assert setting.handler.calls == ["assigned", "process", "flush", "revoked"]


async def test_close_drops_what_takes_too_long(setting: Any, until: Any) -> None:
    setting.handler.hold = asyncio.Event()
    await setting.open()
    setting.source.give(T0, 0, 0)
    await until(lambda: "process" in setting.handler.calls)
    assert await setting.processing_loop.close(0.05) == "dropped"
    assert setting.source.commits == []
    assert setting.handler.calls == ["assigned", "process", "revoked"]
    assert not setting.running.done()


async def test_a_failure_is_the_last_unit(setting: Any, until: Any) -> None:
    await setting.open()
    setting.source.give(T0, 0, 0)
    await until(lambda: setting.source.commits)

    async def fail(batches: Any) -> Effects:
        raise ValueError("no")

    setting.handler.process = fail
    setting.source.give(T0, 1, 1)
    with pytest.raises(ValueError, match="no"):
        await setting.running
    assert await setting.processing_loop.close(1.0) == "failed"
    assert setting.source.commits == [{T0: 1}]


async def test_the_next_unit_is_processed_while_the_changelog_acknowledges(setting: Any, until: Any) -> None:
    setting.handler.effects = Effects({0: {b"k": Change(b"v")}})
    setting.table.hold = asyncio.Event()
    await setting.open()
    setting.processing_loop._next_tick = setting.processing_loop._next_commit = float("inf")
    setting.source.give(T0, 0, 0)
    setting.source.give(T0, 1, 1)
    await until(lambda: setting.handler.offsets == [0, 1])
    assert (len(setting.table.writes), setting.table.finished) == (1, 0)
    setting.table.hold.set()
    await until(lambda: len(setting.table.writes) == 2)
    assert await setting.processing_loop.close(30.0) == "committed"
    assert (setting.table.finished, setting.source.commits) == (2, [{T0: 2}])


async def test_nothing_is_committed_before_the_changelog_has_acknowledged(setting: Any, until: Any) -> None:
    setting.handler.effects = Effects({0: {b"k": Change(b"v")}})
    setting.table.hold = asyncio.Event()
    await setting.open()
    setting.source.give(T0, 0, 0)
    await until(lambda: setting.table.writes)
    assert await setting.processing_loop.close(0.05) == "dropped"
    assert (setting.table.finished, setting.table.writes, setting.source.commits) == (0, [], [])


async def test_a_changelog_that_refuses_stops_the_work(setting: Any, until: Any) -> None:
    setting.handler.effects = Effects({0: {b"k": Change(b"v")}})
    setting.table.refuses = UnitFailed("refused")
    await setting.open()
    setting.source.give(T0, 0, 0)
    with pytest.raises(UnitFailed, match="refused"):
        await setting.running
    assert await setting.processing_loop.close(1.0) == "failed"
    assert setting.source.commits == []


async def test_a_tick_that_leaves_something_undone_comes_again_with_polls_in_between(
    setting: Any, until: Any
) -> None:
    setting.handler.left = 4
    for offset in range(6):
        setting.source.give(T0, offset, offset)
    await setting.open()
    await until(lambda: len(setting.handler.offsets) == 6)
    assert setting.handler.ticked_at == [1, 2, 3, 4]


async def test_work_asks_for_a_tick_in_the_same_turn_or_soon(setting: Any, until: Any) -> None:
    await setting.open()
    asked = [Effects(), Effects(), Effects(more=True), Effects(tick_within=0.0), Effects(tick_within=9_000.0)]
    for offset, setting.handler.effects in enumerate(asked):
        setting.source.give(T0, offset, offset)
        await until(lambda: len(setting.source.commits) == offset + 1)  # noqa: B023 - awaited here
    assert setting.handler.ticked_at == [1, 3, 4]
