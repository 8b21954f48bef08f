"""The instant that results hold for: what is read and written by then, and a slider over the past."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from aiohttp import web

from upshot.errors import KafkaUnavailable
from upshot.insights.experiments.written_rows import read_by_soon
from upshot.processors.ledger import READING, read_up_to
from upshot.web.site import PageRequest

_PATIENCE = 4.0
#: A lag too short to be worth a word.
_UNSAID = timedelta(seconds=5)
#: Stops of a slider at the most, and the lengths that lie between two.
_MOST_STOPS = 60
_LENGTHS = (60, 300, 900, 3_600, 21_600, 86_400, 7 * 86_400, 28 * 86_400)
#: The last second that a slider may name.
_LAST = 4_102_444_800


async def as_of_known(asked: PageRequest, *, waits: bool = True) -> tuple[datetime, str]:
    """The instant of the results, not after what is read and written everywhere, and what to say of it.

    `waits`: for the rows of facts that are stored already, for a few seconds.
    """
    at, note = await _as_of_stored(asked, waits)
    written = await asked.read(read_by_soon, asked.reader, at, _PATIENCE if waits else 0.0)
    if written < at - _UNSAID:
        note = "the rows of later facts are not written yet"
    return written, note


async def _as_of_stored(asked: PageRequest, waits: bool) -> tuple[datetime, str]:
    wanted = asked.query.instant("as_of") or asked.now
    try:
        async with asyncio.timeout(_PATIENCE):
            read = await read_up_to(asked.site.settings, asked.now, READING if waits else 0.0)
    except (KafkaUnavailable, TimeoutError):
        return min(wanted, asked.now), "Kafka does not answer: results hold up to what the store had written"
    if read < wanted and read < asked.now - _UNSAID:
        return read, "later records are not read yet"
    return min(wanted, read), ""


@dataclass(frozen=True)
class Slider:
    """Instants in Unix seconds, equally far apart; the last one stands for now."""

    least: int
    most: int
    step: int
    value: int

    @property
    def start(self) -> datetime:
        """The first stop."""
        return _instant(self.least)

    @property
    def before(self) -> str:
        """The stop before the present one, as `as_of` writes instants; empty at the first."""
        stop = (self.value - 1 - self.least) // self.step * self.step + self.least
        return _written(stop) if stop >= self.least else ""

    @property
    def after(self) -> str:
        """The stop after the present one; empty for now."""
        stop = (self.value - self.least) // self.step * self.step + self.step + self.least
        return _written(stop) if stop < self.most else ""

    @property
    def is_now(self) -> bool:
        """Whether there is nothing after."""
        return self.value >= self.most


def slider(first: datetime | None, now: datetime, at: datetime | None) -> Slider | None:
    """A slider from the first record to now, at `at` (None: now); None where there is no past yet."""
    if first is None or first >= now:
        return None
    seconds = (now - first).total_seconds()
    step = next((each for each in _LENGTHS if seconds <= each * _MOST_STOPS), _LENGTHS[-1])
    least = ceil(first.timestamp() / step) * step
    most = ceil(now.timestamp() / step) * step
    if least >= most:
        return None
    return Slider(least, most, step, most if at is None else min(max(int(at.timestamp()), least), most))


def moved(asked: PageRequest) -> None:
    """Lead a slider's form to the same page as of the slider's instant."""
    if not asked.query.text("slide"):
        return
    seconds = asked.query.whole("slide", 0, 0, _LAST)
    as_of = _written(seconds) if seconds < asked.now.timestamp() else None
    raise web.HTTPSeeOther(asked.frame.here(slide=None, as_of=as_of))


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _written(seconds: int) -> str:
    return _instant(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["Slider", "as_of_known", "moved", "slider"]
