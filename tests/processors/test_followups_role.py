"""The handler of follow-ups by itself: what it starts, keeps, says and forgets, and when."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.processors.scripted import SECOND, PlainExecutor, Scorer, Script
from tests.room import MemoryRoom
from upshot.processors.followups.handler import Followups
from upshot.processors.followups.state import MAX_STATE_BYTES, FollowupState, decode_followup
from upshot.settings import Settings
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.kafka.partitioner import partition_for
from upshot.streams.runtime import Effects, Output

SETTINGS = Settings(settled_retention="P1D", followup_attempts=3)  # type: ignore[arg-type]
DAY = 86_400 * SECOND
NOON = 1_767_268_800_000_000
HOME = partition_for(b"f", 2)


class Bench:
    """A role with a clock of its own and this code; `emitted` is what it has sent, by topic."""

    def __init__(self, room: MemoryRoom | None = None, **scorers: Scorer) -> None:
        self.now = NOON
        self.room = room or MemoryRoom()
        self.executor = PlainExecutor({(name, "1"): code for name, code in scorers.items()})
        self.role = Followups(self.room, SETTINGS, self.executor, lambda: self.now)
        self.offset = 0

    async def begin(self) -> Bench:
        await self.room.begin(self.role)
        return self

    async def goes_on(self, *records: Fetched, after: int = 0) -> list[Output]:
        """Time passes, records come, and ticks until nothing changes any more."""
        self.now += after
        sent = await self.room.process(self.role, *records)
        while more := await self.room.process(self.role):
            sent += more
        return sent + await self.room.process(self.role)

    def record(self, topic: str, **event: Any) -> Fetched:
        self.offset += 1
        value = json.dumps({"followup_id": "f"} | event).encode()
        return Fetched(f"upshot.{topic}", HOME, self.offset, self.now // 1000, b"f", value, ())

    def deferral(self, scorer: str, data: Any = 1) -> Fetched:
        return self.record("deferrals", run_id="r1", scorer=scorer, data=data)

    @property
    def state(self) -> FollowupState | None:
        value = self.room.table.get(HOME, b"f")
        return None if value is None else decode_followup(value)


def of(outputs: list[Output], topic: str) -> list[dict[str, Any]]:
    return [json.loads(o.value or b"") for o in outputs if o.topic == f"upshot.{topic}"]


def statuses(outputs: list[Output]) -> list[str]:
    return [status["status"] for status in of(outputs, "followups")]


async def test_failing_code_is_tried_again_with_growing_pauses_and_then_given_up() -> None:
    def broken(script: Script) -> None:
        raise ValueError("no rating")

    bench = await Bench(broken=broken).begin()
    assert statuses(await bench.goes_on(bench.deferral("broken"))) == ["running", "running"]
    assert await bench.goes_on(after=SECOND - 1) == []
    assert statuses(await bench.goes_on(after=1)) == ["running"]
    assert await bench.goes_on(after=2 * SECOND - 1) == []
    given_up = await bench.goes_on(after=1)
    assert statuses(given_up) == ["failed"]
    [letter] = of(given_up, "dead-letters")
    assert (letter["reason"], letter["topic"], letter["offset"]) == ("followup_failed", "upshot.deferrals", 1)
    assert "no rating" in letter["detail"]
    assert await bench.goes_on(after=400 * DAY) == []
    assert len(bench.executor.started) == 3
    [again] = of(await bench.goes_on(bench.record("resumptions", kind="retry")), "followups")[:1]
    assert (again["status"], again["attempts"]) == ("running", 0)
    assert len(bench.executor.started) == 4


async def test_what_steps_gave_is_kept_before_anything_that_follows_from_it_is_said() -> None:
    def chosen(script: Script) -> None:
        script.wait("closed", f"ticket:{script.step('search', 7)}", SECOND)

    bench = await Bench(chosen=chosen).begin()
    first = await bench.room.process(bench.role, bench.deferral("chosen"))
    second = await bench.room.process(bench.role)
    assert bench.state is not None and len(bench.state.results) == 1
    assert not of(first + second, "waits")
    third = await bench.room.process(bench.role)
    assert [wait["subject"] for wait in of(third, "waits")] == ["ticket:7"]


async def test_a_new_owner_starts_again_what_the_old_one_had_under_way() -> None:
    def simple(script: Script) -> None:
        script.score("done", True)

    bench = await Bench(simple=simple).begin()
    bench.executor.holding.add("f")
    await bench.goes_on(bench.deferral("simple"))
    assert bench.executor.started == ["f"]
    await bench.role.revoked(frozenset())
    assert not bench.executor.running()
    bench.executor.holding.clear()
    successor = await Bench(bench.room, simple=simple).begin()
    assert [s["value"] for s in of(await successor.goes_on(), "scores")] == [True]
    await bench.room.process(bench.role)
    assert successor.state is not None and successor.state.status == "done"


async def test_what_is_done_listens_on_and_is_forgotten_after_its_retention() -> None:
    def answered(script: Script) -> None:
        script.score("late", script.wait("closed", "ticket:1", 3 * DAY).event is not None)

    bench = await Bench(answered=answered).begin()
    [wait] = of(await bench.goes_on(bench.deferral("answered")), "waits")
    answer = {"wait_id": wait["wait_id"], "at": "2026-01-04T12:00:00Z"}
    ended = await bench.goes_on(bench.record("resumptions", **answer), after=3 * DAY)
    assert [s["value"] for s in of(ended, "scores")] == [False]
    event = {"id": "e", "type": "closed", "subject": "ticket:1", "time": "2026-01-02T12:00:00Z"}
    late = answer | {"event": event, "revision": 2, "at": event["time"], "late": True}
    corrected = await bench.goes_on(bench.record("resumptions", **late), after=DAY - SECOND)
    assert [(s["value"], s["late"], s["supersedes"]) for s in of(corrected, "scores")] == [(True, True, 1)]
    await bench.goes_on(after=DAY - SECOND)
    assert bench.state is not None
    await bench.goes_on(after=2 * SECOND)
    assert bench.state is None


async def test_an_answer_that_is_taken_back_leaves_the_question_open() -> None:
    def answered(script: Script) -> None:
        script.score("closed", script.wait("closed", "ticket:1", DAY).event is not None)

    bench = await Bench(answered=answered).begin()
    [wait] = of(await bench.goes_on(bench.deferral("answered")), "waits")
    about = {"wait_id": wait["wait_id"]}
    event = {"id": "e", "type": "closed", "subject": "ticket:1", "time": "2026-01-01T13:00:00Z"}
    first = bench.record("resumptions", **about, event=event, at=event["time"])
    await bench.goes_on(first)
    reopened = await bench.goes_on(bench.record("resumptions", **about, kind="reopened", revision=2))
    assert statuses(reopened) == ["running", "waiting"]
    assert [(s["value"], s["revision"], s["reason"]) for s in of(reopened, "scores")] == [
        (None, 2, "reopened")
    ]
    assert await bench.goes_on(first) == []
    ended = await bench.goes_on(bench.record("resumptions", **about, revision=3, at="2026-01-02T12:00:00Z"))
    assert [(s["value"], s["revision"]) for s in of(ended, "scores")] == [(False, 3)]


async def test_an_answer_before_its_deferral_is_kept() -> None:
    def answered(script: Script) -> None:
        script.score("closed", script.wait("closed", "ticket:1", DAY).event is not None)

    bench = await Bench(answered=answered).begin()
    deferral = bench.deferral("answered")
    [wait] = of(await bench.goes_on(deferral), "waits")
    other = await Bench(answered=answered).begin()
    early = other.record("resumptions", wait_id=wait["wait_id"], at="2026-01-02T12:00:00Z")
    assert await other.goes_on(early) == []
    assert [s["value"] for s in of(await other.goes_on(deferral), "scores")] == [False]


async def test_code_that_comes_later_is_looked_for_each_minute_and_by_a_new_owner_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def simple(script: Script) -> None:
        script.score("done", True)

    bench = await Bench().begin()
    with caplog.at_level(logging.WARNING):
        assert statuses(await bench.goes_on(bench.deferral("simple"))) == ["running", "undeployed"]
        assert await bench.goes_on(after=30 * SECOND) == []
    assert caplog.text.count("simple version 1 (1)") == 1
    assert bench.role.undeployed.counts() == {("simple", "1"): 1}
    assert await bench.goes_on(after=30 * SECOND) == []
    bench.executor.scorers["simple", "1"] = simple
    assert await bench.goes_on(after=59 * SECOND) == []
    assert statuses(await bench.goes_on(after=SECOND)) == ["running", "done"]

    bench = await Bench().begin()
    await bench.goes_on(bench.deferral("simple"))
    successor = await Bench(bench.room, simple=simple).begin()
    assert statuses(await successor.goes_on()) == ["running", "done"]


async def test_what_grows_too_large_fails_instead_of_stopping_the_worker() -> None:
    def greedy(script: Script) -> None:
        script.step("read", "x" * MAX_STATE_BYTES)

    bench = await Bench(greedy=greedy).begin()
    outputs = await bench.goes_on(bench.deferral("greedy"))
    assert statuses(outputs) == ["running", "failed"]
    assert "keep long content elsewhere" in of(outputs, "dead-letters")[0]["detail"]


async def test_no_more_is_started_than_there_is_room_for() -> None:
    def simple(script: Script) -> None:
        script.score("done", True)

    bench = Bench(simple=simple)
    bench.executor = PlainExecutor({("simple", "1"): simple}, room=3)
    bench.role = Followups(bench.room, SETTINGS, bench.executor, lambda: bench.now)
    await bench.begin()
    ids = [f"f{number}" for number in range(10)]
    bench.executor.holding |= set(ids)
    records = [
        Fetched("upshot.deferrals", partition_for(key.encode(), 2), n, NOON // 1000, key.encode(), value, ())
        for n, key in enumerate(ids)
        if (value := json.dumps({"followup_id": key, "run_id": "r", "scorer": "simple"}).encode())
    ]
    await bench.goes_on(*records)
    assert len(bench.executor.started) == 3
    bench.executor.holding.clear()
    assert len(of(await bench.goes_on(), "scores")) == 10


async def test_a_worker_that_was_given_no_partition_looks_at_nothing() -> None:
    bench = Bench()
    await bench.role.assigned(frozenset())
    assert await bench.role.tick() == Effects()


@pytest.mark.parametrize(
    ("asked", "detail"),
    [
        (lambda script: script.sleep(10**7 * DAY), "it sleeps beyond the year 2099"),
        (lambda script: script.wait("closed", "ticket:1", 5_000 * DAY), "for over ten years"),
        (lambda script: script.wait("closed", "ticket:1", 0), "for no time"),
        (lambda script: script.wait("closed", "t" * 513, DAY), "too long"),
        (lambda script: script.wait("", "ticket:1", DAY), "empty"),
    ],
)
async def test_code_that_asks_for_the_impossible_fails_instead_of_stopping_the_worker(
    asked: Scorer, detail: str
) -> None:
    bench = await Bench(odd=asked).begin()
    outputs = await bench.goes_on(bench.deferral("odd"))
    assert statuses(outputs) == ["running", "failed"]
    assert detail in of(outputs, "dead-letters")[0]["detail"]
    assert not of(outputs, "waits")


@pytest.mark.parametrize("when", ["!" * 60 + "data", "data.("])
async def test_a_wait_that_the_join_would_refuse_fails_instead_of_waiting_for_ever(when: str) -> None:
    def odd(script: Script) -> None:
        script.wait("closed", "ticket:1", DAY, when)

    bench = await Bench(odd=odd).begin()
    outputs = await bench.goes_on(bench.deferral("odd"))
    assert statuses(outputs) == ["running", "failed"]
    assert "no wait can be" in of(outputs, "dead-letters")[0]["detail"]
    assert not of(outputs, "waits")
