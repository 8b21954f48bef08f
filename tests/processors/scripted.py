"""Deferred code as plain functions of what is known, and a way to run it.

The contract of executions, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from upshot.processors.followups.execution import (
    Command,
    DeferMore,
    EmitScore,
    Execution,
    FollowupSpec,
    HistoryEntry,
    KeepResult,
    OpenWait,
    SetTimer,
    Snapshot,
    WaitAnswer,
)
from upshot.schemas.ids import fact_id
from upshot.streams.events.instants import Micros

SECOND = 1_000_000


class Suspended(BaseException):
    """The code needs an answer that isn't known yet."""


class Script:
    """What a scripted scorer can do. `ran` notes the steps that really ran."""

    def __init__(self, memory: Snapshot, ran: list[str]) -> None:
        self.memory = memory
        self.origin = memory.origin
        self.ran = ran
        self.commands: list[Command] = []
        self.path: list[HistoryEntry] = []
        self.now = memory.origin.deferred_at
        self.heard: WaitAnswer | None = None
        self._counts: dict[str, int] = {}

    def wait(self, kind: str, subject: str, within: Micros, when: str | None = None) -> WaitAnswer:
        shape = f"{kind} {subject} {self.now} {within}"
        key, wait_id = self._named("wait", shape)
        wait = OpenWait(wait_id, subject, {kind: when}, self.now, self.origin.since, self.now + within)
        self.commands.append(wait)
        return self._answer(key, shape, wait_id)

    def sleep(self, length: Micros) -> None:
        shape = f"{self.now} {length}"
        key, timer_id = self._named("timer", shape)
        self.commands.append(SetTimer(timer_id, self.now + length))
        self._answer(key, shape, timer_id)

    def step(self, name: str, value: Any) -> Any:
        _, step_id = self._named("step", name)
        known = self.memory.results.get(step_id)
        if known is None:
            self.ran.append(name)
            known = Raw(msgspec.json.encode(value))
        self.commands.append(KeepResult(step_id, known))
        return msgspec.json.decode(known)

    def score(self, name: str, value: bool | float) -> None:
        score_id = fact_id("score", self.origin.followup_id, name)
        self.commands.append(EmitScore(score_id, name, value, self.now, answer=self.heard))

    def defer(self, scorer: str, data: Any) -> None:
        by = "" if scorer == "shared" else self.origin.followup_id
        scorer = scorer.replace("shared", "stayed_closed")
        followup_id = fact_id("deferred", by, scorer)
        raw = Raw(msgspec.json.encode(data))
        more = msgspec.structs.replace(
            self.origin, followup_id=followup_id, scorer=scorer, data=raw, deferred_at=self.now
        )
        self.commands.append(DeferMore(more))

    @property
    def data(self) -> Any:
        return msgspec.json.decode(self.origin.data)

    def _named(self, kind: str, shape: str) -> tuple[str, str]:
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        key = f"{kind}:{number}"
        return key, fact_id(self.origin.followup_id, key, shape)

    def _answer(self, key: str, shape: str, asked: str) -> WaitAnswer:
        answer = self.memory.answers.get(asked)
        self.path.append(HistoryEntry(key, shape, answer.revision if answer else 0))
        if answer is None:
            raise Suspended
        self.heard = answer
        self.now = max(self.now, answer.event.time if answer.event else answer.at)
        return answer


Scorer = Callable[[Script], None]


def execute(scorer: Scorer, memory: Snapshot, ran: list[str] | None = None) -> Execution:
    """Run the code once."""
    script = Script(memory, [] if ran is None else ran)
    try:
        scorer(script)
    except Suspended:
        return Execution("waiting", tuple(script.commands), tuple(script.path))
    except Exception as error:  # noqa: BLE001 - somebody's code: whatever it raises, it failed
        text = f"{type(error).__name__}: {error}"
        return Execution("failed", tuple(script.commands), tuple(script.path), text)
    return Execution("done", tuple(script.commands), tuple(script.path))


class PlainExecutor:
    """An Executor that runs scripted scorers at once.

    What is in `holding` ends only when it's taken out there.
    """

    def __init__(self, scorers: dict[tuple[str, str], Scorer], room: int = 100) -> None:
        self.scorers = scorers
        self.ran: list[str] = []
        self.started: list[str] = []
        self.holding: set[str] = set()
        self._room = room
        self._ended: dict[str, Execution] = {}

    def knows(self, scorer: str, version: str) -> bool:
        return (scorer, version) in self.scorers

    def start(self, memory: Snapshot) -> None:
        origin = memory.origin
        assert origin.followup_id not in self._ended, "one execution at a time"
        self.started.append(origin.followup_id)
        code = self.scorers[origin.scorer, origin.version]
        self._ended[origin.followup_id] = execute(code, memory, self.ran)

    def finished(self) -> Sequence[tuple[str, Execution]]:
        found = [(key, ended) for key, ended in self._ended.items() if key not in self.holding]
        for key, _ in found:
            del self._ended[key]
        return found

    def forget(self, followup_id: str) -> None:
        self._ended.pop(followup_id, None)

    def room(self) -> int:
        return self._room - len(self._ended)

    def running(self) -> Sequence[tuple[str, Micros]]:
        return [(key, 0) for key in self._ended]

    def close(self) -> None:
        self._ended = {}


def stayed_closed(script: Script) -> None:
    """One wait."""
    answer = script.wait("reopened", f"ticket:{script.data}", 100)
    script.score("stayed_closed", answer.event is None)


def progress(script: Script) -> None:
    """A score before anything is heard, replaced or withdrawn by what comes."""
    script.score("progress", 0.0)
    if script.wait("reopened", "ticket:1", 50).event is None:
        script.score("progress", 1.0)
        script.score("quiet", True)
        return
    judged = script.step("judge", 0.5)
    later = script.wait("closed", "ticket:1", 60)
    if later.event is not None:
        script.score("progress", judged)
        script.score("hours", float(later.event.time))


def patient(script: Script) -> None:
    """Sleeps, then defers more about what came."""
    script.sleep(20)
    answer = script.wait("closed", "ticket:2", 30)
    if answer.event is not None:
        script.defer("stayed_closed", 2)
    script.score("closed", answer.event is not None)


def escalating(script: Script) -> None:
    """Defers what defers another, because of what came."""
    if script.wait("closed", "ticket:1", 60).event is not None:
        script.score("escalated", True)
        script.defer("patient", 1)
        if script.wait("reopened", "ticket:2", 40).event is None:
            script.defer("progress", 1)
    elif script.wait("reopened", "ticket:1", 80).event is not None:
        script.defer("shared", 1)


def following(script: Script) -> None:
    """Defers the same follow-up as `escalating` may, because of something else."""
    if script.wait("closed", "ticket:2", 90).event is not None:
        script.defer("shared", 1)


SCORERS: dict[tuple[str, str], Scorer] = {
    ("stayed_closed", "1"): stayed_closed,
    ("progress", "1"): progress,
    ("patient", "1"): patient,
    ("escalating", "1"): escalating,
    ("following", "1"): following,
}


def origin(scorer: str, followup_id: str = "f", data: Any = 1, at: Micros = 10, **more: Any) -> FollowupSpec:
    """What was deferred."""
    raw = Raw(msgspec.json.encode(data))
    return FollowupSpec(followup_id, "r1", scorer, "1", at, at, raw, **more)


__all__ = [
    "SCORERS",
    "SECOND",
    "PlainExecutor",
    "Scorer",
    "Script",
    "execute",
    "origin",
    "patient",
    "progress",
    "stayed_closed",
]
