"""Subjects that hold much, in the join.

Written down at once, weighed in turns, and nothing is left of them in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.odd_records import HOME, NOON, a_record
from tests.processors.test_join_records import emitted
from tests.room import MemoryRoom
from upshot.processors.correlate import handler as join
from upshot.processors.correlate.crowded import is_head
from upshot.processors.correlate.deadline_notes import KEY as NOTE
from upshot.processors.correlate.decide import step
from upshot.processors.correlate.facts import OutcomeReceived, WaitReceived
from upshot.processors.correlate.handler import Join
from upshot.processors.correlate.state import (
    StoredMatch,
    StoredOutcome,
    StoredRule,
    StoredWait,
    encode_subject,
)
from upshot.settings import Settings
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.runtime import TP, Change

SETTINGS = Settings(
    look_back=timedelta(hours=1), settled_retention=timedelta(hours=1), deadline_grace=timedelta(0)
)
COUNT = {"on": {"pr.closed": {}}, "within": "PT1M", "mode": "count"}


@pytest.fixture(autouse=True)
def _crowded_soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(join, "CROWDED_FROM", 1)
    return iter(())


class Worker:
    """A join on a table that outlives it, with a clock of its own."""

    def __init__(self) -> None:
        self.room = MemoryRoom()
        self.now = NOON * 1000
        self.offset = 0
        self.start()

    def start(self) -> None:
        self.join = Join(self.room, SETTINGS, lambda: self.now)
        asyncio.run(self.room.begin(self.join))

    def tell(self, topic: str, **event: Any) -> Fetched:
        self.offset += 1
        return a_record(topic, {"subject": "pr:1"} | event, self.offset, timestamp=self.now // 1000)

    def outcome(self, ident: str, **changed: Any) -> Fetched:
        return self.tell("outcomes", **{"type": "pr.closed", "id": ident, "data": {"v": 1}} | changed)

    def wait(self, name: str = "n", **changed: Any) -> Fetched:
        return self.tell("waits", **{"run_id": "r", "name": name, "rule": COUNT} | changed)

    def process(self, *records: Fetched, turns: bool = True) -> list[dict[str, Any]]:
        """The scores that come of it."""

        async def work() -> None:
            before = len(self.room.outputs)
            await self.room.process(self.join, *records)
            if turns:
                for _ in range(50):
                    await self.room.process(self.join)
            found.extend(emitted(self.room.outputs[before:], "scores"))

        found: list[dict[str, Any]] = []
        asyncio.run(work())
        return found

    def values(self, scores: list[dict[str, Any]]) -> list[tuple[float, int]]:
        return [(score["value"], score["revision"]) for score in scores]


def test_each_outcome_makes_a_revision() -> None:
    worker = Worker()
    worker.process(worker.wait())
    scores = worker.process(*(worker.outcome(f"o{n}") for n in range(20)))
    assert worker.values(scores) == [(float(n), n) for n in range(1, 21)]
    assert is_head(worker.room.table.get(HOME, b"pr:1") or b"")
    assert worker.room.table.waiting(HOME) == 0


def test_what_was_written_down_is_weighed_by_whoever_comes_next() -> None:
    worker = Worker()
    worker.process(worker.wait())

    async def take_only() -> None:
        batch = [worker.outcome("o1"), worker.outcome("o2")]
        effects = await worker.join.process({TP("upshot.outcomes", HOME): batch})
        assert effects.more
        assert not effects.outputs
        worker.room.table.apply(effects.changes)

    asyncio.run(take_only())
    worker.start()
    assert worker.values(worker.process()) == [(1.0, 1), (2.0, 2)]


def test_deadlines_are_judged_and_nothing_is_left_in_the_end() -> None:
    worker = Worker()
    worker.process(worker.wait(), worker.wait("m"), worker.outcome("o1"))
    worker.process(
        worker.outcome("o2", type="other"), worker.wait("k", rule=COUNT | {"else": 7, "on": {"x": {}}})
    )
    worker.now += 120_000_000
    scores = worker.process()
    assert [(s["name"], s["value"], s["reason"]) for s in scores] == [("k", 7, "deadline")]
    worker.start()
    worker.now += 3 * 3_600_000_000
    for _ in range(5):
        assert worker.process() == []
        worker.now += 3_600_000_000
    assert [key for key, _ in worker.room.table.items(HOME)] == [NOTE]
    worker.process(worker.wait())
    assert worker.values(worker.process(worker.outcome("o1"))) == [(1.0, 1)]


def test_a_large_subject_of_the_version_before_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, now = Worker(), NOON * 1000
    rule = StoredRule({"pr.closed": StoredMatch()}, 0.0, "count").json
    old = StoredWait("w", "r", "n", now, now, now + 60_000_000, rule)
    told = [
        OutcomeReceived("pr:1", StoredOutcome(f"o{n}", "pr.closed", now + n, now, 0, n)) for n in range(500)
    ]
    subject = step({}, [WaitReceived("pr:1", old), *told], now).subjects["pr:1"]
    worker.room.table.apply({HOME: {b"pr:1": Change(encode_subject(subject) or b"", now + 60_000_000, 1)}})
    assert worker.values(worker.process(worker.outcome("new"))) == [(501.0, 501)]
    assert is_head(worker.room.table.get(HOME, b"pr:1") or b"")


def test_what_was_announced_before_it_was_crowded_is_said_again() -> None:
    worker = Worker()
    first, wait = worker.outcome("o1"), worker.wait()
    once = worker.process(first, wait)
    assert worker.values(once) == [(1.0, 1)]
    assert worker.values(worker.process(first)) == [(1.0, 1)]
    assert worker.values(worker.process(wait)) == [(1.0, 1)]
    assert worker.process(worker.outcome("o1")) == []


def test_what_is_too_much_is_a_dead_letter_and_the_answers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "MOST_ARRIVALS", 3)
    worker = Worker()
    worker.process(worker.wait())
    worker.process(worker.outcome("o1"), worker.outcome("o2"))
    assert worker.process(worker.outcome("o3")) == []
    [letter] = emitted(worker.room.outputs, "dead-letters")
    assert (letter["reason"], letter["offset"]) == ("too_large", 4)
    assert "outcomes and waits" in letter["detail"]
    worker.now += 120_000_000
    assert worker.process() == []
    assert [score["value"] for score in emitted(worker.room.outputs, "scores")] == [1.0, 2.0]


def test_others_go_on_while_a_crowd_is_weighed() -> None:
    worker = Worker()
    other = next(
        name for name in map("pr:{}".format, range(2, 99)) if partition_for(name.encode(), 2) == HOME
    )
    worker.process(*(worker.wait(f"n{n}") for n in range(100)))
    worker.process(*(worker.outcome(f"o{n}") for n in range(1_000)), turns=False)
    scores = worker.process(worker.wait(subject=other), worker.outcome("x", subject=other), turns=False)
    assert [score["value"] for score in scores if score["subject"] == other] == [1.0]
    assert len(emitted(worker.room.outputs, "scores")) < 100_000


def test_so_much_at_once_is_written_down_before_it_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "CROWDED_FROM", 10**9)
    worker = Worker()
    outcomes = [worker.outcome(f"o{n}") for n in range(150)]
    scores = worker.process(worker.wait(), *outcomes)
    assert worker.values(scores)[-1] == (150.0, scores[-1]["revision"])
    assert is_head(worker.room.table.get(HOME, b"pr:1") or b"")
