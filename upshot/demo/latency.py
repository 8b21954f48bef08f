"""From an outcome handed to the producer until its score can be read: measured one by one, at a steady pace."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from time import monotonic

from upshot.demo.events import NAME
from upshot.demo.plan import Paced
from upshot.demo.play import Progress, Report
from upshot.errors import UnitFailed
from upshot.insights.reader import Reader
from upshot.settings import Settings
from upshot.streams.producer import event_producer

#: Outcomes per second.
PACE = 40
#: Seconds between two looks for all scores that are still to come; each adds to what is measured.
_LOOK = 0.02
_PATIENCE = 60.0

_SEEN = f"""
SELECT run_id FROM current_scores WHERE name = '{NAME}' AND run_id IN {{runs:Array(String)}}
"""


@dataclass(frozen=True)
class Latency:
    """Seconds from just before the send until the score was seen, for each outcome."""

    seconds: Sequence[float]
    pace: int = PACE

    def quantile(self, share: float) -> float:
        """The smallest measured value that so large a share doesn't exceed."""
        ordered = sorted(self.seconds)
        return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


async def measure(settings: Settings, reader: Reader, paced: Sequence[Paced], report: Report) -> Latency:
    """Send the outcomes by the clock and watch for their scores.

    Those that have a score already, from an earlier play, are sent and not measured. Raises UnitFailed
    where a score doesn't come.
    """
    known = await asyncio.to_thread(_seen, reader, [one.run_id for one in paced])
    sent: dict[str, float] = {}
    took: dict[str, float] = {}
    sender = asyncio.create_task(_send(settings, paced, sent))
    try:
        last = monotonic()
        report(Progress("outcomes one by one", 0, len(paced)))
        while not sender.done() or len(took) + len(known) < len(paced):
            await asyncio.sleep(_LOOK)
            waiting = [run_id for run_id in sent if run_id not in took and run_id not in known]
            if waiting:
                for run_id in await asyncio.to_thread(_seen, reader, waiting):
                    last = monotonic()
                    took[run_id] = last - sent[run_id]
            report(Progress("outcomes one by one", len(took) + len(known), len(paced)))
            if sender.done() and monotonic() - last > _PATIENCE:
                raise UnitFailed(f"{len(paced) - len(took) - len(known)} scores didn't come in {_PATIENCE:g} s")
        await sender
    finally:
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
    return Latency(list(took.values()))


async def _send(settings: Settings, paced: Sequence[Paced], sent: dict[str, float]) -> None:
    """Each at its time by the clock: one that is late doesn't hold up the next ones."""
    async with event_producer(settings) as producer:
        began = monotonic()
        for number, one in enumerate(paced):
            await asyncio.sleep(max(0.0, began + number / PACE - monotonic()))
            sent[one.run_id] = monotonic()
            await producer.send(one.message.topic, one.message.value, key=one.message.key)


def _seen(reader: Reader, run_ids: Collection[str]) -> set[str]:
    listed = ", ".join("'" + run_id.replace("\\", "\\\\").replace("'", "\\'") + "'" for run_id in run_ids)
    return {row[0] for row in reader.query(_SEEN, {"runs": f"[{listed}]"}).rows}


__all__ = ["PACE", "Latency", "measure"]
