"""Answers that are reused: only costly ones, for so long, and never a failed one."""

from __future__ import annotations

import asyncio

import pytest

from upshot.errors import ClickHouseUnavailable
from upshot.insights.pages.query import PageQuery
from upshot.insights.reader import Column, QueryResult
from upshot.web.remembered import COSTLY, FRESH, STALE, Remembered
from upshot.web.standing import StandingQuestions, StandingSet

QUERY = PageQuery("SELECT count()", {"name": "merged"})


class Counting:
    """Answers with the number of the question, at a time that stands still until it is set."""

    def __init__(self, read_rows: int) -> None:
        self.asked, self.now, self.read_rows, self.fails = 0, 100.0, read_rows, False
        self.remembered = Remembered(self.ask, lambda: self.now)

    async def ask(self, query: PageQuery) -> QueryResult:
        self.asked += 1
        mine = self.asked
        await asyncio.sleep(0)
        if self.fails:
            raise ClickHouseUnavailable("away")
        return QueryResult((Column("n", "UInt8"),), [[mine]], self.read_rows)

    async def answer(self, query: PageQuery = QUERY) -> int:
        found: int = (await self.remembered.answer(query)).answer[0]["n"]
        return found

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_cheap_answers_are_always_new() -> None:
    counting = Counting(COSTLY - 1)
    assert [await counting.answer() for _ in range(3)] == [1, 2, 3]


async def test_costly_answers_are_reused_and_renewed_beside_their_readers() -> None:
    counting = Counting(COSTLY)
    assert [await counting.answer(), await counting.answer()] == [1, 1]
    assert await counting.answer(PageQuery(QUERY.sql, {"name": "other"})) == 2, "another query"
    counting.now += FRESH
    assert await counting.answer() == 1, "the old answer, while the new one is on its way"
    await counting.settle()
    assert await counting.answer() == 3
    counting.now += STALE
    assert await counting.answer() == 4, "too old to be given"


async def test_an_answer_on_its_way_serves_all_who_ask() -> None:
    counting = Counting(COSTLY - 1)
    assert await asyncio.gather(*(counting.answer() for _ in range(10))) == [1] * 10


async def test_errors_go_to_their_askers_and_end_what_was_known() -> None:
    counting = Counting(COSTLY)
    counting.fails = True
    with pytest.raises(ClickHouseUnavailable):
        await counting.answer()
    counting.fails = False
    assert await counting.answer() == 2
    counting.fails, counting.now = True, counting.now + FRESH
    assert await counting.answer() == 2
    await counting.settle()
    with pytest.raises(ClickHouseUnavailable):
        await counting.answer()


async def test_a_standing_question_is_answered_before_anybody_asks() -> None:
    counting = Counting(COSTLY)
    standing = StandingQuestions(StandingSet(counting.remembered, [QUERY]))
    await standing.ask()
    assert await counting.answer() == 1
    await standing.ask()
    assert await counting.answer() == 2, "each round asks anew"
    counting.fails = True
    with pytest.raises(ClickHouseUnavailable):
        await standing.ask()
