"""Answers to queries over all rows, reused for a while where they read many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic

from upshot.insights.pages.query import PageQuery, Row
from upshot.insights.reader import QueryResult

#: An answer that read fewer rows is never reused: asking again costs next to nothing.
COSTLY = 1_000_000
#: Seconds for which a costly answer is as good as new; for which it is given while a new one is on its way.
FRESH, STALE = 10.0, 120.0
#: Answers that are kept, and the rows of the longest of them.
_MOST, _LONGEST = 128, 20_000


@dataclass(frozen=True)
class RememberedRows:
    """Rows, with the instant of the monotonic clock at which they were asked for."""

    rows: list[Row]
    asked_at: float


@dataclass
class Remembered:
    """Answers by their query. Who asks while an answer is on its way gets that answer.

    `ask` runs a query beside the event loop. Errors go to whoever waits; an answer that couldn't be renewed
    is forgotten.
    """

    ask: Callable[[PageQuery], Awaitable[QueryResult]]
    clock: Callable[[], float] = monotonic
    _answers: dict[str, RememberedRows] = field(default_factory=dict)
    _asking: dict[str, asyncio.Task[RememberedRows]] = field(default_factory=dict)

    async def answer(self, query: PageQuery) -> RememberedRows:
        """The answer: a new one, or one of the last minutes where the query is costly."""
        key = f"{query.sql}\n{sorted((name, str(value)) for name, value in query.parameters.items())}"
        known = self._answers.get(key)
        age = self.clock() - known.asked_at if known else STALE
        if known and age < FRESH:
            return known
        task = self._asking.get(key) or self._begun(key, query)
        return known if known and age < STALE else await asyncio.shield(task)

    def _begun(self, key: str, query: PageQuery) -> asyncio.Task[RememberedRows]:
        self._asking[key] = task = asyncio.create_task(self._asked(key, query))
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: str, task: asyncio.Task[RememberedRows]) -> None:
        self._asking.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            self._answers.pop(key, None)

    async def _asked(self, key: str, query: PageQuery) -> RememberedRows:
        begun = self.clock()
        result = await self.ask(query)
        found = RememberedRows(result.objects(), begun)
        self._answers.pop(key, None)
        if result.read_rows >= COSTLY and len(found.rows) <= _LONGEST:
            self._answers[key] = found
            while len(self._answers) > _MOST:
                del self._answers[next(iter(self._answers))]
        return found


__all__ = ["COSTLY", "FRESH", "STALE", "Remembered", "RememberedRows"]
