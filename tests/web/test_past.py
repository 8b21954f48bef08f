"""What pages remember of the parts' past, and that no page waits for a part that doesn't answer."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from aiohttp import web

from tests.ingest.raw import NOWHERE
from upshot.errors import ClickHouseUnavailable
from upshot.insights.pages.query import PageQuery
from upshot.ops.health import Health, PartHealth
from upshot.web import status, verdicts
from upshot.web.pages.alerts import firing_first
from upshot.web.pages.home import score_sparks
from upshot.web.past import APART, PartsPast
from upshot.web.status import Watch
from upshot.web.verdicts import Verdicts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def looked(ok: bool, lag: int = 0, read: int = 0) -> Health:
    return Health([PartHealth("kafka", ok, ""), PartHealth("store", True, "", lag)], {"store": read})


def test_a_part_is_away_since_the_first_look_that_said_so() -> None:
    past = PartsPast()
    for minute, ok in enumerate((True, False, False)):
        past.note(looked(ok), NOON + timedelta(minutes=minute), 60.0 * minute)
    assert past.since == {"kafka": NOON + timedelta(minutes=1)}
    past.note(looked(True), NOON + timedelta(minutes=3), 180.0)
    assert past.since == {}


def test_rates_are_what_was_read_between_two_points() -> None:
    past = PartsPast()
    for now, read in ((0.0, 100), (1.0, 120), (APART, 150), (3 * APART, 350), (4 * APART, 20)):
        past.note(looked(True, lag=read, read=read), NOON, now)
    assert past.rates == {"store": [50 / APART, 200 / (2 * APART), 0]}, "a topic made again reads nothing"
    assert past.lags == {"store": [100, 150, 350, 20]}


def test_a_role_that_comes_later_has_a_rate_from_its_second_point_on() -> None:
    past = PartsPast()
    past.note(Health([]), NOON, 0.0)
    past.note(looked(True, read=70), NOON, APART)
    assert past.rates == {}
    past.note(looked(True, read=90), NOON, 2 * APART)
    assert past.rates == {"store": [20 / APART]}


class _Looks:
    """Answers at once the first time; the second look waits."""

    def __init__(self, *_: Any) -> None:
        self.answers = asyncio.Event()
        self.count = 0

    async def look(self) -> Health:
        self.count += 1
        if self.count > 1:
            await self.answers.wait()
        return looked(self.count == 1)


async def test_a_page_has_the_look_before_while_a_part_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "Looks", _Looks)
    monkeypatch.setattr(status, "_FRESH", 0.0)
    monkeypatch.setattr(status, "_PATIENCE", 0.01)
    watch = Watch(NOWHERE)
    assert (await watch.soon()).ok
    assert (await watch.soon()).ok, "the second look isn't there yet"
    watch._looks.answers.set()  # type: ignore[attr-defined]
    assert not (await watch.health()).ok
    assert "kafka" in watch.since


def test_pending_waits_stand_beside_the_course_of_their_score() -> None:
    day = {"name": "merged", "rate": 0.5, "mean": None, "scored": "4"}
    found = score_sparks([day, day], [{"name": "paid", "waits": "7"}, {"name": "merged", "waits": "3"}])
    assert [(each["name"], each["value"], each["scored"], each["pending"]) for each in found] == [
        ("merged", 0.5, 8, 3),
        ("paid", None, 0, 7),
    ]
    assert found[1]["plot"].is_empty


async def test_a_first_verdict_is_on_its_way_until_it_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    computes = Event()

    def late(*_: Any) -> datetime:
        computes.wait()
        raise ClickHouseUnavailable("away")

    monkeypatch.setattr(verdicts, "read_by_soon", late)
    monkeypatch.setattr(verdicts, "_PATIENCE", 0.01)
    known = Verdicts(NOWHERE)
    assert await known.of(["tone"]) == {}
    assert known.on_their_way(["tone", "pace"]) == ["tone"]
    computes.set()
    await asyncio.wrap_future(known._running["tone"])
    assert known.on_their_way(["tone", "pace"]) == []


async def test_first_verdicts_are_computed_before_anybody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def rows(_: PageQuery, __: Any) -> list[dict[str, str]]:
        tries.append("")
        if len(tries) == 1:
            raise ClickHouseUnavailable("away")
        return [{"experiment": "tone", "status": "running"}, {"experiment": "old", "status": "shipped"}]

    computed = asyncio.Queue[str]()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(verdicts, "_BEGIN_AFTER", (0.0, 0.0, 0.0))
    monkeypatch.setattr(PageQuery, "rows", rows)
    known = Verdicts(NOWHERE)
    monkeypatch.setattr(
        known, "_compute", lambda name: loop.call_soon_threadsafe(computed.put_nowait, name) and None
    )
    living = known.context(web.Application())
    await anext(living)
    assert await asyncio.wait_for(computed.get(), 30) == "tone"
    assert await anext(living, "ended") == "ended" and computed.empty() and len(tries) == 2


def test_firing_alerts_come_first_in_their_order() -> None:
    rows = [
        {"state": state, "alert_id": str(place)} for place, state in enumerate(("resolved", "firing") * 2)
    ]
    assert [row["alert_id"] for row in firing_first(rows)] == ["1", "3", "0", "2"]
