"""A follow-up played through in milliseconds: the real code and the real join, on a clock that a test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from upshot.errors import Misuse
from upshot.followups.engine import execute
from upshot.followups.loops import LoopThread
from upshot.followups.scorers import Scorer
from upshot.processors.correlate import Arrival, Asked, Fact, Observed, Scored, correlate, judge
from upshot.processors.deadlines import Horizons, next_look
from upshot.processors.followups.answering import answer_of, question_of
from upshot.processors.followups.execution import (
    Answer,
    DeferMore,
    Execution,
    Give,
    KeepResult,
    Memory,
    OpenWait,
    Origin,
    SetTimer,
)
from upshot.processors.state import Known, Subject
from upshot.schemas.ids import fact_id
from upshot.schemas.outcomes import Outcome
from upshot.streams.instants import MICROSECOND, Micros, instant, micros

T = TypeVar("T")

_START = datetime(2026, 1, 1, 12, tzinfo=UTC)
#: Nothing is forgotten, and deadlines are judged at once.
_FOR_EVER = timedelta(days=1_000_000)
_HORIZONS = Horizons(_FOR_EVER, _FOR_EVER, timedelta(0))


class Rehearsal:
    """A follow-up in a test, made by `followup`: tell outcomes and let time pass, then look at its scores.

    A look at what a failed follow-up gave raises AssertionError with what its code raised; `status` and `error`
    tell it without that.
    """

    def __init__(self, scorer: Scorer[Any, Any], origin: Origin, thread: LoopThread) -> None:
        self._scorer = scorer
        self._thread = thread
        self._memory = Memory(origin)
        self._now: Micros = origin.deferred_at
        self._told = 0
        self._subjects: dict[str, Subject] = {}
        self._timers: dict[str, Micros] = {}
        self._revisions: list[Give] = []
        self._current: dict[str, Give] = {}
        self._last = Execution("waiting")
        self._run()

    @property
    def now(self) -> datetime:
        """The time in this test."""
        return instant(self._now)

    @property
    def status(self) -> str:
        """`waiting` for news, `done`, `failed` (it raised), or `unfit`: this isn't the code that began."""
        return self._last.ending

    @property
    def error(self) -> str | None:
        """What its code raised, and where."""
        return self._last.error

    @property
    def scores(self) -> dict[str, bool | float]:
        """The scores as they are now, by name; those with a key as `name[key]`."""
        self._look()
        return {_name_of(score): score.value for score in self._current.values()}

    @property
    def given(self) -> list[dict[str, Any]]:
        """The scores as they are now, with all that is said of them."""
        self._look()
        return [_score(score) for score in self._current.values()]

    def revisions(self, name: str) -> list[bool | float]:
        """The values that a score has had, in the order in which they were given."""
        return [score.value for score in self._revisions if _name_of(score) == name]

    @property
    def waiting_for(self) -> list[dict[str, Any]]:
        """What it waits for: `types`, `subject` and `until`; of a sleep only `until`."""
        self._look()
        open_waits: list[dict[str, Any]] = []
        for command in self._last.commands:
            if isinstance(command, OpenWait) and command.wait_id not in self._memory.answers:
                until = instant(command.deadline)
                open_waits.append({"types": [*command.on], "subject": command.subject, "until": until})
            elif isinstance(command, SetTimer) and command.timer_id not in self._memory.answers:
                open_waits.append({"until": instant(command.due)})
        return open_waits

    @property
    def deferred(self) -> list[dict[str, Any]]:
        """What it deferred itself: `scorer`, `version` and `data`."""
        self._look()
        more = [command.origin for command in self._last.commands if isinstance(command, DeferMore)]
        return [{"scorer": o.scorer, "version": o.version, "data": json.loads(bytes(o.data))} for o in more]

    def outcome(
        self,
        type: str,
        subject: str,
        data: Any = None,
        *,
        at: datetime | None = None,
        id: str | None = None,
        source: str = "test",
    ) -> None:
        """Something is told now that happened at `at`, now where absent. Told again with one `id` it's the same."""
        self._told += 1
        happened = self.now if at is None else at
        if happened > self.now:
            raise Misuse(f"at={at} is still to come: write f.advance(…) first, it is {self.now.isoformat()}")
        said = Outcome(
            type=type,
            subject=subject,
            data=data,
            id=id or f"outcome-{self._told}",
            source=source,
            time=happened,
        )
        known = Known(
            said.id or "",
            said.type,
            micros(happened),
            self._now,
            0,
            self._told,
            source,
            Raw(msgspec.json.encode(said.model_dump(mode="json")["data"])),
        )
        if self._apply([Observed(subject, known)]):
            self._run()

    def advance(self, length: timedelta) -> None:
        """Let time pass: what runs out meanwhile does so in its order."""
        until = self._now + length // MICROSECOND
        while (due := self._next()) is not None and due <= until:
            self._now = max(self._now, due)
            if self._judge():
                self._run()
        self._now = until

    def retry(self) -> None:
        """Run its code again with what is known, as after a failure or a crash."""
        self._run()

    def deploy(self, scorer: Scorer[T, Any]) -> None:
        """Go on with changed code: `status` is then `unfit` where that needs a version of its own."""
        self._scorer = scorer
        self._run()

    def _run(self) -> None:
        """Run the code, ask what it asks, and again as long as that is answered at once."""
        again = True
        while again:
            running = asyncio.run_coroutine_threadsafe(execute(self._scorer, self._memory), self._thread.loop)
            self._last = running.result()
            again = self._take(self._last)

    def _take(self, execution: Execution) -> bool:
        """Do what an execution asks for; whether an answer was there already."""
        results = dict(self._memory.results)
        asked: list[Arrival] = []
        given: dict[str, Give] = {}
        for command in execution.commands:
            if isinstance(command, KeepResult):
                results[command.step_id] = command.result
            elif isinstance(command, OpenWait):
                asked.append(Asked(command.subject, question_of(self._memory.origin, command)))
            elif isinstance(command, SetTimer):
                self._timers[command.timer_id] = command.due
            elif isinstance(command, Give):
                given[command.score_id] = command
        path = execution.path if execution.ending in ("waiting", "done") else self._memory.path
        self._memory = msgspec.structs.replace(self._memory, results=results, path=path)
        self._announce(given, whole=execution.ending == "done")
        heard = self._apply(asked)
        return self._judge() or heard

    def _announce(self, given: Mapping[str, Give], *, whole: bool) -> None:
        for ident, score in given.items():
            before = self._current.get(ident)
            if before is None or (before.value, type(before.value)) != (score.value, type(score.value)):
                self._revisions.append(score)
        self._current = dict(given) if whole else {**self._current, **given}

    def _apply(self, arrivals: list[Arrival]) -> bool:
        """Have the join take them; whether it answered anything anew."""
        news = False
        for arrival in arrivals:
            step = correlate(self._subjects.get(arrival.subject, Subject()), arrival, self._now)
            self._subjects[arrival.subject] = step.subject
            news = self._hear(step.facts) or news
        return news

    def _judge(self) -> bool:
        """Have deadlines judged that have come; whether that answered anything."""
        news = False
        for key, subject in list(self._subjects.items()):
            step = judge(key, subject, self._now, self._now)
            self._subjects[key] = step.subject
            news = self._hear(step.facts) or news
        for timer_id, due in self._timers.items():
            if due <= self._now and timer_id not in self._memory.answers:
                news = self._answer(timer_id, Answer(1, due)) or news
        return news

    def _hear(self, facts: tuple[Fact, ...]) -> bool:
        news = False
        for fact in facts:
            if isinstance(fact, Scored):
                answer = answer_of(fact, self._subjects[fact.subject])
                news = self._answer(fact.question.wait_id, answer) or news
        return news

    def _answer(self, wait_id: str, answer: Answer) -> bool:
        before = self._memory.answers.get(wait_id)
        if before is not None and before.revision >= answer.revision:
            return False
        answers = {**self._memory.answers, wait_id: answer}
        self._memory = msgspec.structs.replace(self._memory, answers=answers)
        return True

    def _next(self) -> Micros | None:
        looks = [next_look(subject, _HORIZONS) for subject in self._subjects.values()]
        timers = [due for timer, due in self._timers.items() if timer not in self._memory.answers]
        return min([*(look for look in looks if look is not None), *timers], default=None)

    def _look(self) -> None:
        if self._last.ending in ("failed", "unfit"):
            raise AssertionError(f"the follow-up is {self._last.ending}: {self._last.error}")


