"""A scorer's code over a past in memory: the answers of the join, steps, and what differs from now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from pydantic import BaseModel

from upshot import App, Followup
from upshot.errors import StepFailed
from upshot.followups.engine import execute
from upshot.followups.giving import score_id_of
from upshot.followups.scorers import Scorer
from upshot.processors.correlate.state import StoredOutcome
from upshot.processors.followups.execution import FollowupSpec, KeepResult, OpenWait, Snapshot, WaitAnswer
from upshot.rescoring import Current, difference, rescore
from upshot.rescoring.promoting import revisions
from upshot.settings import Settings
from upshot.streams.events.instants import micros
from upshot.testing import followup

DAY = timedelta(days=1)
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
NOW = BEGIN + 30 * DAY


class Ticket(BaseModel):
    number: int


@dataclass
class MemoryPast:
    """A past that a test writes down."""

    tickets: dict[str, FollowupSpec] = field(default_factory=dict)
    happened: dict[str, list[StoredOutcome]] = field(default_factory=dict)
    current: list[Current] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def defer(self, number: int, at: datetime = BEGIN, run_id: str = "") -> FollowupSpec:
        """A ticket's follow-up, by the first version of the code."""
        data = Raw(msgspec.json.encode({"number": number}))
        when = micros(at)
        origin = FollowupSpec(
            f"f{number}", run_id or f"r{number}", "closed", "1", when, when, data, agent="support"
        )
        self.tickets[origin.followup_id] = origin
        return origin

    def tell(self, number: int, kind: str, at: datetime, **data: Any) -> None:
        """Something happened to a ticket."""
        known = self.happened.setdefault(f"ticket:{number}", [])
        known.append(
            StoredOutcome(
                f"e{len(known)}",
                kind,
                micros(at),
                micros(at),
                0,
                len(known),
                "t",
                Raw(msgspec.json.encode(data)),
            )
        )

    def say(self, number: int, name: str, value: bool | float | None, reason: str = "outcome") -> None:
        """A score of a ticket's follow-up as it is now."""
        ident = score_id_of(f"f{number}", None, name, None)
        self.current.append(Current(ident, f"r{number}", None, name, None, value, 1, reason))

    def origins(self, scorer: str, ids: Sequence[str]) -> Sequence[FollowupSpec]:
        return [self.tickets[ident] for ident in ids]

    def outcomes(self, subjects: Iterable[str]) -> Mapping[str, Sequence[StoredOutcome]]:
        subjects = list(subjects)
        self.asked.append(len(subjects))
        return {subject: self.happened[subject] for subject in subjects if subject in self.happened}

    def deferred(self, scorer: str, since: datetime, version: str | None) -> Sequence[str]:
        return list(self.tickets)

    def scores(self, run_ids: Iterable[str]) -> Sequence[Current]:
        wanted = set(run_ids)
        return [score for score in self.current if score.run_id in wanted]


@pytest.fixture
def past() -> MemoryPast:
    return MemoryPast()


def app_of(tmp_path: Any) -> App:
    return App("support", settings=Settings(data_dir=tmp_path))


async def over(past: MemoryPast, scorer: Scorer[Any, Any], now: datetime = NOW, **how: Any) -> Any:
    """All of the past, by this code."""
    found = await rescore(scorer, list(past.tickets), past, micros(now), **how)
    return difference(found, past.scores(one.origin.run_id for one in found))


def closed_within(app: App, days: int, version: str) -> Scorer[Ticket, bool]:
    """A ticket is closed, and stays so for that many days."""

    @app.scorer(name="closed", version=version)
    async def closed(ctx: Followup[Ticket]) -> bool:
        subject = f"ticket:{ctx.data.number}"
        done = await ctx.wait_for_event("closed", subject=subject, timeout=10 * DAY)
        if done is None:
            return False
        ctx.score("hours", (done.time - BEGIN) / timedelta(hours=1))
        back = await ctx.wait_for_event("reopened", subject=subject, timeout=days * DAY, since=done)
        return back is None

    return closed


