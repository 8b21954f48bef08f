"""One run from the start of the parts to the verdict."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from benchmarks.chaos.anew import Anew
from benchmarks.chaos.cases import cases
from benchmarks.chaos.check import Findings, compare, dispute
from benchmarks.chaos.exposed import attributed, with_exposures
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.journal import read_back
from benchmarks.chaos.oracle import Truth, truth_of
from benchmarks.chaos.progress import Progress
from benchmarks.chaos.report import Report, commit
from benchmarks.chaos.sending import Load
from benchmarks.chaos.shown import shown
from upshot.settings import Settings

#: The load's deadlines are so near, or days away.
_NEAR = timedelta(seconds=30)
#: What is right must still be right after so many seconds, in which something late could arrive.
_STAYS = 4.0


@dataclass(frozen=True)
class Plan:
    """How large and how long. `cases` is the least; `settle` in seconds, at the most."""

    seed: int
    cases: int
    rate: float
    correlates: int
    stores: int
    partitions: int
    standbys: int
    settle: float
    followups: int = 1


@dataclass
class Trial:
    """The running parts and the load on them."""

    plan: Plan
    settings: Settings
    fleet: Fleet
    load: Load
    progress: Progress
    anew: Anew
    report: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    #: Scores shown with exposures at the last comparison.
    attributed: int = 0

    async def verdict(
        self,
        done: Mapping[str, int] | None = None,
        silent_calms: int = 0,
        outage: Mapping[str, Any] | None = None,
    ) -> tuple[Report, Findings]:
        """Let it settle, compare, and tell. No load runs any more."""
        calmed = time.monotonic()
        longest = self.progress.longest
        events = sum(len(case.messages) for case in self.load.sent)
        self.report(f"{len(self.load.sent)} runs and {events} events are sent; letting it settle")
        findings, settled_at = await self._settled(await self.truth())
        self.report(f"{self.attributed} scores show exposures, each those of its run: {not findings.wrong}")
        messages, facts = await self._said()
        return Report(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit(),
            seed=self.plan.seed,
            killed=dict(self.fleet.killed),
            done=dict(done or {}),
            rebalances=self.fleet.kafka.rebalances(),
            runs=len(self.load.sent),
            events=events,
            messages=messages,
            facts=facts,
            found=findings.counts(),
            chaos_seconds=round(calmed - self.began, 1),
            settle_seconds=round(settled_at - calmed, 1),
            longest_without_score=round(longest, 1),
            silent_calms=silent_calms,
            ended=dict(self.fleet.ended),
            outage=outage,
        ), findings

    async def truth(self) -> Truth:
        """What must come of all that lies in Kafka now, once the near deadlines are over."""
        entries = [entry async for entry in self.anew.entries()]
        return truth_of(entries, datetime.now(UTC) + _NEAR)

    async def _settled(self, truth: Truth) -> tuple[Findings, float]:
        """What differs once nothing does any more, or when the time is over; and since when it's so."""
        disputed = dispute(truth, self.load.sent)
        until = time.monotonic() + self.plan.settle
        clean_since: float | None = None
        while True:
            looked_at = time.monotonic()
            findings = await self.compared(truth)
            findings.disputed = disputed
            if not findings.is_clean:
                clean_since = None
                if looked_at > until or disputed:
                    return findings, looked_at
            elif clean_since is None:
                clean_since = looked_at
            elif looked_at - clean_since > _STAYS:
                return findings, clean_since
            await asyncio.sleep(1)

    async def compared(self, truth: Truth) -> Findings:
        """What differs now."""
        try:
            found = compare(truth, await asyncio.to_thread(shown, self.settings, self.anew.cuts))
            wrong, self.attributed = await asyncio.to_thread(attributed, self.settings, self.load.sent)
            found.wrong += wrong
            return found
        except (ClickHouseError, OSError) as error:
            return Findings(unsettled=[f"ClickHouse doesn't answer: {error}"])

    async def _said(self) -> tuple[int, int]:
        """How many decided scores lie in Kafka, and how many different ones."""
        decided = [
            (event["score_id"], event["revision"])
            async for entry in read_back(self.settings, ["scores"])
            if isinstance(event := _event(entry.value), dict) and "revision" in event
        ]
        return len(decided), len(set(decided))


@asynccontextmanager
async def trial(plan: Plan, folder: Path, report: Callable[[str], None]) -> AsyncIterator[Trial]:
    """Everything runs, and the load is being sent, for the length of a `with`."""
    fleet = Fleet(
        folder,
        {"correlate": plan.correlates, "store": plan.stores, "followups": plan.followups},
        plan.partitions,
        plan.standbys,
    )
    watching: asyncio.Task[None] | None = None
    try:
        settings = await fleet.start()
        load, progress = (
            Load(settings, with_exposures(cases(plan.seed), plan.seed), plan.rate),
            Progress(settings),
        )
        watching = asyncio.create_task(progress.run())
        yield Trial(plan, settings, fleet, load, progress, Anew(settings, load, report), report)
    finally:
        if watching is not None:
            watching.cancel()
        await fleet.stop()


def _event(value: bytes | None) -> Any:
    try:
        return json.loads(value or b"")
    except ValueError:
        return None


__all__ = ["Plan", "Trial", "trial"]
