"""Questions over all rows that the first pages ask: answered before anybody looks, renewed now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import NamedTuple

from aiohttp import web

from upshot.errors import UpshotError
from upshot.insights.pages.home import STATUS_COUNTS
from upshot.insights.pages.query import PageQuery
from upshot.insights.pages.runs import ATTRIBUTE_NAMES, RUN_CHOICES, RunFilter, reach_of_runs
from upshot.web.pages import home, scores
from upshot.web.remembered import Remembered
from upshot.web.status import BY_AGENT, DEAD_BY_REASON

#: The questions of the pages; of the state of the stack.
OF_PAGES = (*home.STANDING, scores.ALL_NAMES, reach_of_runs(RunFilter()), RUN_CHOICES, ATTRIBUTE_NAMES)
OF_STATUS = (STATUS_COUNTS, BY_AGENT, DEAD_BY_REASON)

#: Seconds after the start of the server, from one round to the next, and until a round is tried again.
_BEGIN_AFTER, _EVERY, _AGAIN = 0.5, 300.0, 5.0
#: A round's own seconds of rest: all of it takes so small a part of the machine.
_REST = 20

_log = logging.getLogger(__name__)


class StandingSet(NamedTuple):
    """Questions, and where their answers are looked for."""

    remembered: Remembered
    queries: Sequence[PageQuery]


class StandingQuestions:
    """The standing questions of one server, asked one after the other."""

    def __init__(self, *standing: StandingSet) -> None:
        self._standing = standing

    async def context(self, app: web.Application) -> AsyncIterator[None]:
        """Asks while the app runs."""
        asking = asyncio.create_task(self._keep_asking())
        yield
        asking.cancel()
        await asyncio.wait({asking})

    async def ask(self) -> None:
        """One round. Raises UpshotError where a question has no answer."""
        for remembered, queries in self._standing:
            for query in queries:
                await remembered.renewed(query)

    async def _keep_asking(self) -> None:
        await asyncio.sleep(_BEGIN_AFTER)
        while True:
            begun = monotonic()
            try:
                await self.ask()
                pause = max(_EVERY, _REST * (monotonic() - begun))
            except UpshotError as error:
                _log.info("standing questions are asked again: %s", error)
                pause = _AGAIN
            await asyncio.sleep(pause)


__all__ = ["OF_PAGES", "OF_STATUS", "StandingQuestions", "StandingSet"]
