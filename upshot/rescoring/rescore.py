"""Deferred code, run again from its top over what has happened: nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Raw
from msgspec.structs import replace

from upshot.followups.engine import execute
from upshot.followups.scorers import Scorer
from upshot.processors.correlate.decide import correlate, expire
from upshot.processors.correlate.facts import ScoreRevised, WaitReceived
from upshot.processors.correlate.state import TOLERANCE, StoredOutcome, Subject
from upshot.processors.followups.answers import answer_of, question_of
from upshot.processors.followups.execution import (
    DeferMore,
    EmitScore,
    Execution,
    FollowupSpec,
    KeepResult,
    OpenWait,
    SetTimer,
    Snapshot,
    WaitAnswer,
)
from upshot.rescoring.past import Past
from upshot.schemas.subjects import folded
from upshot.streams.events.instants import Micros

#: Follow-ups that are read, run and answered together, and how many of them run at a time.
AT_ONCE = 1_000
CONCURRENCY = 100

#: `done`: its code ended. `waiting`: for an event or a time that is still to come. `steps`: for the result of a step
#: that isn't recorded and wasn't to be run. `failed`: it raised.
Ending = Literal["done", "waiting", "steps", "failed"]
#: The results of steps, by follow-up and step.
Results = Mapping[str, Mapping[str, Raw]]


@dataclass(frozen=True)
class Rescored:
    """What the code says of one follow-up now. `steps` are the names of those whose results are missing."""

    origin: FollowupSpec
    ending: Ending
    given: Mapping[str, EmitScore] = field(default_factory=dict)
    deferred: int = 0
    steps: Sequence[str] = ()
    error: str | None = None


async def rescore(
    scorer: Scorer[Any, Any],
    ids: Sequence[str],
    past: Past,
    now: Micros,
    *,
    run_steps: bool = False,
    tolerance: Micros = TOLERANCE,
    results: Callable[[Sequence[str]], Results] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Rescored]:
    """Run `scorer` for each of these follow-ups, as if it had been deferred instead of the code that was.

    Waits are answered by the join, from all outcomes that are stored; their time has run out where it has at `now`.
    A step is never run unless `run_steps` says so: its recorded result, from `results`, is given, or the follow-up
    ends as `steps`. `tolerance` is the setting `since_tolerance`, in microseconds. `progress` is told how many are done.
    """
    rescored: list[Rescored] = []
    for first in range(0, len(ids), AT_ONCE):
        part = ids[first : first + AT_ONCE]
        origins = await asyncio.to_thread(past.origins, scorer.name, part)
        memories = [Snapshot(replace(origin, version=scorer.version)) for origin in origins]
        played = [_Played(scorer, memory, now, run_steps, tolerance) for memory in memories]
        await _settle(played, past)
        if results is not None and (needy := [one for one in played if one.steps]):
            found = await asyncio.to_thread(results, [one.memory.origin.followup_id for one in needy])
            for one in needy:
                one.remember(found.get(one.memory.origin.followup_id, {}))
            await _settle([one for one in needy if not one.settled], past)
        rescored += [one.rescored for one in played]
        progress(len(rescored))
    return rescored


async def _settle(played: Iterable[_Played], past: Past) -> None:
    """Run each until nothing that is known takes it any further."""
    room = asyncio.Semaphore(CONCURRENCY)

    async def run(one: _Played) -> None:
        async with room:
            await one.run()

    going = list(played)
    known: dict[str, Sequence[StoredOutcome]] = {}
    while going:
        await asyncio.gather(*(run(one) for one in going))
        wanted = {subject for one in going for subject in one.subjects} - known.keys()
        if wanted:
            found = await asyncio.to_thread(past.outcomes, wanted)
            known |= {subject: found.get(subject, ()) for subject in wanted}
        going = [one for one in going if one.hear(known)]


class _Played:
    """One follow-up while it's played."""

    def __init__(
        self, scorer: Scorer[Any, Any], memory: Snapshot, now: Micros, run_steps: bool, tolerance: Micros
    ) -> None:
        self.memory = memory
        self.steps: dict[str, str] = {}
        self.settled = False
        self._scorer = scorer
        self._now = now
        self._run_steps = run_steps
        self._tolerance = tolerance
        self._last = Execution("waiting")

    async def run(self) -> None:
        """Run the code with what is known."""
        self.steps = {}
        self._last = await execute(self._scorer, self.memory, not_run=None if self._run_steps else self.steps)
        # What was run once isn't run again when the code goes on.
        gained = {command.step_id: command.result for command in self._asked(KeepResult)}
        self.memory = replace(self.memory, results={**self.memory.results, **gained})

    @property
    def subjects(self) -> list[str]:
        """What it waits for news about, as it's spelled and as it's joined."""
        return [spelling for wait in self._waits() for spelling in _spellings(wait.subject)]

    def hear(self, known: Mapping[str, Sequence[StoredOutcome]]) -> bool:
        """Take the answers that there are; whether there was any."""
        answers: dict[str, WaitAnswer] = {}
        for wait in self._waits():
            outcomes = [o for spelling in _spellings(wait.subject) for o in known.get(spelling, ())]
            answer = self._answer(wait, outcomes)
            if answer is not None:
                answers[wait.wait_id] = answer
        for timer in self._asked(SetTimer):
            if timer.timer_id not in self.memory.answers and timer.due <= self._now:
                answers[timer.timer_id] = WaitAnswer(1, timer.due)
        self.settled = not answers
        if answers:
            self.memory = replace(self.memory, answers={**self.memory.answers, **answers})
        return bool(answers)

    def remember(self, results: Mapping[str, Raw]) -> None:
        """Take the results of steps that were run before."""
        useful = {step_id: results[step_id] for step_id in self.steps if step_id in results}
        self.settled = not useful
        # All of them: what the code asks for behind these is then at hand as well.
        self.memory = replace(self.memory, results={**self.memory.results, **results})

    @property
    def rescored(self) -> Rescored:
        """How it stands."""
        origin, last = self.memory.origin, self._last
        if last.ending in ("failed", "unfit"):
            return Rescored(origin, "failed", error=last.error)
        if self.steps:
            return Rescored(origin, "steps", steps=sorted(set(self.steps.values())))
        if last.ending == "waiting":
            return Rescored(origin, "waiting")
        given = {command.score_id: command for command in self._asked(EmitScore)}
        return Rescored(origin, "done", given, len(self._asked(DeferMore)))

    def _asked(self, kind: type[Any]) -> list[Any]:
        return [command for command in self._last.commands if isinstance(command, kind)]

    def _waits(self) -> list[OpenWait]:
        waits: list[OpenWait] = self._asked(OpenWait)
        return [wait for wait in waits if wait.wait_id not in self.memory.answers]

    def _answer(self, wait: OpenWait, known: Sequence[StoredOutcome]) -> WaitAnswer | None:
        """What the join says, once all outcomes are there and what has run out by now is judged."""
        subject = Subject({outcome.key: outcome for outcome in known})
        question = question_of(self.memory.origin, wait, self._tolerance)
        asked = correlate(subject, WaitReceived(wait.subject, question), self._now)
        judged = expire(wait.subject, asked.subject, self._now, self._now)
        found = [fact for fact in (*asked.facts, *judged.facts) if isinstance(fact, ScoreRevised)]
        return answer_of(found[-1], judged.subject) if found else None


def _spellings(subject: str) -> list[str]:
    return list(dict.fromkeys((subject, folded(subject))))


__all__ = ["AT_ONCE", "CONCURRENCY", "Ending", "Rescored", "Results", "rescore"]
