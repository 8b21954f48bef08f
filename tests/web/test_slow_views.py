"""Pages whose rows take long to read: a browser is told so, comes back, and gets the page once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from upshot.ingest.answers import Problem
from upshot.settings import Settings
from upshot.web.access import PageAccess
from upshot.web.site import PageRequest, Site
from upshot.web.slow_views import UNCLAIMED, SlowViews
from upshot.web.views import View


class SlowWork:
    """Work that ends when it's told to, at a time that stands still until it is set."""

    def __init__(self, is_large: bool = True, patience: float = 0.0) -> None:
        self.begun, self.now, self.is_large = 0, 100.0, is_large
        self.may_end = asyncio.Event()
        self.views = SlowViews[int](patience, lambda: self.now)

    async def work(self) -> int:
        self.begun += 1
        mine = self.begun
        await self.may_end.wait()
        if mine == 13:
            raise Problem(400, "no")
        return mine

    async def large(self) -> bool:
        return self.is_large

    async def ask(self, key: str = "/") -> int | float:
        return await self.views.view(key, self.work, self.large)


async def test_who_asks_again_gets_the_view_once() -> None:
    slow = SlowWork()
    assert await slow.ask() == 0.0
    slow.now += 3
    assert await slow.ask() == 3.0, "the work goes on"
    assert await slow.ask("/runs") == 0.0, "another address is other work"
    slow.may_end.set()
    await asyncio.sleep(0)
    assert [await slow.ask(), await slow.ask("/runs")] == [1, 2]
    assert await slow.ask() == 3, "a further look is new"


async def test_who_asks_again_has_the_view_as_soon_as_it_is_there() -> None:
    slow = SlowWork(patience=0.3)
    assert await slow.ask() == 0.0
    asking = asyncio.create_task(slow.ask())
    await asyncio.sleep(0.6)
    assert not asking.done(), "told once is enough for a while"
    slow.may_end.set()
    assert await asking == 1


async def test_where_little_is_stored_a_browser_waits() -> None:
    slow = SlowWork(is_large=False)
    asking = asyncio.create_task(slow.ask())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not asking.done()
    slow.may_end.set()
    assert await asking == 1


async def test_nobody_gets_what_was_found_for_another_one() -> None:
    """Who asks because of news would otherwise see what was read before them."""
    slow = SlowWork(is_large=False)
    asking = [asyncio.create_task(slow.ask()) for _ in range(2)]
    for _ in range(5):
        await asyncio.sleep(0)
    slow.may_end.set()
    assert await asyncio.gather(*asking) == [1, 2]


async def test_errors_come_with_the_next_look() -> None:
    slow = SlowWork()
    slow.begun = 12
    assert await slow.ask() == 0.0
    slow.may_end.set()
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="no"):
        await slow.ask()
    assert await slow.ask() == 14


async def test_a_view_that_nobody_comes_back_for_is_forgotten() -> None:
    slow = SlowWork()
    assert await slow.ask() == 0.0
    slow.may_end.set()
    for _ in range(5):
        await asyncio.sleep(0)
    slow.now += UNCLAIMED + 1
    assert await slow.ask() == 2


async def test_what_is_on_its_way_ends_with_the_server() -> None:
    slow = SlowWork()
    assert await slow.ask() == 0.0
    await slow.views.close()
    slow.may_end.set()
    assert await slow.ask() == 2


class SlowPage:
    """A page of a site with many runs, which shows itself once it may."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_end = asyncio.Event()
        settings = Settings(data_dir=folder)
        site = Site(settings, PageAccess(settings), patience=0.01)

        async def many() -> bool:
            return True

        monkeypatch.setattr(site, "_may_be_slow", many)
        self.app = web.Application()
        site.add_get(self.app, "/slow", self.page, reads_many=True)
        self.app.on_cleanup.append(site.close)

    async def page(self, asked: PageRequest) -> View:
        await self.may_end.wait()
        asked.ages.append(3.0)
        shown = f"here for {asked.query.text('of')}"
        return View("trouble.html", "Slow", {"shown": shown}, {"problem": Problem(200, shown)})


async def test_a_browser_is_told_and_comes_back_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowPage(tmp_path, monkeypatch)
    async with TestClient(TestServer(slow.app)) as client:
        answer = await client.get("/slow?of=you")
        text = await answer.text()
        assert (answer.status, answer.headers["Retry-After"]) == (202, "0")
        assert '<meta http-equiv="refresh" content="0">' in text and "ClickHouse reads the rows" in text
        slow.may_end.set()
        answer = await client.get("/slow?of=you")
        assert (answer.status, answer.headers["Age"]) == (200, "3")
        assert "here for you" in await answer.text()
        assert "here for me" in await (await client.get("/slow?of=me")).text()


async def test_programs_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowPage(tmp_path, monkeypatch)
    async with TestClient(TestServer(slow.app)) as client:
        asking = asyncio.create_task(client.get("/slow.json"))
        await asyncio.sleep(0.1)
        assert not asking.done()
        slow.may_end.set()
        assert (await asking).status == 200
