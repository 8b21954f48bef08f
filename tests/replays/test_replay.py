"""A run made again from a step on: what is given as recorded, what is run, what is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

import upshot
from upshot import App
from upshot.errors import ReplayRefused
from upshot.replays import SideEffect
from upshot.testing import Captured


class Ticket(BaseModel):
    number: int
    asked_at: datetime


@dataclass(frozen=True)
class Article:
    text: str
    score: float


TICKET = Ticket(number=7, asked_at=datetime(2026, 1, 1, tzinfo=UTC))


class Support:
    """An agent, with a diary of what was really run; `tone` is what its code is changed in."""

    def __init__(self, app: App) -> None:
        self.diary: list[str] = []
        self.tone = "dry"
        self.more = False

        @app.step(kind="retrieval")
        async def find(question: int) -> list[Article]:
            self.diary.append("find")
            return [Article(f"about {question}", 0.5)]

        async def draft(ticket: Ticket, articles: list[Article]) -> str:
            self.diary.append("draft")
            assert isinstance(ticket.asked_at, datetime) and isinstance(articles[0], Article)
            upshot.current_step().usage(model="m", input_tokens=10, output_tokens=5, cost_usd=0.25)
            return f"{self.tone}: {articles[0].text}"

        @app.step(kind="tool", side_effects=True)
        def send(reply: str) -> int:
            self.diary.append(f"send {reply}")
            return len(reply)

        @app.agent(name="support")
        async def answer(ticket: Ticket) -> str:
            run = upshot.current_run()
            articles = await find(ticket.number)
            if self.more:
                await run.step("rank", find, 2)
            reply = await run.step("draft", draft, ticket, articles)
            run.score("length", len(reply))
            run.wait("stays", f"t:{ticket.number}", on={"reopened": False}, within="P7D", otherwise=True)
            app.outcome("answered", f"t:{ticket.number}")
            send(reply)
            return reply

        self.answer = answer


@pytest.fixture
def support(app: App) -> Support:
    return Support(app)


def ran(support: Support, sent: Captured) -> str:
    """Its id; the diary is empty again."""
    asyncio.run(support.answer(TICKET))
    support.diary.clear()
    run_id: str = sent.runs[0]["run_id"]
    return run_id


def test_what_came_before_is_given_the_rest_is_run(app: App, sent: Captured, support: Support) -> None:
    run_id = ran(support, sent)
    support.tone = "kind"
    replayed = upshot.replay(app, run_id, "draft", side_effects="recorded", history=sent)
    assert support.diary == ["draft"]
    assert (replayed.result, replayed.error) == ("kind: about 7", None)
    assert [(line.name, line.what) for line in replayed.lines] == [
        ("find", "recorded"),
        ("draft", "changed"),
        ("send", "recorded"),
    ]
    draft = replayed.lines[1]
    assert draft.before and draft.after
    assert (draft.before.output, draft.after.output) == ("dry: about 7", "kind: about 7")
    assert (draft.after.cost_usd, draft.after.input_tokens) == (0.25, 10)
    assert (replayed.before.output, replayed.after.output) == ("dry: about 7", "kind: about 7")
    assert [(s.name, s.before, s.after) for s in replayed.scores] == [("length", 12.0, 13.0)]
    assert replayed.notes == ["send was given other arguments than recorded: its result may not fit them"]


def test_what_is_told_of_a_replay(app: App, sent: Captured, support: Support) -> None:
    run_id = ran(support, sent)
    replayed = upshot.replay(app, run_id, "draft", side_effects="recorded", history=sent)
    first, again = sent.runs
    assert again["run_id"] == replayed.run_id != run_id
    assert (again["origin"], again["status"], again["agent"]) == ("replay", "completed", "support")
    assert again["attributes"] == {"replayed_from": run_id, "replayed_step": "draft"}
    assert "origin" not in first
    ids = {step["name"]: step["step_id"] for step in sent.steps if step["run_id"] == run_id}
    marks = {step["name"]: step["attributes"] for step in sent.steps if step["run_id"] == replayed.run_id}
    assert {name: said["replayed_from"] for name, said in marks.items()} == ids
    assert [name for name, said in marks.items() if said.get("recorded")] == ["find", "send"]
    assert [score["run_id"] for score in sent.scores] == [run_id, replayed.run_id]
    # The world hears of it once: when it happened.
    assert (len(sent.waits), len(sent.outcomes)) == (1, 1)
    assert [(topic, event["subject"]) for topic, event in replayed.withheld] == [
        ("waits", "t:7"),
        ("outcomes", "t:7"),
    ]


def test_nothing_is_recorded_where_nobody_wants_it(app: App, sent: Captured, support: Support) -> None:
    run_id = ran(support, sent)
    upshot.replay(app, run_id, "draft", side_effects="recorded", record=False, history=sent)
    assert len(sent.runs) == 1
    assert {step["run_id"] for step in sent.steps} == {run_id}
    assert len(sent.scores) == 1


def test_side_effects_need_a_yes(app: App, sent: Captured, support: Support) -> None:
    run_id = ran(support, sent)
    with pytest.raises(ReplayRefused, match="step 'send' has side effects; it wasn't run") as refused:
        upshot.replay(app, run_id, "draft", history=sent)
    assert support.diary == ["draft"]
    so_far = refused.value.so_far
    assert isinstance(so_far, upshot.replays.Replayed)
    assert [(line.name, line.what) for line in so_far.lines][:2] == [("find", "recorded"), ("draft", "same")]
    asked: list[SideEffect] = []

    def yes(effect: SideEffect) -> upshot.replays.Choice:
        asked.append(effect)
        return "run"

    support.diary.clear()
    upshot.replay(app, run_id, "draft", side_effects=yes, history=sent)
    assert support.diary == ["draft", "send dry: about 7"]
    assert asked == [SideEffect("send", '{"reply":"dry: about 7"}', True)]


def test_a_side_effect_before_the_step_is_never_run(app: App, sent: Captured, support: Support) -> None:
    @app.agent(name="twice")
    async def twice(ticket: Ticket) -> int:
        await support.answer(ticket)
        return upshot.current_run().step("count", len, "abc")

    asyncio.run(twice(TICKET))
    support.diary.clear()
    run_id = next(run["run_id"] for run in sent.runs if run["agent"] == "twice")
    replayed = upshot.replay(app, run_id, "count", history=sent)
    assert support.diary == []
    assert [(line.name, line.what) for line in replayed.lines] == [
        ("invoke_agent support", "recorded"),
        ("count", "same"),
    ]
    assert replayed.result == 3
    # From a step of the run inside: that run is made again up to it.
    replayed = upshot.replay(app, run_id, "draft", side_effects="run", history=sent)
    assert support.diary == ["draft", "send dry: about 7"]
    assert [(line.name, line.depth, line.what) for line in replayed.lines] == [
        ("invoke_agent support", 0, "same"),
        ("find", 1, "recorded"),
        ("draft", 1, "same"),
        ("send", 1, "same"),
        ("count", 0, "same"),
    ]
    inner = [run for run in sent.runs if run.get("parent_run_id") == replayed.run_id]
    assert [run["origin"] for run in inner] == ["replay"]


def test_another_way_before_the_step_is_refused(app: App, sent: Captured, support: Support) -> None:
    run_id = ran(support, sent)
    support.more = True
    with pytest.raises(
        ReplayRefused, match=r"asks for step 'rank' here, which run .* didn't do before draft"
    ) as no:
        upshot.replay(app, run_id, "draft", history=sent)
    assert "replay from find or an earlier step" in str(no.value)
    assert support.diary == []
    replayed = upshot.replay(app, run_id, "find", side_effects="run", history=sent)
    assert [(line.name, line.what) for line in replayed.lines][:3] == [
        ("find", "same"),
        ("rank", "new"),
        ("draft", "same"),
    ]


def test_what_the_code_does_not_ask_for_any_more(app: App, sent: Captured, support: Support) -> None:
    support.more = True
    run_id = ran(support, sent)
    support.more = False
    replayed = upshot.replay(app, run_id, "find#1", side_effects="run", history=sent)
    assert [(line.name, line.what) for line in replayed.lines] == [
        ("find#1", "same"),
        ("rank", "gone"),
        ("draft", "same"),
        ("send", "same"),
    ]
    with pytest.raises(ReplayRefused, match="ended without asking for rank"):
        upshot.replay(app, run_id, "rank", side_effects="run", history=sent)


@pytest.mark.parametrize(
    ("run", "step", "said"),
    [
        ("nobody", "draft", "there is no run nobody"),
        ("", "summary", "has no step 'summary'; nothing was run: its steps are find, draft, send"),
        ("", "draft#2", "has no step 'draft#2'"),
    ],
)
def test_what_is_not_there(
    app: App, sent: Captured, support: Support, run: str, step: str, said: str
) -> None:
    run_id = ran(support, sent)
    with pytest.raises(ReplayRefused, match=said):
        upshot.replay(app, run or run_id, step, history=sent)


def test_without_content_there_is_nothing_to_give(app: App, sent: Captured, support: Support) -> None:
    app.capture_content = False
    run_id = ran(support, sent)
    app.capture_content = True
    with pytest.raises(
        ReplayRefused, match=r"no recorded arguments; nothing was run: .*capture_content=True"
    ):
        upshot.replay(app, run_id, "draft", history=sent)
    with app.run("by hand") as run:
        run.step("length", len, "abc")
    with pytest.raises(ReplayRefused, match=r"has no function of it with @app.agent \(it has support\)"):
        upshot.replay(app, run.id, "length", history=sent)


def test_an_error_of_the_agent_is_what_came_of_it(app: App, sent: Captured) -> None:
    broken = False

    @app.step
    def look_up(name: str) -> str:
        raise LookupError(name)

    @app.agent
    def answer(name: str) -> str:
        try:
            look_up(name)
        except LookupError as error:
            if broken:
                raise RuntimeError("worse") from error
        return upshot.current_run().step("upper", str.upper, name)

    answer("ann")
    broken = True
    with pytest.raises(ReplayRefused, match="ended without asking for upper") as refused:
        upshot.replay(app, sent.runs[0]["run_id"], "upper", history=sent)
    so_far: Any = refused.value.so_far
    assert isinstance(so_far.error, RuntimeError)
    assert isinstance(so_far.error.__cause__, LookupError)
    replayed = upshot.replay(app, sent.runs[0]["run_id"], "look_up", history=sent)
    assert (replayed.after.status, replayed.after.error) == ("failed", "RuntimeError: worse")


def test_a_replay_defers_nothing(app: App, sent: Captured) -> None:
    @app.scorer
    async def later(ctx: upshot.Followup[int]) -> bool:
        return True

    @app.agent
    def answer(number: int) -> int:
        run = upshot.current_run()
        run.defer(later, number)
        with run.step("block") as step:
            step.defer(later, number)
        return run.step("end", abs, number)

    answer(7)
    replayed = upshot.replay(app, sent.runs[0]["run_id"], "end", history=sent)
    assert len(sent.deferrals) == 2
    assert [(topic, event["scorer"]) for topic, event in replayed.withheld] == [("deferrals", "later")] * 2
