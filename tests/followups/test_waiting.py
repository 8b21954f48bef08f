"""What deferred code hears, and when: events by their own time, deadlines, sleeps, corrections."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

import upshot
from upshot import App
from upshot.errors import Misuse
from upshot.followups.context import _request
from upshot.testing import followup

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY, WEEK = timedelta(days=1), timedelta(days=7)


class Ticket(BaseModel):
    ticket_id: int


@pytest.fixture
def stayed_closed(app: App) -> upshot.Scorer[Ticket, bool]:
    @app.scorer
    async def stayed_closed(ctx: upshot.Followup[Ticket]) -> bool:
        subject = f"ticket:{ctx.data.ticket_id}"
        return await ctx.wait_for_event("ticket.reopened", subject=subject, timeout=WEEK) is None

    return stayed_closed


def test_an_event_decides(stayed_closed: upshot.Scorer[Ticket, bool]) -> None:
    with followup(stayed_closed, Ticket(ticket_id=7)) as f:
        assert f.waiting_for == [{"types": ["ticket.reopened"], "subject": "ticket:7", "until": START + WEEK}]
        f.advance(DAY)
        f.outcome("ticket.closed", "ticket:7")
        f.outcome("ticket.reopened", "ticket:8")
        assert (f.status, f.scores) == ("waiting", {})
        f.outcome("ticket.reopened", "ticket:7")
        assert (f.status, f.scores, f.waiting_for) == ("done", {"stayed_closed": False}, [])


def test_a_deadline_decides(stayed_closed: upshot.Scorer[Ticket, bool]) -> None:
    with followup(stayed_closed, Ticket(ticket_id=7)) as f:
        f.advance(WEEK - timedelta(seconds=1))
        assert f.scores == {}
        f.advance(timedelta(seconds=1))
        assert f.scores == {"stayed_closed": True}
        given = {"name": "stayed_closed", "value": True, "reason": "deadline", "at": START + WEEK}
        assert f.given == [given]


def test_what_is_told_late_corrects(stayed_closed: upshot.Scorer[Ticket, bool]) -> None:
    with followup(stayed_closed, Ticket(ticket_id=7)) as f:
        f.advance(timedelta(days=30))
        f.outcome("ticket.reopened", "ticket:7", at=START + 2 * WEEK)
        assert f.scores == {"stayed_closed": True}
        f.outcome("ticket.reopened", "ticket:7", at=START + DAY)
        assert f.scores == {"stayed_closed": False}
        assert f.revisions("stayed_closed") == [True, False]


def test_what_happened_while_the_run_still_ran_counts(stayed_closed: upshot.Scorer[Ticket, bool]) -> None:
    begun = START - timedelta(minutes=5)
    with followup(stayed_closed, Ticket(ticket_id=7), run_started_at=begun) as f:
        f.outcome("ticket.reopened", "ticket:7", at=begun - timedelta(seconds=1))
        assert f.scores == {}
        f.outcome("ticket.reopened", "ticket:7", at=begun)
        assert f.scores == {"stayed_closed": False}


def test_the_clock_is_the_followups_own(app: App) -> None:
    times: list[datetime] = []

    @app.scorer
    async def clock(ctx: upshot.Followup[None]) -> None:
        times[:] = [ctx.now()]
        await ctx.sleep(DAY)
        times.append(ctx.now())
        await ctx.wait_for_event("a", subject="s", timeout=WEEK)
        times.append(ctx.now())
        await ctx.wait_for_event("b", subject="s", timeout=WEEK)
        times.append(ctx.now())

    with followup(clock, None) as f:
        f.advance(timedelta(days=3))
        f.outcome("a", "s", at=START + 2 * DAY)
        f.advance(timedelta(days=300))
        f.outcome("b", "s", at=START + DAY)
        assert times == [START, START + DAY, START + 2 * DAY, START + 2 * DAY]
        assert f.status == "done"


def test_what_follows_an_event_may_bear_its_instant(app: App) -> None:
    @app.scorer
    async def comments(ctx: upshot.Followup[str]) -> int:
        number, last = 0, None
        while event := await ctx.wait_for_event(
            "pr.comment", subject=ctx.data, timeout=WEEK, when="data.by != 'bot'", since=last
        ):
            number, last = number + 1, event
        return number

    with followup(comments, "pr:1") as f:
        for ident, by in (("b'`\"\\", "eve"), ("a", "ann"), ("c", "bot"), ("d", "ann")):
            f.outcome("pr.comment", "pr:1", {"by": by}, id=ident)
        f.outcome("pr.comment", "pr:1", {"by": "ann"}, id="a")
        f.advance(DAY)
        f.outcome("pr.comment", "pr:1", {"by": "ann"}, id="x" * 480)
        f.outcome("pr.comment", "pr:1", {"by": "ann"}, id="y")
        f.advance(DAY)
        f.outcome("pr.comment", "pr:1", {"by": "ann"}, id="e")
        f.advance(timedelta(days=30))
        assert f.scores == {"comments": 6}


def test_what_goes_on_as_a_version_asked_that_knew_no_order_hears_each_once(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.scorer
    async def comments(ctx: upshot.Followup[str]) -> int:
        number, last = 0, None
        while event := await ctx.wait_for_event("pr.comment", subject=ctx.data, timeout=WEEK, since=last):
            number, last = number + 1, event
        return number

    def as_before(expected: Any, since: Any, begin: Any, deadline: Any) -> Any:
        return _request(expected, since, begin, deadline).before or _request(expected, since, begin, deadline)

    with followup(comments, "pr:1") as f:
        with monkeypatch.context() as before:
            before.setattr("upshot.followups.context._request", as_before)
            f.outcome("pr.comment", "pr:1", id="a")
            f.outcome("pr.comment", "pr:1", id="b")
        f.outcome("pr.comment", "pr:1", id="c")
        f.outcome("pr.comment", "pr:1", id="d")
        f.retry()
        assert f.status == "waiting"
        f.advance(DAY)
        f.outcome("pr.comment", "pr:1", id="e", at=f.now - DAY)
        f.advance(30 * DAY)
        assert f.scores == {"comments": 5}


def test_two_loops_over_events_of_one_instant_hear_each_of_theirs(app: App) -> None:
    @app.scorer
    async def turns(ctx: upshot.Followup[str]) -> int:
        number, last = 0, None
        while last := await ctx.wait_for_event("a", subject=ctx.data, timeout=WEEK, since=last):
            last = await ctx.wait_for_event("b", subject=ctx.data, timeout=WEEK, since=last)
            number += last is not None
        return number

    with followup(turns, "x") as f:
        for ident in ("4", "1", "3", "2"):
            f.outcome("b", "x", id=f"b{ident}")
            f.outcome("a", "x", id=f"a{ident}")
        f.advance(30 * DAY)
        assert f.scores == {"turns": 4}


def test_a_wait_that_ends_before_it_begins_fails_with_its_reason(app: App) -> None:
    @app.scorer
    async def late(ctx: upshot.Followup[str]) -> bool:
        event = await ctx.wait_for_event("a", subject=ctx.data, timeout=DAY, since=START + 2 * DAY)
        return event is not None

    with followup(late, "x") as f:
        assert f.status == "failed"
        assert f.error is not None and "before it begins at 2026-01-03" in f.error


def test_a_condition_that_takes_too_many_steps_is_refused_at_once() -> None:
    costly = "|".join(["[@,@][]"] * 20)
    with pytest.raises(Misuse, match="more than 10,000 steps"):
        upshot.expect("won", subject="a", when=costly)
    assert upshot.expect("won", subject="a", when=f"data.none || {costly}")


def test_any_is_the_earliest_by_its_own_time(app: App) -> None:
    @app.scorer
    async def first(ctx: upshot.Followup[None]) -> bool | None:
        event = await ctx.wait_for_any(
            [upshot.expect("won", subject="a"), upshot.expect(["lost", "gone"], subject="b")], timeout=WEEK
        )
        return None if event is None else event.type == "won"

    with followup(first, None) as f:
        f.advance(DAY)
        f.outcome("gone", "b")
        assert f.scores == {"first": False}
        f.outcome("won", "a", at=START)
        assert f.scores == {"first": True}
        f.advance(2 * WEEK)
        assert f.scores == {"first": True}
    with followup(first, None) as f:
        f.advance(2 * WEEK)
        assert (f.status, f.scores) == ("done", {})
        f.outcome("lost", "b", at=START + DAY)
        assert f.scores == {"first": False}


def test_all_must_come(app: App) -> None:
    @app.scorer
    async def both(ctx: upshot.Followup[None]) -> float:
        events = await ctx.wait_for_all(
            [upshot.expect("paid", subject="o", when="data.sum > `10`"), upshot.expect("sent", subject="o")],
            timeout=WEEK,
        )
        return 0 if events is None else sum(event.data["sum"] for event in events)

    with followup(both, None) as f:
        f.outcome("sent", "o", {"sum": 1})
        f.outcome("paid", "o", {"sum": 5})
        f.advance(DAY)
        assert f.status == "waiting"
        f.outcome("paid", "o", {"sum": 50})
        assert f.scores == {"both": 51}
        assert f.given[0]["at"] == START + DAY
    with followup(both, None) as f:
        f.outcome("paid", "o", {"sum": 20})
        f.advance(WEEK)
        assert f.scores == {"both": 0}
        f.outcome("sent", "o", {"sum": 2}, at=START + WEEK)
        assert f.scores == {"both": 22}


def test_a_correction_takes_back_scores_that_no_longer_follow(app: App) -> None:
    @app.scorer
    async def refund(ctx: upshot.Followup[None]) -> None:
        event = await ctx.wait_for_event("closed", subject="o", timeout=WEEK)
        if event is None:
            return
        ctx.score("amount", event.data["amount"], comment="as booked", key=event.id)

    with followup(refund, None) as f:
        f.advance(DAY)
        f.outcome("closed", "o", {"amount": 5}, id="late")
        assert f.scores == {"amount[late]": 5}
        f.outcome("closed", "o", {"amount": 3}, id="early", at=START)
        assert f.scores == {"amount[early]": 3}


def test_branches_open_all_their_waits(app: App) -> None:
    @app.scorer
    async def reviewed(ctx: upshot.Followup[None]) -> bool:
        async def review(name: str) -> bool:
            await ctx.wait_for_event("asked", subject=name, timeout=WEEK)
            return await ctx.wait_for_event("approved", subject=name, timeout=WEEK) is not None

        return all(await asyncio.gather(review("ann"), review("bob")))

    with followup(reviewed, None) as f:
        assert [wait["subject"] for wait in f.waiting_for] == ["ann", "bob"]
        f.outcome("asked", "bob")
        assert sorted((wait["types"][0], wait["subject"]) for wait in f.waiting_for) == [
            ("approved", "bob"),
            ("asked", "ann"),
        ]
        f.advance(DAY)
        f.outcome("approved", "bob")
        f.outcome("asked", "ann")
        assert [(wait["types"], wait["until"]) for wait in f.waiting_for] == [
            (["approved"], START + DAY + WEEK)
        ]
        f.outcome("approved", "ann")
        assert f.scores == {"reviewed": True}


def test_task_groups_wait_too(app: App) -> None:
    @app.scorer
    async def two(ctx: upshot.Followup[None]) -> int:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(ctx.wait_for_event("done", subject=name, timeout=WEEK)) for name in "ab"
            ]
        return sum(task.result() is not None for task in tasks)

    with followup(two, None) as f:
        assert [wait["subject"] for wait in f.waiting_for] == ["a", "b"]
        f.outcome("done", "b")
        f.advance(WEEK)
        assert f.scores == {"two": 1}


@pytest.mark.parametrize(
    ("wrong", "instead"),
    [
        (lambda ctx: ctx.wait_for_event("a", subject="s", timeout=7), "timeout=timedelta(days=7)"),
        (lambda ctx: ctx.wait_for_event("a", subject="s", timeout=-DAY), "longer than zero"),
        (lambda ctx: ctx.wait_for_event("a", subject="", timeout=DAY), "the key of the events"),
        (lambda ctx: ctx.wait_for_event([], subject="s", timeout=DAY), "no type of event"),
        (lambda ctx: ctx.wait_for_event("a", subject="s", timeout=DAY, when="a =="), "no JMESPath"),
        (lambda ctx: ctx.wait_for_event("a", subject="s", timeout=DAY, when="a" * 501), "500 are allowed"),
        (
            lambda ctx: ctx.wait_for_event("a", subject="s", timeout=DAY, since=datetime(2026, 1, 1)),
            "with an offset",
        ),
        (lambda ctx: ctx.wait_for_any([], timeout=DAY), "upshot.expect("),
        (lambda ctx: ctx.wait_for_all(["a"], timeout=DAY), "upshot.expect("),
        (lambda ctx: ctx.sleep(5), "ctx.sleep(timedelta(days=1))"),
    ],
)
def test_errors_say_what_to_write_instead(app: App, wrong: object, instead: str) -> None:
    @app.scorer
    async def misused(ctx: upshot.Followup[None]) -> None:
        await wrong(ctx)  # type: ignore[operator]

    with followup(misused, None) as f:
        assert f.status == "failed"
        assert instead in (f.error or "")
        assert "test_waiting.py" in (f.error or "")
        with pytest.raises(AssertionError, match="failed"):
            _ = f.scores


def test_the_future_is_refused(stayed_closed: upshot.Scorer[Ticket, bool]) -> None:
    with followup(stayed_closed, Ticket(ticket_id=7)) as f, pytest.raises(Misuse, match="advance"):
        f.outcome("ticket.reopened", "ticket:7", at=START + DAY)