async def test_what_other_code_says_beside_what_is_said_now(past: MemoryPast, tmp_path: Any) -> None:
    for number in range(5):
        past.defer(number)
    for number in (0, 1, 2):
        past.tell(number, "closed", BEGIN + DAY)
    past.tell(1, "reopened", BEGIN + 3 * DAY)
    past.tell(2, "reopened", BEGIN + 6 * DAY)
    past.tell(4, "closed", BEGIN + 11 * DAY)
    for number, value in enumerate((True, False, False, False)):
        past.say(number, "closed", value)
    for number in (0, 1, 2, 3):
        past.say(number, "hours", 24.0)
    past.say(4, "closed", None, "reopened")
    told = await over(past, closed_within(app_of(tmp_path), 4, "2"))
    assert told.endings == {"done": 5}
    said = {(one.origin.run_id, one.name): (one.what, one.before, one.after) for one in told.differing}
    assert said == {
        ("r2", "closed"): ("changed", False, True),
        ("r3", "hours"): ("gone", 24.0, None),
        ("r4", "closed"): ("new", None, False),
    }
    by_name = {summary.name: summary for summary in told.summaries}
    assert by_name["closed"].counts == {"same": 3, "changed": 1, "new": 1}
    assert (by_name["closed"].mean_before, by_name["closed"].mean_after) == (0.25, 0.4)
    assert by_name["hours"].counts == {"same": 3, "gone": 1}
    # One question for all subjects, whatever they are asked for later.
    assert past.asked == [5]


async def test_what_is_still_to_come_is_not_compared(past: MemoryPast, tmp_path: Any) -> None:
    past.defer(1)
    past.tell(1, "closed", BEGIN + DAY)
    past.say(1, "closed", True)
    scorer = closed_within(app_of(tmp_path), 4, "2")
    told = await over(past, scorer, BEGIN + 4 * DAY)
    assert (told.endings, told.differing) == ({"waiting": 1}, [])
    told = await over(past, scorer, BEGIN + 5 * DAY)
    assert told.endings == {"done": 1}


async def test_corrected_scores_stay(past: MemoryPast, tmp_path: Any) -> None:
    past.defer(1)
    past.say(1, "closed", True, "given")
    past.say(1, "other", 1.0, "given")
    told = await over(past, closed_within(app_of(tmp_path), 4, "2"))
    assert told.differing == []
    assert [(one.name, one.what, one.after) for one in told.moved] == [
        ("closed", "corrected", True),
        ("other", "corrected", 1.0),
    ]


async def test_follow_ups_of_one_run_are_told_apart(past: MemoryPast, tmp_path: Any) -> None:
    for number in (1, 2):
        past.defer(number, run_id="r")
        ident = score_id_of(f"f{number}", None, "closed", None)
        past.current.append(Current(ident, "r", None, "closed", None, number == 1, 3, "deadline"))
    past.current.append(Current("somebody's", "r", None, "closed", None, True, 1, "outcome"))
    past.tell(1, "closed", BEGIN + DAY)
    past.tell(2, "closed", BEGIN + DAY)
    told = await over(past, closed_within(app_of(tmp_path), 4, "2"))
    assert [(one.origin.followup_id, one.name, one.what) for one in told.differing] == [
        ("f1", "hours", "new"),
        ("f2", "hours", "new"),
        ("f2", "closed", "changed"),
    ]


async def test_a_step_is_not_run_unless_somebody_says_so(past: MemoryPast, tmp_path: Any) -> None:
    ran: list[int] = []

    def judge(number: int) -> float:
        ran.append(number)
        return float(number)

    @app_of(tmp_path).scorer(version="2")
    async def closed(ctx: Followup[Ticket]) -> float:
        first = await ctx.step("judge", judge, ctx.data.number)
        await ctx.wait_for_event("closed", subject=f"ticket:{ctx.data.number}", timeout=DAY)
        return first + await ctx.step("judge", judge, ctx.data.number + 10)

    for number in (1, 2):
        past.defer(number)
    told = await over(past, closed)
    assert (told.endings, told.steps, ran) == ({"steps": 2}, ["judge"], [])

    kept = await recorded(past, closed, "f1")
    assert ran == [1, 11]
    ran.clear()
    told = await over(past, closed, results=lambda ids: {"f1": kept} if "f1" in ids else {})
    assert (told.endings, ran) == ({"done": 1, "steps": 1}, [])
    assert [(one.origin.run_id, one.after) for one in told.moved] == [("r1", 12.0)]

    told = await over(past, closed, run_steps=True)
    assert (told.endings, sorted(ran)) == ({"done": 2}, [1, 2, 11, 12])


async def test_only_steps_without_a_recorded_result_are_run(past: MemoryPast, tmp_path: Any) -> None:
    ran: list[int] = []

    def judge(number: int) -> float:
        ran.append(number)
        return float(number)

    @app_of(tmp_path).scorer(version="2")
    async def closed(ctx: Followup[Ticket]) -> float:
        first = await ctx.step("judge", judge, ctx.data.number)
        await ctx.wait_for_event("closed", subject=f"ticket:{ctx.data.number}", timeout=DAY)
        second = await ctx.step("judge", judge, ctx.data.number + 10)
        return first + second + await ctx.step("judge", judge, ctx.data.number + 20)

    for number in (1, 2, 3):
        past.defer(number)
    all_results = await recorded(past, closed, "f1")
    [first, _, third] = (await recorded(past, closed, "f2")).items()
    ran.clear()
    asked: list[Sequence[str]] = []

    def results(ids: Sequence[str]) -> dict[str, dict[str, Raw]]:
        asked.append(ids)
        # The first and the last step of the second follow-up have a result, the middle step has none.
        return {"f1": all_results, "f2": dict([first, third])}

    told = await over(past, closed, results=results, run_steps=True)
    assert (told.endings, sorted(ran)) == ({"done": 3}, [3, 12, 13, 23])
    assert asked == [["f1", "f2", "f3"]]
    assert {one.origin.run_id: one.after for one in told.moved} == {"r1": 33.0, "r2": 36.0, "r3": 39.0}


