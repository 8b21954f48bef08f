"""Carries the schedule out."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from benchmarks.chaos.anew import Anew, topic_for
from benchmarks.chaos.fleet import Fleet, Member
from benchmarks.chaos.links import DIRECTIONS, Link
from benchmarks.chaos.progress import Progress
from benchmarks.chaos.schedule import Action
from benchmarks.chaos.sending import Load

#: Runs that a burst sends at once.
_BURST = 300
#: A calm ends when scores flow again, and after so many seconds at the latest.
_CALM_WITHIN = 60.0
#: While throttled a part runs for the second of these in each of the sum of both.
_STOPPED, _RUNNING = 0.25, 0.06
#: Seconds that each piece of data takes on a slow link.
_SLOWNESS = 0.3

_Effect = Coroutine[Any, Any, bool]


class Storm:
    """Does what the schedule says until enough has been killed.

    `done` counts what had somebody to be done to.
    """

    def __init__(
        self, fleet: Fleet, load: Load, progress: Progress, anew: Anew, report: Callable[[str], None]
    ) -> None:
        self._fleet = fleet
        self._load = load
        self._progress = progress
        self._anew = anew
        self._report = report
        self._lasting: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()
        #: Calms in which no score came in time.
        self.silent_calms = 0

    async def rage(self, schedule: Iterator[Action], kills: int) -> None:
        """Until `kills` parts were killed; afterwards everything is mended."""
        while self._fleet.killed.total() < kills:
            action = next(schedule)
            await asyncio.sleep(action.pause)
            if action.kind == "calm":
                await self._calm()
                continue
            if action.kind == "anew":
                await self._made_anew(action)
                continue
            self._goes_on(self._do(action))
            await asyncio.sleep(0)
        await asyncio.gather(*self._lasting)
        self._fleet.mend()

    def _goes_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)

    async def _made_anew(self, action: Action) -> None:
        """Delete a topic; it's made again beside what comes next."""
        topic = topic_for(action.variant)
        deleted = await self._anew.delete(topic)
        self.done["anew"] += deleted
        if deleted:
            self._report(f"{topic} is deleted, and made again in {action.seconds:.1f} s")
            self._goes_on(self._anew.make(action.seconds))

    async def _do(self, action: Action) -> None:
        effect = getattr(self, f"_{action.kind}")
        self.done[action.kind] += await effect(action)

    async def _calm(self) -> None:
        """Let scores flow. Someone of each role must be there for that."""
        self._report(f"{self._fleet.killed.total()} killed, {self._load.pending} cases on the way; calm")
        await asyncio.gather(*self._lasting)
        for slot in ("correlate-0", "store-0"):
            self._fleet.members[slot].wanted = True
        flows = await self._progress.flows(_CALM_WITHIN)
        self.done["calm"] += 1
        if not flows:
            self.silent_calms += 1
            self._report(f"no score in {_CALM_WITHIN:g} s of calm")

    async def _kill(self, action: Action) -> bool:
        return self._fleet.kill(action.target)

    async def _lose(self, action: Action) -> bool:
        member = self._fleet.members[action.target]
        if not member.wanted:
            return False
        member.wanted = False
        killed = self._fleet.kill(action.target)
        await asyncio.sleep(action.seconds)
        member.wanted = True
        return killed

    async def _wipe(self, action: Action) -> bool:
        return await self._fleet.wipe(action.target)

    async def _freeze(self, action: Action) -> bool:
        return await self._stopped(self._fleet.members[action.target], action.seconds)

    async def _throttle(self, action: Action) -> bool:
        member = self._fleet.members[action.target]
        rounds = int(3 * action.seconds / (_STOPPED + _RUNNING))
        done = [await self._stopped(member, _STOPPED, then=_RUNNING) for _ in range(rounds)]
        return any(done)

    async def _stopped(self, member: Member, seconds: float, then: float = 0.0) -> bool:
        stopped = member.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        member.signal(signal.SIGCONT)
        await asyncio.sleep(then)
        return stopped

    async def _fill(self, action: Action) -> bool:
        full = await self._fleet.fill_disk(action.target)
        await asyncio.sleep(action.seconds)
        await self._fleet.make_room(action.target)
        return full

    async def _add(self, action: Action) -> bool:
        role = self._fleet.members[action.target].role
        away = [member for member in self._fleet.workers if member.role == role and not member.wanted]
        for member in away[:1]:
            member.wanted = True
        return bool(away)

    async def _remove(self, action: Action) -> bool:
        there = self._fleet.members[action.target].wanted
        if there:
            await self._fleet.remove(action.target)
        return there

    async def _cut(self, action: Action) -> bool:
        return await self._troubled(action, Link.cut)

    async def _slow(self, action: Action) -> bool:
        return await self._troubled(action, lambda link: link.slow(_SLOWNESS))

    async def _hold(self, action: Action) -> bool:
        return await self._troubled(action, lambda link: link.hold(DIRECTIONS[action.variant // 2]))

    async def _troubled(self, action: Action, trouble: Callable[[Link], None]) -> bool:
        member = self._fleet.members[action.target]
        # The join never talks to ClickHouse: its second link has no one to trouble.
        link = member.links[action.variant % 2 if member.role == "store" else 0]
        trouble(link)
        await asyncio.sleep(action.seconds)
        link.heal()
        return member.wanted

    async def _burst(self, action: Action) -> bool:
        self._load.burst(_BURST)
        return True


__all__ = ["Storm"]
