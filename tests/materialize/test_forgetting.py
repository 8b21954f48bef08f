"""What is forgotten doesn't come back by an owner that had read the facts before."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from tests.materialize.conftest import TABLES, Rows
from tests.materialize.story import long_story
from upshot.processors.materialize.changes import ChangedRuns
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect
from upshot.processors.store.forgetting import Forgotten, delete, find, written_anew

pytestmark = pytest.mark.stack


async def owned(rows: Rows, runs: list[str]) -> bool:
    """`written_anew`, while an owner follows."""
    waiting = asyncio.create_task(asyncio.to_thread(written_anew, rows.store.settings, runs, 60.0))
    with closing(connect(rows.store.settings)) as client, closing(Writer(rows.store.settings)) as writer:
        changes = ChangedRuns(client, 1, [0])
        while not waiting.done():
            news = await asyncio.to_thread(changes.news)
            await asyncio.to_thread(writer.write, news.runs)
            changes.keep(changes.written(news))
            await asyncio.sleep(0.05)
    return await waiting


@pytest.mark.parametrize("person", [Forgotten("run", "carrier"), Forgotten("subject", "pr:3")], ids=str)
async def test_an_owner_that_read_before_writes_nothing_that_stays(rows: Rows, person: Forgotten) -> None:
    settings = rows.store.settings
    await rows.store.take(*long_story())
    rows.follow(rows.changes(), Writer(settings))
    found = find(settings, person)
    assert {held.table for held in found.held} & TABLES.keys()

    def forget(point: str) -> None:
        if point == "read":
            delete(settings, found)

    Writer(settings, at=forget).write(["carrier"])
    assert {held.table for held in find(settings, person).held} & TABLES.keys(), "the slow one wrote"
    assert await owned(rows, list(found.runs))
    delete(settings, find(settings, person, found.names))
    assert find(settings, person, found.names).held == []
    assert rows.differences() == {} and rows.duplicates() == []


async def test_an_owner_that_is_away_is_waited_for_no_longer_than_asked(rows: Rows) -> None:
    rows.changes().keep(1)
    assert not written_anew(rows.store.settings, ["r"], 0.5)
    assert rows.store.values("SELECT count() FROM changed_runs WHERE run_id = 'r'") == [(1,)]
