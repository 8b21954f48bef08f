"""One part is away for long under load: what it costs in memory, and how long it takes to catch up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from benchmarks.chaos.check import Findings
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.report import Report
from benchmarks.chaos.trial import Plan, Trial, trial

#: Seconds of load before the part goes and after all is caught up.
_BEFORE, _AFTER = 60.0, 30.0
#: Caught up: the newest score is at most so many seconds old, and so few seconds of load are on the way.
_CURRENT = 3.0
_CATCH_UP_WITHIN = 1_800.0
_LOOK = 1.0

Peaks = dict[str, float]


class Memory:
    """The most memory in MiB that any worker of a role took, by phase."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.phase = "before"
        self.peaks: dict[str, Peaks] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            peaks = self.peaks.setdefault(self.phase, {})
            for member in self._fleet.workers:
                mebibytes = round(member.memory() / 2**20, 1)
                peaks[member.role] = max(peaks.get(member.role, 0.0), mebibytes)
            await asyncio.sleep(_LOOK)


async def outage(
    plan: Plan, part: Literal["kafka", "clickhouse"], seconds: float, folder: Path, say: Callable[[str], None]
) -> tuple[Report, Findings]:
    """Kill `part`, keep it away for `seconds` while the load goes on, bring it back."""
    async with trial(plan, folder, say) as running:
        memory = Memory(running.fleet)
        looking = asyncio.create_task(memory.run())
        sending = asyncio.create_task(running.load.run(plan.cases))
        await asyncio.sleep(_BEFORE)
        say(f"{part} goes, {memory.peaks}")
        memory.phase = "during"
        member = running.fleet.members[part]
        member.wanted = False
        running.fleet.kill(part)
        await asyncio.sleep(seconds)
        say(f"{part} comes back; {running.load.pending} cases wait for their acknowledgement, {memory.peaks}")
        memory.phase = "after"
        waiting = running.load.pending
        member.wanted = True
        caught_up = await _caught_up(running)
        say(f"caught up after {caught_up:.0f} s")
        await asyncio.sleep(_AFTER)
        running.load.stop()
        await sending
        told = {
            "part": part,
            "seconds": seconds,
            "waited_at_the_producer": waiting,
            "caught_up_after": round(caught_up, 1),
            "peak_mib": memory.peaks,
        }
        looking.cancel()
        return await running.verdict(outage=told)


async def _caught_up(running: Trial) -> float:
    """Seconds until the newest score is a current one and nothing waits at the producer."""
    began = time.monotonic()
    few = _CURRENT * running.plan.rate
    while time.monotonic() - began < _CATCH_UP_WITHIN:
        if running.progress.age < _CURRENT and running.load.pending < few:
            break
        await asyncio.sleep(_LOOK)
    return time.monotonic() - began


__all__ = ["outage"]
