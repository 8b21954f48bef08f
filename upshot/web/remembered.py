"""Answers to queries over all rows, reused for a while where they read many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from upshot.insights.pages.query import PageQuery, Row
from upshot.insights.reader import QueryResult

T = TypeVar("T")

#: An answer that read fewer rows is never reused: asking again costs next to nothing.
COSTLY = 1_000_000
#: Seconds for which a costly answer is as good as new; for which it is given while a new one is on its way.
FRESH, STALE = 10.0, 600.0
#: Answers that are kept, and the rows of the longest of them.
_MOST, _LONGEST = 128, 20_000


@dataclass(frozen=True)
class CachedAnswer(Generic[T]):
    """An answer, with the instant of the monotonic clock at which it was asked for."""

    answer: T
    asked_at: float


class NewAnswer(NamedTuple, Generic[T]):
    """An answer that was just found, and whether it may be reused."""

    answer: T
    is_costly: bool


@dataclass
class AnswerCache(Generic[T]):
    """Costly answers by a key. Who asks while an answer is on its way gets that answer.

    An answer is as good as new for FRESH seconds, and given for STALE seconds while a new one is on its way.
    Errors go to whoever waits; an answer that couldn't be renewed is forgotten.
    """

    clock: Callable[[], float] = monotonic
    _answers: dict[str, CachedAnswer[T]] = field(default_factory=dict)
    _asking: dict[str, asyncio.Task[CachedAnswer[T]]] = field(default_factory=dict)

    async def answer(self, key: str, work: Callable[[], Awaitable[NewAnswer[T]]]) -> CachedAnswer[T]:
        """The answer that `work` finds: a new one, or one of before where it was costly."""
        known = self._answers.get(key)
        age = self.clock() - known.asked_at if known else STALE
        if known and age < FRESH:
            return known
        task = self._asking.get(key) or self._begun(key, work)
        return known if known and age < STALE else await asyncio.shield(task)

    async def renewed(self, key: str, work: Callable[[], Awaitable[NewAnswer[T]]]) -> CachedAnswer[T]:
        """The answer that `work` finds now, for whoever asks later."""
        return await asyncio.shield(self._asking.get(key) or self._begun(key, work))

    def _begun(self, key: str, work: Callable[[], Awaitable[NewAnswer[T]]]) -> asyncio.Task[CachedAnswer[T]]:
        self._asking[key] = task = asyncio.create_task(self._asked(key, work))
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: str, task: asyncio.Task[CachedAnswer[T]]) -> None:
        self._asking.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            self._answers.pop(key, None)

    async def _asked(self, key: str, work: Callable[[], Awaitable[NewAnswer[T]]]) -> CachedAnswer[T]:
        begun = self.clock()
        found = await work()
        known = CachedAnswer(found.answer, begun)
        self._answers.pop(key, None)
        if found.is_costly:
            self._answers[key] = known
            while len(self._answers) > _MOST:
                del self._answers[next(iter(self._answers))]
        return known


class Remembered:
    """Answers to queries. `ask` runs a query beside the event loop."""

    def __init__(
        self, ask: Callable[[PageQuery], Awaitable[QueryResult]], clock: Callable[[], float] = monotonic
    ) -> None:
        self._ask = ask
        self._cache = AnswerCache[list[Row]](clock=clock)

    async def answer(self, query: PageQuery) -> CachedAnswer[list[Row]]:
        """The rows: new ones, or those of the last minutes where the query is costly."""
        return await self._cache.answer(_key(query), partial(self._work, query))

    async def renewed(self, query: PageQuery) -> CachedAnswer[list[Row]]:
        """The rows of now, which whoever asks later gets where the query is costly."""
        return await self._cache.renewed(_key(query), partial(self._work, query))

    async def _work(self, query: PageQuery) -> NewAnswer[list[Row]]:
        result = await self._ask(query)
        rows = result.objects()
        return NewAnswer(rows, result.read_rows >= COSTLY and len(rows) <= _LONGEST)


def _key(query: PageQuery) -> str:
    return f"{query.sql}\n{sorted((name, str(value)) for name, value in query.parameters.items())}"


__all__ = ["COSTLY", "FRESH", "STALE", "AnswerCache", "CachedAnswer", "NewAnswer", "Remembered"]
