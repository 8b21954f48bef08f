"""A follow-up played through in milliseconds: its code, the join and all decisions are a worker's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import replace

from upshot.errors import Misuse
from upshot.followups.engine import execute
from upshot.followups.loops import LoopThread
from upshot.followups.scorers import Scorer
from upshot.processors.followups.decide import Patience, arrive, end, keep_results, wake_timers
from upshot.processors.followups.decode import read_deferred
from upshot.processors.followups.encode import encode_wait, encode_wait_cancellation
from upshot.processors.followups.execution import Execution
from upshot.processors.followups.facts import (
    Arrival,
    DeferralCancelled,
    DeferredMore,
    Fact,
    Opened,
    ScoreEmitted,
    WaitCancelled,
)
from upshot.processors.followups.state import EmittedScore, FollowupState, memory_of
from upshot.sdk.facts import deferral_message, outcome_message
from upshot.streams.events.instants import MICROSECOND, Micros, instant, micros
from upshot.testing.world import RecordedEvent, World

T = TypeVar("T")

_START = datetime(2026, 1, 1, 12, tzinfo=UTC)
_SECOND = 1_000_000
#: A worker's default.
_PATIENCE = Patience(5, _SECOND, 300 * _SECOND)


class Rehearsal:
    """A follow-up in a test, made by `followup`: report outcomes and let time pass, then look at its scores.

    A look at the results of a failed follow-up raises AssertionError with the code's error; `status` and
    `error` tell without raising.
    """

    def __init__(
        self, scorer: Scorer[Any, Any], deferral: bytes, deferred_at: datetime, thread: LoopThread
    ) -> None:
        self._scorer = scorer
        self._thread = thread
        self._world = World()
        self._now: Micros = micros(deferred_at)
        self._state = FollowupState()
        self._reported = 0
        self._last = Execution("waiting")
        self._revisions: list[EmittedScore] = []
        self._deferred: dict[str, dict[str, Any]] = {}
        record = RecordedEvent("deferrals", deferral, self._now // 1000)
        self._hear([read_deferred(record, self._now)])

    @property
    def now(self) -> datetime:
        """The time in this test."""
        return instant(self._now)

    @property
    def status(self) -> str:
        """`waiting`, `done`, `failed` (the code raised), or `unfit`: this isn't the code of the beginning."""
        return self._last.ending

    @property
    def error(self) -> str | None:
        """The error raised by its code, and where."""
        return self._last.error

    @property
    def scores(self) -> dict[str, bool | float]:
        """The current scores, by name; a score with a key as `name[key]`."""
        return {_name_of(emitted): emitted.value for emitted in self._current() if emitted.value is not None}

    @property
    def given(self) -> list[dict[str, Any]]:
        """The current scores, with all their fields."""
        return [_score(emitted) for emitted in self._current() if emitted.value is not None]

    def revisions(self, name: str) -> list[bool | float | None]:
        """The successive values of a score; None where the score was withdrawn."""
        return [emitted.value for emitted in self._revisions if _name_of(emitted) == name]

    @property
    def waiting_for(self) -> list[dict[str, Any]]:
        """The open waits, the earliest end first: `types`, `subject` and `until`; of a sleep only `until`."""
        self._look()
        waits: list[dict[str, Any]] = []
        for asked in self._state.waiting_for:
            what = {} if asked.subject is None else {"types": [*asked.types], "subject": asked.subject}
            waits.append({**what, "until": instant(asked.deadline)})
        return waits

    @property
    def deferred(self) -> list[dict[str, Any]]:
        """The follow-ups deferred by its code, not run here: `id`, `scorer`, `version` and `data`."""
        self._look()
        return list(self._deferred.values())

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
        """Report an outcome with the time `at`, now where absent. The same `id` means the same outcome."""
        self._reported += 1
        happened = self.now if at is None else at
        if happened > self.now:
            raise Misuse(f"at={at} is still to come: write f.advance(…) first, it is {self.now.isoformat()}")
        ident = id or f"outcome-{self._reported}"
        message = outcome_message(
            type=type, subject=subject, data=data, id=ident, source=source, time=happened
        )
        self._hear(self._world.tell(message.value, self._now))

    def advance(self, length: timedelta) -> None:
        """Let time pass: deadlines and timers expire in their order, and failed code is tried again."""
        until = self._now + length // MICROSECOND
        while (due := self._next()) is not None and due <= until:
            self._now = max(self._now, due)
            self._look_at_clock()
        self._now = until

    def retry(self) -> None:
        """Run its code again with the present snapshot, as after a crash."""
        self._state = replace(self._state, run_at=self._now)
        self._run()

    def deploy(self, scorer: Scorer[T, Any]) -> None:
        """Go on with changed code: `status` is then `unfit` where the change needs a version of its own."""
        self._scorer = scorer
        self.retry()

    def _look_at_clock(self) -> None:
        timer = self._state.next_timer
        if timer is not None and timer <= self._now:
            self._state = wake_timers(self._state, self._now).state
        self._hear(self._world.judge(self._now))

    def _hear(self, news: Iterable[Arrival]) -> None:
        for arrival in news:
            self._state = arrive(self._state, arrival, self._now).state
        self._run()

    def _run(self) -> None:
        """Run the code where there is cause, and carry out its effects: an answer may be there at once."""
        while self._state.run_at is not None and self._state.run_at <= self._now:
            memory = memory_of(self._state)
            assert memory is not None
            running = asyncio.run_coroutine_threadsafe(execute(self._scorer, memory), self._thread.loop)
            self._last = running.result()
            stored = keep_results(self._state, self._state.known, self._last)
            moved = end(stored, stored.known, self._last, self._now, _PATIENCE)
            self._state = moved.state
            for fact in moved.facts:
                self._announce(fact)
            self._look_at_clock()

    def _announce(self, fact: Fact) -> None:
        if isinstance(fact, ScoreEmitted):
            self._revisions.append(fact.emitted)
        elif isinstance(fact, DeferredMore):
            more = fact.origin
            data = json.loads(bytes(more.data))
            emitted = {"id": more.followup_id, "scorer": more.scorer, "version": more.version, "data": data}
            self._deferred[more.followup_id] = emitted
        elif isinstance(fact, DeferralCancelled):
            del self._deferred[fact.origin.followup_id]
        elif isinstance(fact, WaitCancelled):
            self._world.cancel(encode_wait_cancellation(fact), self._now)
        elif isinstance(fact, Opened):
            for arrival in self._world.ask(encode_wait(fact), self._now):
                self._state = arrive(self._state, arrival, self._now).state

    def _next(self) -> Micros | None:
        looks = (self._world.next_look(), self._state.next_timer, self._state.run_at)
        return min((look for look in looks if look is not None), default=None)

    def _current(self) -> Iterable[EmittedScore]:
        self._look()
        return self._state.scores.values()

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
    """Defer `scorer` with `data` in a test. Its code runs at once, and on news from outcomes or time.

    Its code runs in an event loop of its own, as in a worker.
    """
    message, _ = deferral_message(
        scorer,
        data,
        call="rehearsal",
        run_id=run_id,
        step_id=step_id,
        key=None,
        agent=agent,
        attributes=attributes,
        deferred_at=deferred_at,
        since=run_started_at or deferred_at,
    )
    thread = LoopThread("upshot-rehearsal")
    try:
        yield Rehearsal(scorer, message.value, deferred_at, thread)
    finally:
        thread.stop()


def _name_of(emitted: EmittedScore) -> str:
    return emitted.name if emitted.key is None else f"{emitted.name}[{emitted.key}]"


def _score(emitted: EmittedScore) -> dict[str, Any]:
    facts = {
        "name": emitted.name,
        "value": emitted.value,
        "reason": emitted.reason,
        "at": instant(emitted.at),
    }
    more = {"step_id": emitted.step_id, "comment": emitted.comment, "key": emitted.key}
    return facts | {name: value for name, value in more.items() if value is not None}


__all__ = ["Rehearsal", "followup"]