@contextmanager
def followup(
    scorer: Scorer[T, Any],
    data: T,
    *,
    run_id: str = "run-1",
    step_id: str | None = None,
    agent: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    deferred_at: datetime = _START,
    run_started_at: datetime | None = None,
) -> Iterator[Rehearsal]:
    """Defer `scorer` with `data` in a test. Its code runs at once, and whenever an outcome or time brings news.

    Its code runs in an event loop of its own, as it does in a worker.
    """
    origin = Origin(
        fact_id("followup", run_id, step_id or "", scorer.name, scorer.version, "rehearsal"),
        run_id,
        scorer.name,
        scorer.version,
        micros(deferred_at),
        micros(run_started_at or deferred_at),
        Raw(scorer.write(data)),
        step_id,
        agent,
        attributes=Raw(msgspec.json.encode(attributes or {})),
    )
    thread = LoopThread("upshot-rehearsal")
    try:
        yield Rehearsal(scorer, origin, thread)
    finally:
        thread.stop()


def _name_of(score: Give) -> str:
    return score.name if score.key is None else f"{score.name}[{score.key}]"


def _score(score: Give) -> dict[str, Any]:
    said = {"name": score.name, "value": score.value, "at": instant(score.at)}
    more = {"step_id": score.step_id, "comment": score.comment, "key": score.key}
    return said | {name: value for name, value in more.items() if value is not None}


__all__ = ["Rehearsal", "followup"]
