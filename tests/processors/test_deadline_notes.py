"""A revision has one verdict, wherever between its announcement and its memory a worker ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.odd_records import NOON, a_record
from tests.processors.test_correlate_properties import HISTORIES
from tests.room import MemoryRoom
from upshot.processors.correlate import handler as join
from upshot.processors.correlate.crowded import weighing
from upshot.processors.correlate.deadline_notes import KEY
from upshot.processors.correlate.handler import Join
from upshot.settings import Settings
from upshot.streams.events.resolution import written
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import TP, Effects

SETTINGS = Settings(deadline_grace=timedelta(0))
SECOND = 1_000_000
RULES = [
    {"on": {"pr.closed": {"score": "data.v"}}, "within": "PT1M", "else": -1},
    {"on": {"pr.closed": {"score": "data.v"}}, "within": "PT2M", "mode": "count", "else": 0},
    {"on": {"pr.closed": {"score": "data.v"}}, "within": "PT1M", "mode": "last"},
]
Step = tuple[str, int]


@pytest.fixture(autouse=True, scope="module")
def _look_often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weighing, "STRIDES", 1)
        yield


class Crash(Exception):
    """The worker ended."""


class Worker(MemoryRoom):
    """A join of one partition whose worker may end within any unit; what is durable stays."""

    def __init__(self) -> None:
        super().__init__(partitions=1)
        self.now = NOON * 1000
        self.records: dict[TP, list[Fetched]] = {TP(f"upshot.{t}", 0): [] for t in ("outcomes", "waits")}
        self.committed = dict.fromkeys(self.records, 0)
        #: What is durable of the next effects, which end in a crash: 0 is nothing, 1 the first of both kinds.
        self.cut: int | None = None
        asyncio.run(self.start())

    async def start(self) -> None:
        self.join = Join(self, SETTINGS, lambda: self.now)
        self._positions = dict(self.committed)
        await self.join.assigned(self.assignment())
        self.carry_out(await self.join.resume())

    async def end_offsets(self, tps: Any) -> dict[TP, int]:
        return {tp: len(self.records[tp]) for tp in tps}

    def write(self, topic: str, **event: Any) -> None:
        log = self.records[TP(f"upshot.{topic}", 0)]
        stamp = self.now // 1000
        record = a_record(topic, {"subject": "pr:1"} | event, len(log), partition=0, timestamp=stamp)
        log.append(record)

    def carry_out(self, effects: Effects) -> None:
        parts = [lambda: self.table.apply(effects.changes), lambda: self.outputs.extend(effects.outputs)]
        if effects.outputs_first:
            parts.reverse()
        for place, part in enumerate(parts):
            if self.cut == place:
                self.cut = None
                raise Crash
            part()

    async def unit(self, count: int) -> None:
        """Poll, process, tick; a crash begins anew from what was committed."""
        try:
            batches: dict[TP, Sequence[Fetched]] = {
                tp: log[self._positions[tp] : self._positions[tp] + count]
                for tp, log in self.records.items()
                if self._positions[tp] < len(log)
            }
            if batches:
                self.carry_out(await self.join.process(batches))
                self._positions |= {tp: batch[-1].offset + 1 for tp, batch in batches.items()}
            self.carry_out(await self.join.tick())
        except Crash:
            try:
                await self.start()
            except Crash:
                await self.start()

    async def play(self, steps: Sequence[Step]) -> None:
        for number, (what, how_much) in enumerate(steps):
            match what:
                case "wait":
                    rule = RULES[how_much % len(RULES)]
                    self.write("waits", run_id="r", name=f"n{how_much}", rule=rule)
                case "outcome":
                    time = written(self.now - how_much * 25 * SECOND, 999)
                    event = {"type": "pr.closed", "id": f"o{number}", "data": {"v": number}}
                    self.write("outcomes", **event, time=time)
                case "pass":
                    self.now += how_much * 15 * SECOND
                case "crash":
                    self.cut = how_much % 2
                case "commit":
                    self.committed = dict(self._positions)
            await self.unit(1 + how_much)
        self.cut = None
        self.now += 3600 * SECOND
        for _ in range(60):
            await self.unit(100)

    def scores(self) -> list[dict[str, Any]]:
        return [json.loads(o.value or b"") for o in self.outputs if o.topic == "upshot.scores"]

    def history(self) -> dict[tuple[str, int], set[tuple[Any, ...]]]:
        """The verdicts of each revision."""
        found: dict[tuple[str, int], set[tuple[Any, ...]]] = {}
        for s in self.scores():
            verdict = s["value"], s["reason"], s["late"], s["outcome_id"]
            found.setdefault((s["name"], s["revision"]), set()).add(verdict)
        return found


steps = st.lists(
    st.tuples(
        st.sampled_from(["wait", "outcome", "outcome", "pass", "pass", "crash", "commit"]), st.integers(0, 3)
    ),
    min_size=3,
    max_size=25,
)


@settings(max_examples=HISTORIES, deadline=None)
@given(steps, st.sampled_from([10**6, 1, 700]))
def test_a_revision_has_one_verdict(played: list[Step], crowded_from: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(join, "CROWDED_FROM", crowded_from)
        worker = Worker()
        asyncio.run(worker.play(played))
    assert [verdicts for verdicts in worker.history().values() if len(verdicts) > 1] == []
    numbers: dict[str, list[int]] = {}
    for name, revision in worker.history():
        numbers.setdefault(name, []).append(revision)
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())


@pytest.mark.parametrize("crowded_from", [10**6, 1])
def test_a_deadline_announced_and_not_remembered_is_evaluated_before_a_late_outcome(
    crowded_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome's producer was slow; without the note, the outcome would be revision 1."""
    monkeypatch.setattr(join, "CROWDED_FROM", crowded_from)

    async def work() -> Worker:
        worker.write("waits", run_id="r", name="n", rule=RULES[0])
        await worker.unit(1)
        for _ in range(10):
            await worker.unit(1)
        worker.now += 61 * SECOND
        while not worker.scores():
            worker.cut = 1 if KEY in dict(worker.table.items(0)) else None
            await worker.unit(1)
        worker.write("outcomes", type="pr.closed", id="o", time="2026-01-01T12:00:30Z", data={"v": 5})
        for _ in range(20):
            await worker.unit(1)
        return worker

    worker = Worker()
    asyncio.run(work())
    verdicts = {place: {v[:2] for v in found} for place, found in worker.history().items()}
    assert verdicts == {("n", 1): {(-1, "deadline")}, ("n", 2): {(5, "outcome")}}
