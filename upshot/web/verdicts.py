"""Verdicts of running experiments for lists: computed beside the pages, each at most every few minutes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from aiohttp import web

from upshot.errors import UpshotError
from upshot.insights.experiments.reading import read_results
from upshot.insights.experiments.registry import read_plan
from upshot.insights.experiments.verdict import ExperimentVerdict, verdict
from upshot.insights.experiments.written_rows import read_by_soon
from upshot.insights.pages.home import EXPERIMENTS
from upshot.insights.reader import Reader
from upshot.settings import Settings

#: Seconds for which a verdict holds; of one query; that a page waits for verdicts which are on their way.
_FRESH, _LONGEST, _PATIENCE = 300.0, 15.0, 0.1

#: Seconds after the start of the server, and between tries, of the first verdicts.
_BEGIN_AFTER = (1.0, 5.0, 30.0)
#: Experiments of a list whose verdicts it shows.
_SHOWN = 12

_log = logging.getLogger(__name__)


def running_of(experiments: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of running experiments, those at the beginning of a list alone."""
    return [each["experiment"] for each in experiments[:_SHOWN] if each["status"] == "running"]


class Verdicts:
    """The verdicts of one server. One thread computes them: lists wait for none."""

    def __init__(self, settings: Settings) -> None:
        self._reader = Reader(settings, timeout=_LONGEST)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="upshot-verdicts")
        self._known: dict[str, tuple[float, ExperimentVerdict | None]] = {}
        self._running: dict[str, Future[None]] = {}

    async def of(self, experiments: Sequence[str]) -> Mapping[str, ExperimentVerdict]:
        """The verdicts that are known so far; the others, and old ones, are computed meanwhile."""
        for name in experiments:
            at, _ = self._known.get(name, (-_FRESH, None))
            before = self._running.get(name)
            if monotonic() - at >= _FRESH and (before is None or before.done()):
                self._running[name] = self._thread.submit(self._compute, name)
        running = [self._running[name] for name in experiments if not self._running[name].done()]
        if running:
            await asyncio.wait([asyncio.wrap_future(each) for each in running], timeout=_PATIENCE)
        found = {name: self._known.get(name, (0.0, None))[1] for name in experiments}
        return {name: each for name, each in found.items() if each is not None}

    async def context(self, app: web.Application) -> AsyncIterator[None]:
        """Computes the first verdicts before anybody looks, and ends with the app."""
        beginning = asyncio.create_task(self._begin())
        yield
        beginning.cancel()
        await asyncio.wait({beginning})
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _begin(self) -> None:
        for pause in _BEGIN_AFTER:
            await asyncio.sleep(pause)
            try:
                rows = await asyncio.to_thread(EXPERIMENTS.rows, self._reader)
            except UpshotError as error:
                _log.info("no verdicts yet: %s", error)
                continue
            await self.of(running_of(rows))
            return

    def on_their_way(self, experiments: Sequence[str]) -> list[str]:
        """Those whose first verdict is being computed."""
        return [
            name
            for name in experiments
            if name not in self._known and name in self._running and not self._running[name].done()
        ]

    def _compute(self, name: str) -> None:
        found = None
        try:
            at = read_by_soon(self._reader, datetime.now(UTC), 0.0)
            plan = read_plan(self._reader, name, at)
            found = verdict(read_results(self._reader, plan, at)) if plan and plan.metrics else None
        except UpshotError as error:
            _log.info("no verdict of %r for now: %s", name, error)
        finally:
            self._known[name] = (monotonic(), found)


__all__ = ["Verdicts", "running_of"]
