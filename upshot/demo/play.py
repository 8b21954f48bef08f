"""Playing the plan through Kafka, and waiting until ClickHouse has all events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from upshot.demo.latency import Latency, measure
from upshot.demo.plan import Plan
from upshot.errors import ConfigurationError, PartFailed
from upshot.insights.reader import Reader
from upshot.settings import Settings
from upshot.streams.kafka.producer import delivered, event_producer

#: For a running stage: its name, how much is done, of how much.
Progress = Callable[[str, int, int], None]

_WINDOW = 1_000
#: Seconds between two counts, and seconds without anything new until we give up.
_LOOK = 0.2
_PATIENCE = 60.0

_COUNTED = """
SELECT (SELECT count() FROM runs) AS runs, (SELECT count() FROM waits) AS waits,
       (SELECT count() FROM outcomes) AS outcomes, (SELECT count() FROM current_scores) AS scores"""


class Counts(NamedTuple):
    """Rows in ClickHouse."""

    runs: int
    waits: int
    outcomes: int
    scores: int

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in self._asdict().items())


@dataclass(frozen=True)
class Play:
    """The figures of the play itself."""

    sent: int
    seconds: float
    latency: Latency | None


async def play(settings: Settings, reader: Reader, plan: Plan, progress: Progress) -> Play:
    """Send the bulk, wait until everything is scored, then send the paced outcomes and time each.

    Raises ConfigurationError where the database isn't empty, PartFailed where nothing new comes any more.
    """
    before = await _counts(reader)
    if any(before):
        raise ConfigurationError(
            f"{settings.data_dir} already holds data ({before}); nothing was played: the demo's numbers are "
            "compared with its file, so it needs a data directory of its own"
        )
    began = monotonic()
    await _send(settings, plan, progress)
    expected = plan.unique("outcomes")
    want = Counts(plan.unique("runs"), plan.unique("waits"), expected, expected)
    await _wait(settings, reader, want, "scored and stored", progress)
    seconds = monotonic() - began
    latency = await measure(settings, reader, plan.paced, progress) if plan.paced else None
    closed = expected + len(plan.paced)
    await _wait(settings, reader, want._replace(outcomes=closed, scores=closed), "complete", progress)
    return Play(len(plan.bulk) + len(plan.paced), seconds, latency)


async def _send(settings: Settings, plan: Plan, progress: Progress) -> None:
    stage = "sent to Kafka"
    progress(stage, 0, len(plan.bulk))
    async with event_producer(settings) as producer:
        for start in range(0, len(plan.bulk), _WINDOW):
            window = plan.bulk[start : start + _WINDOW]
            receipts = [await producer.send_event(event) for event in window]
            await delivered(receipts)
            progress(stage, start + len(window), len(plan.bulk))


async def _wait(settings: Settings, reader: Reader, want: Counts, stage: str, progress: Progress) -> None:
    found = Counts(0, 0, 0, 0)
    progress(stage, 0, sum(want))
    deadline = monotonic() + _PATIENCE
    while found != want:
        counted = await _counts(reader)
        if counted != found:
            found, deadline = counted, monotonic() + _PATIENCE
            progress(stage, sum(map(min, found, want)), sum(want))
        elif monotonic() > deadline:
            raise PartFailed(
                f"nothing new came for {_PATIENCE:.0f} s: ClickHouse has {found}, it should have {want}; the "
                f"logs are in {settings.data_dir / 'logs'}"
            )
        else:
            await asyncio.sleep(_LOOK)


async def _counts(reader: Reader) -> Counts:
    answer = await asyncio.to_thread(reader.query, _COUNTED)
    return Counts(*(int(count) for count in answer.rows[0]))


__all__ = ["Counts", "Play", "Progress", "play"]
