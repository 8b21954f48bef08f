"""Judging beside the processing loop: one look at a time, its result taken up by a later tick."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from upshot.errors import ClickHouseUnavailable, KafkaUnavailable
from upshot.insights.reader import WORK_BYTES, Reader
from upshot.processors.alerts.instants import Closing, JudgedInstants
from upshot.processors.alerts.state import JudgedRule
from upshot.schemas.alert_rules import AlertRule
from upshot.settings import Settings
from upshot.streams.events.instants import Micros

log = logging.getLogger(__name__)

#: Microseconds until the next look: while records are still to be read, and while a server is away.
_SOON: Micros = 500_000
_AWAY: Micros = 5_000_000


class Timed:
    """Runs `judge_all` as a task."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader = Reader(settings, answer_bytes=WORK_BYTES)
        self._task: asyncio.Task[list[JudgedInstants]] | None = None
        self._look_at: Micros = 0

    def begin(
        self,
        due: Sequence[tuple[AlertRule, JudgedRule | None]],
        closings: Sequence[Closing],
        now: Micros,
    ) -> None:
        """Begin a look, unless there is one, or nothing is due."""
        if self._task is None and (due or closings) and now >= self._look_at:
            self._look_at = now + _SOON
            self._task = asyncio.create_task(self._judged(due, now, closings))

    async def _judged(
        self,
        due: Sequence[tuple[AlertRule, JudgedRule | None]],
        now: Micros,
        closings: Sequence[Closing],
    ) -> list[JudgedInstants]:
        judging = await asyncio.to_thread(_judging)
        found: list[JudgedInstants] = await judging.judge_all(
            self._settings, self._reader, due, now, closings
        )
        return found

    def ended(self) -> list[JudgedInstants] | None:
        """The result of a look that has ended; None while there is none. Raises errors of the program."""
        if self._task is None or not self._task.done():
            return None
        task, self._task = self._task, None
        try:
            return task.result()
        except (KafkaUnavailable, ClickHouseUnavailable) as error:
            log.warning("windows aren't judged, and will be: %s", error)
            self._look_at += _AWAY
            return []

    async def stop(self) -> None:
        """Give up the look."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})


def _judging() -> ModuleType:
    """Imported with the first look: its statistics take longer to load than all the rest of the role.

    A worker started again judges single scores meanwhile.
    """
    return import_module("upshot.processors.alerts.judging")


__all__ = ["Timed"]
