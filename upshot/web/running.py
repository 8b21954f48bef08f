"""Queries that people run: each with its progress, stopped on demand or when its reader has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from aiohttp import web

from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.insights.progress import QueryProgress
from upshot.insights.reader import Reader
from upshot.insights.stopping import QueryStop
from upshot.settings import Settings

T = TypeVar("T")

#: Queries of people at a time; further ones wait. Pages have threads of their own.
_AT_A_TIME = 4
#: Seconds between two looks whether the reader is still there.
_LOOK = 0.25
_LONGEST_TICKET = 64


class RunningQuery:
    """One query: `progress` is None until ClickHouse has said something."""

    def __init__(self) -> None:
        self.stop = QueryStop()
        self.progress: QueryProgress | None = None
        self._begun = monotonic()

    def hear(self, progress: QueryProgress) -> None:
        """Note the progress; called in the thread of the query."""
        self.progress = progress

    def as_json(self) -> dict[str, Any]:
        """For the page that waits."""
        rows, total, size, _ = self.progress or (0, 0, 0, 0.0)
        return {"running": True, "rows": rows, "total_rows": max(rows, total), "bytes": size,
                "seconds": monotonic() - self._begun}  # fmt: skip


class RunningQueries:
    """All of a server's. A page names its query by a ticket that nobody can guess."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="upshot-query")
        self._by_ticket: dict[str, RunningQuery] = {}

    async def run(self, request: web.Request, ticket: str, seconds: float, work: Callable[[Reader], T]) -> T:
        """The result of `work`. Raises QueryFailed for a stopped query, too."""
        query = RunningQuery()
        reader = Reader(self._settings, timeout=seconds, listener=query.hear, stop=query.stop)
        ticket = ticket[:_LONGEST_TICKET]
        if ticket:
            self._by_ticket[ticket] = query
        try:
            working = asyncio.get_running_loop().run_in_executor(
                self._threads, partial(_unless_stopped, query, reader, work)
            )
            return await attended(request, working, query.stop)
        except ClickHouseUnavailable:
            if query.stop.is_stopped:
                raise _cancelled() from None
            raise
        finally:
            query.stop.stop()
            if self._by_ticket.get(ticket) is query:
                del self._by_ticket[ticket]

    def progress(self, ticket: str) -> dict[str, Any]:
        """How far the query is; `running` is false for one that has ended or never was."""
        query = self._by_ticket.get(ticket)
        return query.as_json() if query else {"running": False}

    def cancel(self, ticket: str) -> bool:
        """Stop the query; whether there was one."""
        query = self._by_ticket.get(ticket)
        if query:
            query.stop.stop()
        return query is not None


async def attended(request: web.Request, working: Awaitable[T], stop: QueryStop) -> T:
    """The result of work beside the event loop, which is stopped once nobody waits for its answer."""
    task = asyncio.ensure_future(working)
    while not task.done():
        await asyncio.wait({task}, timeout=_LOOK)
        if request.transport is None or request.transport.is_closing():
            stop.stop()
    return task.result()


def _unless_stopped(query: RunningQuery, reader: Reader, work: Callable[[Reader], T]) -> T:
    if query.stop.is_stopped:
        raise _cancelled()
    return work(reader)


def _cancelled() -> QueryFailed:
    return QueryFailed("the query was cancelled before its end, and gave no rows")


__all__ = ["RunningQueries", "RunningQuery", "attended"]
