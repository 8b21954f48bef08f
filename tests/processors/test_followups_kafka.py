"""Follow-ups on real Kafka, beside the real join.

Answers, deadlines, steps, failures, code that comes later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.processors.bench import Bench, until
from tests.processors.scripted import SECOND, PlainExecutor, Scorer, Script
from upshot.processors.followups.handler import followups_app

pytestmark = pytest.mark.stack

WEEK = 7 * 86_400 * SECOND


def stayed_closed(script: Script) -> None:
    answer = script.wait("ticket.reopened", f"ticket:{script.data}", WEEK)
    script.score("stayed_closed", answer.event is None)


def closed_soon(script: Script) -> None:
    answer = script.wait("ticket.closed", f"ticket:{script.data}", SECOND)
    script.score("closed_soon", answer.event is not None)


def slept(script: Script) -> None:
    script.sleep(SECOND)
    script.score("slept", script.step("measure", 0.25))


@asynccontextmanager
async def working(bench: Bench, **scorers: Scorer) -> AsyncIterator[PlainExecutor]:
    """Join and follow-ups, with this code."""
    executor = PlainExecutor({(name, "1"): code for name, code in scorers.items()})
    async with bench.worker(), bench.worker(lambda *given: followups_app(given[0], executor, given[1])):
        yield executor


async def scored(bench: Bench, count: int) -> set[tuple[Any, ...]]:
    found = await bench.read("scores", lambda scores: len(scores) >= count)
    return {(s["name"], s["value"], s["reason"], s["revision"]) for s in found}


async def stands(bench: Bench, enough: Callable[[Mapping[str, Any]], object]) -> dict[str, Any]:
    """How each follow-up stands, once that is as it should be."""

    def last(found: list[dict[str, Any]]) -> dict[str, Any]:
        return {one["followup_id"]: one for one in sorted(found, key=lambda one: one["revision"])}

    return last(await bench.read("followups", lambda found: enough(last(found))))


def are(status: str, *ids: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda found: all(key in found and found[key]["status"] == status for key in ids)


async def test_an_outcome_goes_through_the_join_to_the_code_and_becomes_a_score(bench: Bench) -> None:
    async with working(bench, stayed_closed=stayed_closed):
        await bench.defer("f1", "stayed_closed", 1, agent="support", attributes={"language": "de"})
        found = await stands(bench, are("waiting", "f1"))
        [awaited] = found["f1"]["waiting_for"]
        assert (awaited["subject"], awaited["types"]) == ("ticket:1", ["ticket.reopened"])
        await bench.send("outcomes", {"type": "ticket.reopened", "subject": "ticket:1", "id": "e1"})
        [score] = await bench.read("scores", lambda scores: len(scores) >= 1)
        await stands(bench, are("done", "f1"))
    assert (score["value"], score["reason"], score["outcome_id"]) == (False, "outcome", "e1")
    assert (score["source"], score["agent"], score["attributes"]) == (
        "stayed_closed",
        "support",
        {"language": "de"},
    )


async def test_a_late_outcome_corrects_the_score_and_what_is_not_given_any_more_is_withdrawn(
    bench: Bench,
) -> None:
    def quiet(script: Script) -> None:
        if script.wait("ticket.reopened", "ticket:1", SECOND).event is None:
            script.score("quiet", True)

    deferred = datetime.now(UTC) - timedelta(days=1)
    async with working(bench, quiet=quiet):
        await bench.defer("f1", "quiet", deferred_at=deferred.isoformat())
        assert await scored(bench, 1) == {("quiet", True, "deadline", 1)}
        at = deferred + timedelta(seconds=0.5)
        event = {"type": "ticket.reopened", "subject": "ticket:1", "time": at.isoformat()}
        await bench.send("outcomes", event)
        assert await scored(bench, 2) == {("quiet", True, "deadline", 1), ("quiet", None, "reopened", 2)}


async def test_deadlines_and_sleeps_that_pass_while_nobody_works_are_kept_after_a_restart(
    bench: Bench,
) -> None:
    async with working(bench, closed_soon=closed_soon, slept=slept) as executor:
        await bench.defer("f1", "closed_soon", 1)
        await bench.defer("f2", "slept")
        await stands(bench, are("waiting", "f1", "f2"))
    async with working(bench, closed_soon=closed_soon, slept=slept) as executor:
        assert await scored(bench, 2) == {
            ("closed_soon", False, "deadline", 1),
            ("slept", 0.25, "deadline", 1),
        }
        assert executor.ran == ["measure"]


async def test_a_thousand_deferrals_of_one_run_are_all_done(bench: Bench) -> None:
    async with working(bench, stayed_closed=stayed_closed):
        for number in range(1000):
            await bench.defer(f"f{number}", "stayed_closed", number)
        for number in range(1000):
            event = {"type": "ticket.reopened", "subject": f"ticket:{number}", "id": "e"}
            await bench.send("outcomes", event)
        found = await stands(bench, are("done", *(f"f{number}" for number in range(1000))))
        scores = await bench.read("scores", lambda scores: len({s["score_id"] for s in scores}) >= 1000)
    assert len(found) == 1000
    assert {s["value"] for s in scores} == {False}


async def test_what_fails_is_tried_again_then_kept_and_goes_on_when_somebody_says_so(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(
        update={"followup_attempts": 2, "followup_first_pause": timedelta(seconds=0.1)}
    )

    def broken(script: Script) -> None:
        script.step("search", 1)
        raise KeyError("rating")

    def mended(script: Script) -> None:
        script.score("quality", float(script.step("search", 2)))

    async with working(bench, quality=broken) as executor:
        await bench.defer("f1", "quality")
        found = await stands(bench, are("failed", "f1"))
        assert (found["f1"]["attempts"], found["f1"]["error"]) == (2, "KeyError: 'rating'")
        [letter] = await bench.read("dead-letters", lambda letters: len(letters) >= 1)
        assert (letter["reason"], letter["topic"]) == ("followup_failed", bench.settings.topic("deferrals"))
        assert (len(executor.started), executor.ran) == (2, ["search"])
    async with working(bench, quality=mended) as executor:
        await bench.send("resumptions", {"followup_id": "f1", "kind": "retry"})
        assert await scored(bench, 1) == {("quality", 1.0, "followup", 1)}
        assert executor.ran == []


async def test_code_that_is_not_deployed_is_waited_for(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        async with working(bench):
            await bench.defer("f1", "slept")
            await stands(bench, are("undeployed", "f1"))
    assert "slept version 1 (1)" in caplog.text
    async with working(bench, slept=slept):
        assert await scored(bench, 1) == {("slept", 0.25, "deadline", 1)}


async def test_what_comes_while_code_runs_is_not_lost(bench: Bench) -> None:
    """It ends with what it knew; nothing of that is told, and it's run again with all that is known."""

    def second_look(script: Script) -> None:
        first = script.wait("ticket.rated", "ticket:1", WEEK)
        script.score("when", float(first.event.time if first.event else 0))

    now = datetime.now(UTC)
    earlier, later = now + timedelta(seconds=1), now + timedelta(seconds=2)
    async with working(bench, second_look=second_look) as executor:
        await bench.defer("f1", "second_look", deferred_at=now.isoformat())
        await stands(bench, are("waiting", "f1"))
        await bench.worked_through("waits")
        executor.holding.add("f1")
        for at in (later, earlier):
            event = {"type": "ticket.rated", "subject": "ticket:1", "time": at.isoformat()}
            await bench.send("outcomes", event)
        await bench.read("resumptions", lambda found: len(found) >= 2)
        await stands(bench, lambda found: found.get("f1", {}).get("revision", 0) >= 4)
        executor.holding.clear()
        await stands(bench, are("done", "f1"))
        scores = await bench.read("scores", lambda scores: len(scores) >= 1)
    assert [s["value"] for s in scores] == [earlier.timestamp() * 1e6]


