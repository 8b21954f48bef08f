"""Deferred code, run again from its top over the stored outcomes: nothing is written."""

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
from upshot.processors.followups.answers import answer_of, as_stored_wait
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

#: Follow-ups read, run and answered together, and how many of these run at a time.
AT_ONCE = 1_000
CONCURRENCY = 100

#: `done`: the code ended. `waiting`: for an event or a time still to come. `steps`: for the result of a step
#: neither recorded nor to be run. `failed`: the code raised.
Ending = Literal["done", "waiting", "steps", "failed"]
#: The results of steps, by follow-up and step.
Results = Mapping[str, Mapping[str, Raw]]


@dataclass(frozen=True)
class Rescored:
    """The new result of a follow-up. `steps` are the names of steps with missing results."""

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
    """Run `scorer` for each of these follow-ups, as if deferred instead of the original code.

    Waits are answered by the join, from all stored outcomes; deadlines before `now` have passed. A step's
    recorded result, from `results`, is given. A step without a recorded result is run where `run_steps` is
    set; else the follow-up ends as `steps`. `tolerance` is the setting `since_tolerance`, in microseconds.
    `progress` receives the number of follow-ups done.
    """
    rescored: list[Rescored] = []
    for first in range(0, len(ids), AT_ONCE):
        part = ids[first : first + AT_ONCE]
        origins = await asyncio.to_thread(past.origins, scorer.name, part)
        memories = [Snapshot(replace(origin, version=scorer.version)) for origin in origins]
        played = [_Played(scorer, memory, now, tolerance) for memory in memories]
        await _settle(played, past)
        if results is not None and (needy := [one for one in played if one.steps]):
            found = await asyncio.to_thread(results, [one.memory.origin.followup_id for one in needy])
            for one in needy:
                one.remember(found.get(one.memory.origin.followup_id, {}))
            await _settle([one for one in needy if not one.settled], past)
        if run_steps and (lacking := [one for one in played if one.steps]):
            for one in lacking:
                one.runs_steps = True
            await _settle(lacking, past)
        rescored += [one.rescored for one in played]
        progress(len(rescored))
    return rescored


async def _settle(played: Iterable[_Played], past: Past) -> None:
    """Run each follow-up until no known outcome takes the code any further."""
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
    """A follow-up while its code is run."""

    def __init__(self, scorer: Scorer[Any, Any], memory: Snapshot, now: Micros, tolerance: Micros) -> None:
        self.memory = memory
        #: Whether steps without a result are run, once the recorded results are at hand.
        self.runs_steps = False
        self.steps: dict[str, str] = {}
        self.settled = False
        self._scorer = scorer
        self._now = now
        self._tolerance = tolerance
        self._last = Execution("waiting")

    async def run(self) -> None:
        """Run the code with the present snapshot."""
        self.steps = {}
        self._last = await execute(self._scorer, self.memory, not_run=None if self.runs_steps else self.steps)
        # A step run once isn't run again when the code goes on.
        gained = {command.step_id: command.result for command in self._asked(KeepResult)}
        self.memory = replace(self.memory, results={**self.memory.results, **gained})

    @property
    def subjects(self) -> list[str]:
        """The subjects of open waits, as spelled and as joined."""
        return [spelling for wait in self._waits() for spelling in _spellings(wait.subject)]

    def hear(self, known: Mapping[str, Sequence[StoredOutcome]]) -> bool:
        """Take the available answers; whether there was any."""
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
        """Take the recorded results of steps."""
        useful = {step_id: results[step_id] for step_id in self.steps if step_id in results}
        self.settled = not useful
        # All results: those of later steps are then at hand as well.
        self.memory = replace(self.memory, results={**self.memory.results, **results})

    @property
    def rescored(self) -> Rescored:
        """The result at this point."""
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
        """The join's answer, from all outcomes, once passed deadlines are evaluated."""
        subject = Subject({outcome.key: outcome for outcome in known})
        stored_wait = as_stored_wait(self.memory.origin, wait, self._tolerance)
        asked = correlate(subject, WaitReceived(wait.subject, stored_wait), self._now)
        judged = expire(wait.subject, asked.subject, self._now, self._now)
        found = [fact for fact in (*asked.facts, *judged.facts) if isinstance(fact, ScoreRevised)]
        return answer_of(found[-1], judged.subject) if found else None


def _spellings(subject: str) -> list[str]:
    return list(dict.fromkeys((subject, folded(subject))))


__all__ = ["AT_ONCE", "CONCURRENCY", "Ending", "Rescored", "Results", "rescore"]
