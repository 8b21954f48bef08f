"""A record that ends the worker each time is set aside; whatever else ends it, no record is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from upshot.errors import KafkaUnavailable
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.metrics.engine import EngineMetrics
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, Effects, Output, Timing, Unsettled
from upshot.streams.runtime.loop import ProcessingLoop
from upshot.streams.runtime.poison import ALONE, CAUTIOUS_POLLS, Note, PoisonGuard, read_note, write_note
from upshot.streams.runtime.source import Polled

T0, T1 = TP("in", 0), TP("in", 1)


class Killed(BaseException):
    """The process is gone: nobody catches it, nothing is cleaned up."""


class Broker:
    """Records, and what the group has committed: survives every worker."""

    def __init__(self, counts: Mapping[TP, int]) -> None:
        self.logs = {
            tp: [Fetched(*tp, n, 0, None, b"", ()) for n in range(count)]  # type: ignore[arg-type]
            for tp, count in counts.items()
        }
        self.committed = dict.fromkeys(counts, 0)
        self.notes: dict[TP, str] = {}
        self.letters: list[int] = []
        #: What takes so long, without giving up the interpreter, that the session is lost.
        self.endless: set[int] = set()
        self.commits = 0

    def is_done(self) -> bool:
        return all(self.committed[tp] == len(log) for tp, log in self.logs.items())


class Worker:
    """One life of a worker: source, sender and handler of a cycle."""

    topics = ("in",)

    def __init__(self, broker: Broker, poll: int, on: Callable[[str, list[int]], None]) -> None:
        self.broker, self.on = broker, on
        self.seen: list[tuple[TP, int]] = []
        self._at = dict(broker.committed)
        #: The group has given its partitions to another, since it was silent for too long.
        self.is_lost = False
        #: The record that is slow, once it is handled.
        self.waits_at = -1
        self.is_waiting = asyncio.Event()
        #: A topic changes while the slow record is handled: the next commit isn't done.
        self.is_unsettled = False
        self._poll = poll
        self.processing_loop = ProcessingLoop(
            self,  # type: ignore[arg-type]
            lambda: self,  # type: ignore[arg-type,return-value]
            self,  # type: ignore[arg-type]
            None,
            Timing(tick_interval=10_000.0),
            10_000.0,
            EngineMetrics(Instruments()),
            self._letter,
        )

    async def live(self) -> BaseException | None:
        """Until all is committed (None), or it ends by what is returned."""
        await self.processing_loop.open(
            self.processing_loop.epoch, 1, self.broker.committed, dict(self.broker.notes)
        )
        running = asyncio.create_task(self.processing_loop.run())
        while not running.done() and self.processing_loop.is_open:  # noqa: ASYNC110 - nobody tells when a cycle closes
            await asyncio.sleep(0)
        if not running.done():
            running.cancel()
            assert await self.processing_loop.close(5.0) == "dropped"
            return Killed()
        error = running.exception()
        if not isinstance(error, asyncio.QueueEmpty):
            return error
        assert await self.processing_loop.close(5.0) == "committed"
        return None

    async def shared_out_anew(self) -> None:
        """Live until the slow record is handled, and have the partitions taken away then."""
        await self.processing_loop.open(
            self.processing_loop.epoch, 1, self.broker.committed, dict(self.broker.notes)
        )
        running = asyncio.create_task(self.processing_loop.run())
        await self.is_waiting.wait()
        while self.is_unsettled and self.processing_loop.is_open:  # noqa: ASYNC110 - nobody tells when a cycle closes
            await asyncio.sleep(0)
        assert await self.processing_loop.close(0.01) == "dropped"
        running.cancel()

    def _letter(self, record: Any, why: str) -> Output:
        self.broker.letters.append(record.offset)
        return Output("dead-letters", None, b"", b"")

    # The source.

    async def poll(self, tps: frozenset[TP], timeout: float, max_records: int) -> Polled:
        found = {}
        for tp, log in self.broker.logs.items():
            records = log[self._at[tp] : self._at[tp] + self._poll]
            if records:
                found[tp] = records
                self._at[tp] = records[-1].offset + 1
        if not found:
            raise asyncio.QueueEmpty
        return Polled(found, dict(self._at))  # type: ignore[arg-type]

    async def commit_positions(
        self, positions: Mapping[TP, int], generation: int, notes: Mapping[TP, str]
    ) -> bool:
        if self.is_lost:
            return False
        if self.is_unsettled and self.is_waiting.is_set():
            self.is_unsettled = False
            return False
        self.on("commit", [])
        self.broker.commits += 1
        for tp, position in positions.items():
            self.broker.committed[tp] = position
            self.broker.notes[tp] = notes.get(tp, "")
        return True

    async def list_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        return {}

    # The sender.

    async def outputs(self, outputs: Iterable[Output]) -> None:
        self.on("outputs", [])

    def forget(self) -> None:
        pass

    # The handler; `flush` is the sender's, too.

    async def assigned(self, tps: frozenset[TP]) -> None:
        pass

    async def revoked(self, tps: frozenset[TP]) -> None:
        pass

    async def process(self, batches: Mapping[TP, Any]) -> Effects:
        for tp, records in batches.items():
            offsets = [record.offset for record in records] if tp == T0 else []
            self.is_lost = self.is_lost or bool(set(offsets) & self.broker.endless)
            self.on("process", offsets)
            self.seen += [(tp, record.offset) for record in records]
            if self.waits_at in offsets:
                self.is_waiting.set()
                if not self.is_unsettled:
                    await asyncio.Event().wait()
        return Effects()

    async def tick(self) -> Effects:
        return Effects()

    async def flush(self) -> None:
        self.on("flush", [])


async def lives(
    broker: Broker, on: Callable[[str, list[int]], None], poll: int = 5_000, most: int = 60
) -> int:
    """How many workers it takes until all is committed."""
    for number in range(1, most + 1):
        if await Worker(broker, poll, on).live() is None and broker.is_done():
            return number
    raise AssertionError(f"{broker.committed} after {most} workers, {broker.notes}")


def dies_of(poison: set[int], error: BaseException) -> Callable[[str, list[int]], None]:
    def on(what: str, offsets: list[int]) -> None:
        if what == "process" and poison & set(offsets):
            raise error

    return on


@pytest.mark.parametrize("error", [Killed(), ValueError("odd"), RecursionError(), MemoryError()], ids=repr)
@pytest.mark.parametrize("poison", [{0}, {7}, {4_999}, {5_000}, {11_234}, {3, 4, 5}, {17, 9_000}], ids=repr)
async def test_what_ends_each_worker_is_set_aside(error: BaseException, poison: set[int]) -> None:
    broker = Broker({T0: 12_000, T1: 300})
    number = await lives(broker, dies_of(poison, error))
    assert broker.letters == sorted(poison)
    assert number <= 9 * len(poison)
    assert set(broker.notes.values()) == {""}


async def test_what_takes_each_session_is_set_aside() -> None:
    broker = Broker({T0: 6_000, T1: 300})
    broker.endless = {1_234}
    assert await lives(broker, lambda what, offsets: None) <= 9
    assert broker.letters == [1_234]


async def test_where_few_records_come_too() -> None:
    broker = Broker({T0: 40})
    assert await lives(broker, dies_of({20}, Killed()), poll=1) <= 3 + ALONE
    assert broker.letters == [20]


@pytest.mark.parametrize(
    "error", [OSError("disk full"), KafkaUnavailable("away"), RuntimeError("closed")], ids=repr
)
async def test_what_is_not_about_the_record_sets_nothing_aside(error: Exception) -> None:
    broker = Broker({T0: 1_000})
    with pytest.raises(AssertionError, match="after 60 workers"):
        await lives(broker, dies_of({500}, error))
    assert broker.letters == [] and broker.committed[T0] == 500


@pytest.mark.parametrize("where", ["flush", "outputs", "commit"])
async def test_who_waits_for_others_when_it_is_killed_sets_nothing_aside(where: str) -> None:
    broker, away = Broker({T0: 500}), True

    def on(what: str, offsets: list[int]) -> None:
        if what == where and away:
            raise Killed

    for _ in range(30):
        await Worker(broker, 100, on).live()
    away = False
    await lives(broker, on, poll=100)
    assert broker.letters == []


@pytest.mark.parametrize("seed", range(8))
async def test_ordinary_kills_set_nothing_aside(seed: int) -> None:
    chance, broker = random.Random(seed), Broker({T0: 3_000, T1: 800})

    def on(what: str, offsets: list[int]) -> None:
        # Far likelier than any that comes from outside: such a call takes less than a thousandth of a
        # worker's life.
        if chance.random() < 0.02:
            raise Killed

    await lives(broker, on, poll=chance.choice([1, 10, 700]), most=20_000)
    assert broker.letters == []


async def one_record_short_of_blame(poison: int = 500) -> Broker:
    """As left behind by workers that ended: the record was alone in the handler, and once more is enough."""
    broker = Broker({T0: 1_000, T1: 300})
    while not any((note := read_note(text)) and note.alone == ALONE for text in broker.notes.values()):
        await Worker(broker, 5_000, dies_of({poison}, Killed())).live()
    note = Note(1, 1, poison + 1, ALONE - 1)
    broker.notes[T0] = write_note(note)
    return broker


@pytest.mark.parametrize("is_topic", [False, True], ids=["rebalance", "topic"])
async def test_what_cuts_a_slow_record_short_sets_nothing_aside(is_topic: bool) -> None:
    broker = await one_record_short_of_blame()
    for _ in range(2 * ALONE):
        worker = Worker(broker, 5_000, lambda what, offsets: None)
        worker.waits_at = 500
        worker.is_unsettled = is_topic
        await worker.shared_out_anew()
        assert broker.committed[T0] == 500 and broker.notes[T0] == ""
    assert await lives(broker, lambda what, offsets: None) == 1
    assert broker.letters == []


async def test_a_handler_that_meets_a_topic_that_changes_blames_no_record() -> None:
    broker = await one_record_short_of_blame()
    for _ in range(2 * ALONE):
        worker = Worker(broker, 5_000, dies_of({500}, Unsettled()))
        assert isinstance(await worker.live(), Unsettled)
        assert await worker.processing_loop.close(5.0) == "failed"
        assert broker.committed[T0] == 500 and broker.notes[T0] == ""
    assert broker.letters == []


async def test_who_gives_a_partition_away_untouched_leaves_what_was_found() -> None:
    broker = await one_record_short_of_blame()
    found = broker.notes[T0]
    worker = Worker(broker, 5_000, lambda what, offsets: None)
    await worker.processing_loop.open(worker.processing_loop.epoch, 1, broker.committed, dict(broker.notes))
    assert await worker.processing_loop.close(5.0) == "committed"
    assert broker.notes[T0] == found


async def test_it_is_set_aside_only_after_it_was_alone_so_often() -> None:
    broker, left = Broker({T0: 20}), ALONE - 1

    def on(what: str, offsets: list[int]) -> None:
        nonlocal left
        if what == "process" and offsets == [7] and left:
            left -= 1
            raise Killed
        if what == "process" and 7 in offsets and len(offsets) > 1:
            raise Killed

    await lives(broker, on)
    assert broker.letters == [] and not left


async def test_all_is_as_ever_after_some_polls_without_an_end() -> None:
    broker = Broker({T0: 10_000})
    await Worker(broker, 100, dies_of({0}, Killed())).live()
    worker = Worker(broker, 100, lambda what, offsets: None)
    before = broker.commits
    await worker.live()
    assert broker.is_done() and broker.letters == []
    assert broker.commits - before == 2 * CAUTIOUS_POLLS + 1


async def test_other_partitions_go_on_meanwhile() -> None:
    broker = Broker({T0: 10_000, T1: 100})
    for _ in range(2):
        await Worker(broker, 5_000, dies_of({0}, Killed())).live()
    assert broker.committed == {T0: 0, T1: 0}
    await Worker(broker, 5_000, dies_of({0}, Killed())).live()
    assert broker.committed == {T0: 0, T1: 100}


async def test_the_ordinary_path_costs_a_commit_for_each_assignment() -> None:
    broker = Broker({T0: 10_000, T1: 10_000})
    await Worker(broker, 100, lambda what, offsets: None).live()
    assert broker.commits == 3  # to begin, after the first batch, and at the end


@pytest.mark.parametrize("text", ["", "by hand", "{}", '{"span": 3}', '{"poison_guard": 2}', "[]"])
def test_what_others_note_is_none_of_ours(text: str) -> None:
    guard = PoisonGuard()
    guard.assigned({T0: text})
    assert guard.is_calm(T0)


def test_a_note_is_read_as_it_was_written() -> None:
    note = Note(1, 12, 30, 2)
    assert read_note(write_note(note)) == note
    assert len(write_note(Note(1, 10**6, 10**18, 3))) < 200