async def recorded(past: MemoryPast, scorer: Scorer[Any, Any], ident: str) -> dict[str, Raw]:
    """What the steps of a follow-up give, as its state keeps it."""
    kept: dict[str, Raw] = {}
    origin = past.tickets[ident]
    memory = Snapshot(origin)
    for _ in range(2):
        done = await execute(scorer, memory)
        kept |= {c.step_id: c.result for c in done.commands if isinstance(c, KeepResult)}
        waits = [c.wait_id for c in done.commands if isinstance(c, OpenWait)]
        memory = Snapshot(origin, {wait: WaitAnswer(1, micros(NOW)) for wait in waits}, kept)
    return kept


async def test_another_kind_is_a_clash(past: MemoryPast, tmp_path: Any) -> None:
    @app_of(tmp_path).scorer(version="2")
    async def closed(ctx: Followup[Ticket]) -> float:
        return 1.0

    past.defer(1)
    past.say(1, "closed", True)
    told = await over(past, closed)
    assert ([one.what for one in told.moved], told.clashing) == (["changed"], ["closed"])


async def test_a_failure_is_one_and_others_go_on(past: MemoryPast, tmp_path: Any) -> None:
    @app_of(tmp_path).scorer(version="2")
    async def closed(ctx: Followup[Ticket]) -> bool:
        if ctx.data.number == 1:
            raise StepFailed("no luck")
        return True

    past.defer(1)
    past.defer(2)
    told = await over(past, closed)
    assert told.endings == {"failed": 1, "done": 1}
    [error] = told.errors
    assert "no luck" in error


async def test_the_difference_as_revisions(past: MemoryPast, tmp_path: Any) -> None:
    for number in (1, 2):
        past.defer(number)
        past.say(number, "closed", True)
    past.say(1, "hours", 7.0)
    told = await over(past, closed_within(app_of(tmp_path), 4, "2"))
    written = [msgspec.json.decode(event.value) for event in revisions(told.differing, NOW)]
    assert [(said["run_id"], said["name"], said["value"]) for said in written] == [
        ("r1", "closed", False),
        ("r1", "hours", None),
        ("r2", "closed", False),
    ]
    first = written[0]
    assert first == {
        "score_id": score_id_of("f1", None, "closed", None),
        "run_id": "r1",
        "name": "closed",
        "value": False,
        "revision": 2,
        "supersedes": 1,
        "reason": "rescored",
        "occurred_at": "2026-05-11T00:00:00Z",
        "decided_at": "2026-05-31T00:00:00Z",
        "agent": "support",
        "source": "closed",
        "exposures": [],
        "attributes": {"scorer_version": "2"},
    }
    for value in revisions(told.differing, NOW):
        assert value in revisions(told.differing, NOW)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    events=st.lists(
        st.tuples(st.sampled_from(["closed", "reopened"]), st.integers(0, 15), st.integers(0, 23)), max_size=6
    ),
    turn=st.randoms(use_true_random=False),
)
def test_the_order_in_which_things_are_read_does_not_matter(
    events: list[tuple[str, int, int]], turn: Any
) -> None:
    """The same as the rehearsal says, to which they are told one by one."""
    scorer = closed_within(App("support", settings=Settings()), 4, "2")
    past = MemoryPast()
    past.defer(1)
    shuffled = list(events)
    turn.shuffle(shuffled)
    for kind, day, hour in shuffled:
        past.tell(1, kind, BEGIN + day * DAY + timedelta(hours=hour))
    told = asyncio.run(over(past, scorer))
    with followup(scorer, Ticket(number=1), deferred_at=BEGIN) as rehearsal:
        for kind, day, hour in sorted(events, key=lambda event: event[1:]):
            at = BEGIN + day * DAY + timedelta(hours=hour)
            rehearsal.advance(at - rehearsal.now)
            rehearsal.outcome(kind, "ticket:1", at=at)
        rehearsal.advance(NOW - rehearsal.now)
        assert {one.name: one.after for one in told.moved} == rehearsal.scores