async def test_another_worker_takes_over_what_one_had_under_way(bench: Bench) -> None:
    def simple(script: Script) -> None:
        script.score("done", True)

    ids = [f"f{number}" for number in range(20)]
    leaving, staying = (PlainExecutor({("simple", "1"): simple}) for _ in range(2))
    leaving.holding |= set(ids)
    async with AsyncExitStack() as first:
        await first.enter_async_context(
            bench.worker(lambda *given: followups_app(given[0], leaving, given[1]))
        )
        for key in ids:
            await bench.defer(key, "simple")
        # A script is run when it's started; that it ended is kept back.
        await until(lambda: len(leaving.started) == len(ids))
        async with bench.worker(lambda *given: followups_app(given[0], staying, given[1])):
            await first.aclose()
            await stands(bench, are("done", *ids))
            assert len(await scored(bench, len(ids))) == 1
    assert set(staying.started) == set(ids)
    assert not leaving.running()


async def test_bad_input_is_kept_and_what_follows_is_not_lost(bench: Bench) -> None:
    async with working(bench, slept=slept):
        await bench.send("deferrals", b"no json", partition=0)
        await bench.send("resumptions", b'{"followup_id":"f1","kind":"answer"}', partition=0)
        await bench.defer("f1", "slept")
        await scored(bench, 1)
        letters = await bench.read("dead-letters", lambda letters: len(letters) >= 2)
    assert sorted(letter["reason"] for letter in letters) == ["missing_field", "not_json"]
