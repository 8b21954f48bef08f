"""Parts that are killed on a seeded schedule and started again at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random

from upshot.errors import PartFailed
from upshot.local.part import Part

#: Who is killed how often, relatively.
WEIGHTS = {"correlate": 4, "store": 3, "clickhouse": 2, "kafka": 2}
#: Seconds between two kills, from and to: most come while something is still starting.
PAUSES = (0.3, 4.0)


class Killer:
    """Kills (SIGKILL) one of `parts` at a time, `count` times; keeps all of them running meanwhile."""

    def __init__(self, parts: dict[str, Part], seed: int, report: Callable[[str], None]) -> None:
        self._parts = parts
        self._random = Random(seed)
        self._report = report
        self.killed: Counter[str] = Counter()

    async def kill(self, count: int) -> None:
        """Kill `count` times."""
        while self.killed.total() < count:
            await asyncio.sleep(self._random.uniform(*PAUSES))
            (name,) = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
            with suppress(PartFailed, ProcessLookupError):  # already dead: another one is drawn
                os.kill(self._parts[name].pid, signal.SIGKILL)
                self.killed[name] += 1
                self._report(f"kill {self.killed.total()} of {count}: {name}")

    async def keep_running(self) -> None:
        """Start again what died, until cancelled."""
        while True:
            for part in self._parts.values():
                if not part.alive():
                    with suppress(PartFailed):  # such as a port not free yet: tried again
                        await asyncio.to_thread(part.start)
            await asyncio.sleep(0.1)
