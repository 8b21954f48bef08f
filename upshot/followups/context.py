"""The context of deferred code: its data, its own clock, and the ways to wait, to run steps and to score."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, TypeVar, overload

from msgspec import Raw

from upshot.errors import Misuse
from upshot.followups.branches import Branch, time_of
from upshot.followups.deferrable import Deferrable
from upshot.followups.events import (
    Event,
    Expected,
    after_of,
    beginning_of,
    conditions,
    event_of,
    expect,
    length_of,
)
from upshot.followups.giving import LONGEST_ID, check_text, made
from upshot.followups.replay import Replay, WaitRequest, short
from upshot.followups.steps import StepResult, arguments_shape, call, run_step
from upshot.processors.correlate.state import in_sequence
from upshot.processors.followups.execution import FollowupSpec, KeepResult, WaitAnswer
from upshot.schemas.deferrals import deferral_id
from upshot.schemas.ids import fact_id
from upshot.streams.events.instants import Micros, instant

T = TypeVar("T")
D = TypeVar("D")
P = ParamSpec("P")
R = TypeVar("R")

_EXAMPLE = "timeout=timedelta(days=7)"


class Followup(Generic[T]):
    """One piece of deferred work on a run, as seen by its code.

    The code is run from its top at each new answer. Answers to its waits and results of its steps are then at
    hand at once, so the code soon continues at its last place. In between, the code must do the same each
    time: anything variable (the time, a random number, other systems) belongs into a step.
    """

    def __init__(self, replay: Replay, data: T) -> None:
        self._replay = replay
        self._data = data

    @property
    def data(self) -> T:
        """The data handed over with the deferral."""
        return self._data

    @property
    def id(self) -> str:
        """The follow-up's id."""
        return self._replay.origin.followup_id

    @property
    def run_id(self) -> str:
        """The id of the run being followed up."""
        return self._replay.origin.run_id

    @property
    def step_id(self) -> str | None:
        """The step being followed up, if not the whole run; the scores belong to this step."""
        return self._replay.origin.step_id

    @property
    def agent(self) -> str | None:
        """The run's agent."""
        return self._replay.origin.agent

    @property
    def attributes(self) -> dict[str, Any]:
        """Facts inherited by the follow-up's scores."""
        found: dict[str, Any] = json.loads(bytes(self._replay.origin.attributes))
        return found

    def now(self) -> datetime:
        """The follow-up's own clock: when the work was deferred, then the times of answers and ended sleeps.

        The clock doesn't depend on when the code is run, or how often.
        """
        return instant(self._replay.here(asks=False).now())

    async def wait_for_event(
        self,
        type: str | Sequence[str],
        *,
        subject: str,
        timeout: timedelta,
        when: str | None = None,
        since: datetime | Event | None = None,
    ) -> Event | None:
        """Wait for the first event of a type, or of several, about a subject; None where none came in time.

        First is meant by the events' own time. Events about `subject` count from the run's start, or from
        `since`: an instant, or an event to be followed. `timeout` begins at `now()`. `when` is a JMESPath
        condition, such as `data.state == 'approved'`. An event inside the window reported later, even after
        the timeout, runs the code again with that event.
        """
        return await self.wait_for_any(
            [expect(type, subject=subject, when=when)], timeout=timeout, since=since
        )

    async def wait_for_any(
        self,
        expected: Sequence[Expected],
        *,
        timeout: timedelta,
        since: datetime | Event | None = None,
    ) -> Event | None:
        """Wait for whichever event comes first, by the events' own time; None where none came in time."""
        branch, answers = self._ask(expected, timeout, since)
        last_answer = [answer for answer in answers if answer is not None and answer.event is not None]
        if last_answer:
            first = min(last_answer, key=_in_time)
            branch.hear(first)
            return _event(first, since, expected)
        if any(answer is None for answer in answers):
            raise self._replay.suspend(branch, _words(expected))
        branch.hear(_last(answers))
        return None

    async def wait_for_all(
        self,
        expected: Sequence[Expected],
        *,
        timeout: timedelta,
        since: datetime | Event | None = None,
    ) -> list[Event] | None:
        """Wait for the first event of each, in the order of `expected`; None if any didn't come in time."""
        branch, answers = self._ask(expected, timeout, since)
        ran_out = [answer for answer in answers if answer is not None and answer.event is None]
        if ran_out:
            branch.hear(ran_out[0])
            return None
        if any(answer is None for answer in answers):
            raise self._replay.suspend(branch, _words(expected))
        branch.hear(_last(answers))
        return [_event(answer, since, expected) for answer in answers if answer is not None]

    async def sleep(self, length: timedelta) -> None:
        """Continue after this length of time, counted from `now()`."""
        branch = self._replay.here()
        if length == timedelta(0):
            return
        due = branch.now() + length_of(length, "ctx.sleep(timedelta(days=1))")
        answer = self._replay.set_timer(branch, due)
        if answer is None:
            raise self._replay.suspend(branch, f"whether it is {instant(due).isoformat()} yet")
        branch.hear(answer)

    @overload
    async def step(
        self, name: str, function: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def step(self, name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def step(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function once, however often this code is run; gives the result, from then on as kept.

        An async function is awaited, any other function is called in a thread. The result is kept as JSON,
        and given back as the function's annotated return type. A step is recognized by its name and
        arguments, which are plain data. Raises StepFailed where the function raises: caught, the step has
        failed for good; else the whole follow-up is tried again later, without the steps already successful.
        """
        branch = self._replay.here()
        if not name or not isinstance(name, str) or not callable(function):
            raise Misuse(
                "a step needs a name, the function and its arguments apart: write "
                'await ctx.step("fetch", fetch, url), not ctx.step(fetch(url))'
            )
        step_result = StepResult(name, function)
        shape = short(arguments_shape(name, args, kwargs))
        key = self._replay.note(branch, f"step {short(name)}", shape)
        step_id = fact_id(self.id, key, shape)
        result = self._replay.results.get(step_id)
        if result is None and self._replay.not_run is not None:
            self._replay.not_run[step_id] = name
            raise self._replay.suspend(branch, f"what step {name!r} gives")
        if result is None:
            return await run_step(
                self._replay, branch, step_id, step_result, lambda: call(function, args, kwargs)
            )
        self._replay.keep(KeepResult(step_id, result))
        return step_result.read(result)

    def score(
        self,
        name: str,
        value: bool | float,
        *,
        comment: str | None = None,
        step_id: str | None = None,
        key: str | None = None,
    ) -> None:
        """Score the run, or a step. Scores of one step, name and `key` are one score, the last counts."""
        branch = self._replay.here()
        step_id = step_id or self.step_id
        give = made(self.id, name, value, branch, step_id, comment, key)
        self._replay.note(branch, " ".join(part for part in ("score", short(name), key, step_id) if part), "")
        self._replay.give(give)

    def defer(self, scorer: Deferrable[D], data: D, *, key: str | None = None) -> str:
        """Defer more work on the same run; gives the new follow-up's id.

        Each call is a follow-up of its own unless calls share a key.
        """
        branch = self._replay.here()
        check_text("key", key, LONGEST_ID)
        written = scorer.write(data)
        shape = short(f"key {key}" if key else written.decode())
        place = self._replay.note(branch, f"defer {scorer.name} {scorer.version}", shape)
        origin = self._replay.origin
        ident = (
            deferral_id(self.run_id, self.step_id, scorer.name, scorer.version, key)
            if key
            else fact_id(self.id, place, shape)
        )
        self._replay.defer(
            FollowupSpec(
                followup_id=ident,
                run_id=origin.run_id,
                scorer=scorer.name,
                version=scorer.version,
                deferred_at=branch.now(),
                since=origin.since,
                data=Raw(written),
                step_id=origin.step_id,
                agent=origin.agent,
                exposures=origin.exposures,
                attributes=origin.attributes,
            )
        )
        return ident

    def _ask(
        self, expected: Sequence[Expected], timeout: timedelta, since: datetime | Event | None
    ) -> tuple[Branch, list[WaitAnswer | None]]:
        branch = self._replay.here()
        if not expected or not all(isinstance(one, Expected) for one in expected):
            raise Misuse(
                "there is nothing to wait for: write [upshot.expect('pr.closed', subject=subject), …]"
            )
        begin = beginning_of(since, self._replay.origin.since)
        deadline = branch.now() + length_of(timeout, _EXAMPLE)
        if begin > deadline:
            raise Misuse(
                f"this wait ends at {instant(deadline).isoformat()}, before it begins at "
                f"{instant(begin).isoformat()}: nothing could come in time. Let since be earlier, or "
                "timeout= longer"
            )
        questions = []
        for one in expected:
            name = short(f"{'|'.join(one.types)} about {one.subject}")
            questions.append((name, _request(one, since, begin, deadline)))
        return branch, self._replay.ask(branch, questions)


def _request(
    expected: Expected, since: datetime | Event | None, begin: Micros, deadline: Micros
) -> WaitRequest:
    on: dict[str, str | None] = dict.fromkeys(expected.types, expected.when)
    if not isinstance(since, Event):
        return WaitRequest(expected.subject, on, begin, deadline)
    excluding, later = conditions(expected, since)
    before = WaitRequest(expected.subject, excluding, min(begin + later, deadline), deadline)
    after = after_of(expected, since)
    return WaitRequest(expected.subject, on, begin, deadline, after, tolerance=0, before=before)


def _event(answer: WaitAnswer, since: datetime | Event | None, expected: Sequence[Expected]) -> Event:
    assert answer.event is not None
    return event_of(answer.event, since, expected)


def _in_time(answer: WaitAnswer) -> tuple[Any, ...]:
    assert answer.event is not None
    event = answer.event
    return event.time, in_sequence(event.sequence), event.recorded, event.id, event.source


def _last(answers: Sequence[WaitAnswer | None]) -> WaitAnswer:
    return max((answer for answer in answers if answer is not None), key=time_of)


def _words(expected: Sequence[Expected]) -> str:
    return " or ".join(f"{'|'.join(one.types)} about {one.subject}" for one in expected)


__all__ = ["Followup"]
