"""The time from producing an outcome until its score can be queried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from time import monotonic

from upshot.demo.plan import Paced
from upshot.errors import PartFailed
from upshot.insights.reader import Reader
from upshot.settings import Settings
from upshot.streams.kafka.producer import EventProducer, event_producer

#: Outcomes per second: a pace, not a load.
RATE = 40.0
#: Seconds between the end of a poll and the next one. A poll asks for all outstanding scores.
POLL = 0.02
_PATIENCE = 60.0
_STAGE = "timed one by one"


@dataclass(frozen=True)
class Latency:
    """Seconds from just before produce until a poll showed the score, the poll's own time included."""

    seconds: Sequence[float]

    def quantile(self, q: float) -> float:
        """The value not exceeded by a share `q` of the measured times (nearest rank)."""
        return sorted(self.seconds)[max(0, ceil(q * len(self.seconds)) - 1)]


async def measure(
    settings: Settings, reader: Reader, paced: Sequence[Paced], progress: Callable[[str, int, int], None]
) -> Latency:
    """Send the outcomes at an even pace and poll ClickHouse until each has its score.

    Raises PartFailed where an outcome gets no score.
    """
    sent: dict[str, float] = {}
    seen: dict[str, float] = {}
    async with event_producer(settings) as producer:
        sending = asyncio.create_task(_send(producer, paced, sent))
        try:
            progress(_STAGE, 0, len(paced))
            while len(seen) < len(paced):
                await _poll(reader, sent, seen)
                progress(_STAGE, len(seen), len(paced))
                if sending.done():
                    sending.result()
                    _give_up_late(sent, seen)
                await asyncio.sleep(POLL)
        finally:
            sending.cancel()
    return Latency([seen[run_id] - sent[run_id] for run_id in seen])


async def _send(producer: EventProducer, paced: Sequence[Paced], sent: dict[str, float]) -> None:
    began = monotonic()
    for number, (run_id, message) in enumerate((one.run_id, one.message) for one in paced):
        await asyncio.sleep(max(0.0, began + number / RATE - monotonic()))
        sent[run_id] = monotonic()
        await (await producer.send_event(message))


async def _poll(reader: Reader, sent: dict[str, float], seen: dict[str, float]) -> None:
    outstanding = [run_id for run_id in sent if run_id not in seen]
    if not outstanding:
        return
    # The table behind the views of scores: a row in the table shows in the views. Asked this often, a view
    # would slow down the measured stack.
    listed = ", ".join(_quoted(run_id) for run_id in outstanding)
    answer = await asyncio.to_thread(
        reader.query, f"SELECT run_id FROM raw_scores WHERE run_id IN ({listed})"
    )
    now = monotonic()
    seen.update((run_id, now) for [run_id] in answer.rows)


def _give_up_late(sent: dict[str, float], seen: dict[str, float]) -> None:
    oldest = min((at for run_id, at in sent.items() if run_id not in seen), default=None)
    if oldest is not None and monotonic() - oldest > _PATIENCE:
        raise PartFailed(
            f"an outcome has no score {_PATIENCE:.0f} s after it was sent; the worker's logs say why"
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


__all__ = ["POLL", "RATE", "Latency", "measure"]
