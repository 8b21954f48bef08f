"""What moves a follow-up on: arrivals, the clock, and what comes of its executions.

Pure functions of (what is remembered, what comes, now). An answer counts by its revision and a deferral by its revision
and rank, so that order and repetition change nothing. What an execution asked for follows from the memory that it was given,
so an execution that is done again, after a crash, asks for the same.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from msgspec.structs import replace

from upshot.processors.followups.execution import (
    EmitScore,
    Execution,
    FollowupSpec,
    KeepResult,
    OpenWait,
    SetTimer,
    WaitAnswer,
)
from upshot.processors.followups.facts import (
    AnswersReceived,
    Arrival,
    Deferred,
    Fact,
    FollowupErased,
    GaveUp,
    Retried,
    ScoreEmitted,
    Stands,
    Transition,
)
from upshot.processors.followups.limits import impossible
from upshot.processors.followups.requests import requested
from upshot.processors.followups.revisions import asked_anew, asks, is_left, is_settled
from upshot.processors.followups.scoring import revised
from upshot.processors.followups.state import EmittedScore, FollowupState, PendingRequest
from upshot.schemas.scores import Reason
from upshot.streams.events.instants import Micros

#: What comes of a follow-up that nobody defers any more: it asks for nothing.
WITHDRAWN = Execution("done")
#: Characters of an error that are kept.
_LONGEST_ERROR = 20_000


class Patience(NamedTuple):
    """How often failing code is tried, and with which pauses: doubled from the first up to the longest.

    `settling` is how long what the code has just asked for may take to be answered before what it doesn't give any more
    is withdrawn.
    """

    attempts: int
    first: Micros
    longest: Micros
    settling: Micros = 0


def arrive(state: FollowupState, arrival: Arrival, now: Micros) -> Transition:
    """Apply one arrival. Applied again it changes nothing."""
    if state.erased:
        return Transition(state, (), "erased")
    match arrival:
        case FollowupErased():
            known = replace(FollowupState(), known=state.known + 1, latest=now, changed_at=now, erased=True)
            return Transition(known, (), "erased")
        case Deferred():
            return _defer(state, arrival, now)
        case AnswersReceived():
            return _answer(state, arrival, now)
        case Retried():
            if state.origin is None or not state.attempts:
                return Transition(state, (), "repeated")
            after = _wake(state, now)
            return Transition(after, _stands(after), "retried")
        case _:
            assert_never(arrival)


def wake_timers(state: FollowupState, now: Micros) -> Transition:
    """Answer the timers that are due; one at least must be."""
    due = {
        key: WaitAnswer(1, asked.deadline)
        for key, asked in state.asked.items()
        if asked.subject is None and asked.deadline <= now and key not in state.answers
    }
    after = _wake(replace(state, answers={**state.answers, **due}), now)
    return Transition(after, _stands(after), "woken")


def miss(state: FollowupState, now: Micros, again: Micros) -> Transition:
    """Its code isn't deployed here: kept, and looked at again at `again`."""
    if state.status == "undeployed":
        return Transition(replace(state, run_at=again), (), "undeployed")
    after = _stamped(replace(state, status="undeployed", run_at=again), now)
    return Transition(after, _stands(after), "undeployed")


def look_now(state: FollowupState, now: Micros) -> FollowupState:
    """Its code wasn't there, and may be there now: looked at at once."""
    return replace(state, run_at=now)


def find(state: FollowupState, now: Micros) -> Transition:
    """Its code is there, and starts. Only news for one whose code wasn't there before."""
    if state.status != "undeployed":
        return Transition(state, (), "started")
    after = _stamped(replace(state, status="running", run_at=now), now)
    return Transition(after, _stands(after), "started")


def keep_results(state: FollowupState, known: int, execution: Execution) -> FollowupState:
    """The follow-up with the results of the steps that ran, and with the scores and revisions that `end` will announce; the
    same object where nothing of that is new.
    """
    if state.erased:
        return state
    new = {
        command.step_id: command.result
        for command in execution.commands
        if isinstance(command, KeepResult) and command.step_id not in state.results
    }
    after = replace(state, results={**state.results, **new}) if new else state
    if state.origin is None or known != state.known or _impossible(state, execution):
        return after
    if execution.ending not in ("waiting", "done"):
        return after
    after = asked_anew(after, execution)
    if not (scores := _revised(state, execution)):
        return after
    saying = {key: (*state.saying.get(key, ()), emitted) for key, emitted in scores.items()}
    return replace(after, saying={**state.saying, **saying})


def end(
    state: FollowupState, known: int, execution: Execution, now: Micros, patience: Patience
) -> Transition:
    """Apply what came of an execution that was given the memory number `known`.

    The results of its steps, its scores and its revisions must have been kept before: what follows from results may only be
    told once they can't be lost, and what was announced must be known to whoever runs the code again. Where something new
    has come meanwhile, nothing else of it counts, and it's run again.
    """
    origin = state.origin
    if origin is None or known != state.known:
        return Transition(state, (), "overtaken")
    if found := _impossible(state, execution):
        return give_up(state, found, now)
    match execution.ending:
        case "waiting" | "done":
            return _settle(state, origin, execution, now, patience)
        case "failed" if state.attempts + 1 < (execution.attempts or patience.attempts):
            return _try_again(state, origin, execution, now, patience)
        case "failed" | "unfit":
            return give_up(state, execution.error or "no error was told", now)
        case _:
            assert_never(execution.ending)


def give_up(state: FollowupState, error: str, now: Micros) -> Transition:
    """It isn't tried again by itself."""
    after = _stamped(
        replace(
            state,
            status="failed",
            run_at=None,
            attempts=state.attempts + 1,
            failures=state.failures + 1,
            error=error[:_LONGEST_ERROR],
        ),
        now,
    )
    told = () if after.origin is None else (Stands(after.origin, after), GaveUp(after.origin, after))
    return Transition(after, told, "failed")


def next_look(state: FollowupState, retention: Micros) -> Micros | None:
    """The next instant at which it needs a look: to be run, woken, or forgotten. None where it waits for others."""
    looks = [at for at in (state.run_at, state.next_timer) if at is not None]
    return min(looks) if looks else forgotten_at(state, retention)


def forgotten_at(state: FollowupState, retention: Micros) -> Micros | None:
    """From when it may be forgotten. Not what failed or still waits: somebody has to see to that."""
    if state.origin is not None and state.status not in ("done", "withdrawn"):
        return None
    return max(state.latest, state.changed_at) + retention


def _defer(state: FollowupState, arrival: Deferred, now: Micros) -> Transition:
    after = requested(state, arrival)
    if after is state:
        return Transition(state, _stands(state), "repeated")
    if after.cancelled:
        return _cancel(state, after, now)
    latest = max(state.latest, arrival.origin.deferred_at)
    if after.origin == state.origin and not state.cancelled:
        return Transition(replace(after, latest=latest), _stands(state), "deferred")
    # The way that it went with other data tells nothing.
    after = _wake(replace(after, path=(), latest=latest), now)
    return Transition(after, _stands(after), "deferred")


def _cancel(state: FollowupState, after: FollowupState, now: Micros) -> Transition:
    """Nobody defers it any more: at its next look it takes back what it has said."""
    if state.cancelled:
        return Transition(after, _stands(state), "cancelled")
    after = replace(after, status="withdrawn", run_at=now, attempts=0, error=None, known=state.known + 1)
    after = _stamped(replace(after, latest=max(state.latest, now)), now)
    return Transition(after, _stands(after), "cancelled")


def _answer(state: FollowupState, arrival: AnswersReceived, now: Micros) -> Transition:
    wait_id, revision, answer = arrival.wait_id, arrival.revision, arrival.answer
    before = state.answers.get(wait_id)
    if revision <= max(before.revision if before else 0, state.reopened.get(wait_id, 0)):
        return Transition(state, (), "repeated")
    if answer is None:
        left = {key: known for key, known in state.answers.items() if key != wait_id}
        after = replace(state, answers=left, reopened={**state.reopened, wait_id: revision})
    else:
        after = replace(state, answers={**state.answers, wait_id: answer})
    if state.origin is None:
        return Transition(replace(after, latest=max(state.latest, now)), (), "early")
    happened = "reopened" if answer is None else "corrected" if before else "answered"
    if state.cancelled:
        return Transition(replace(after, known=state.known + 1), (), happened)  # type: ignore[arg-type]
    after = _wake(after, now)
    return Transition(after, _stands(after), happened)  # type: ignore[arg-type]


def _settle(
    state: FollowupState, origin: FollowupSpec, execution: Execution, now: Micros, patience: Patience
) -> Transition:
    asked = _asked(execution)
    scores = _revised(state, execution)
    known = asked_anew(state, execution)
    done = "withdrawn" if state.cancelled else execution.ending
    look_again = not is_settled(state, execution) and is_left(state, execution)
    after = replace(
        known,
        path=execution.path,
        asked=asked,
        scores={**state.emitted, **scores},
        saying={},
        unsaid=(),
        status="withdrawn" if state.cancelled else execution.ending,
        run_at=now + patience.settling if look_again else None,
        attempts=0,
        error=None,
        latest=max([state.latest, *(a.deadline for a in asked.values())]),
    )
    if after == state:
        return Transition(state, (), done)  # type: ignore[arg-type]
    after = _stamped(after, now)
    facts: list[Fact] = [
        ScoreEmitted(origin, score_id, emitted, now)
        for score_id, revisions in state.saying.items()
        for emitted in revisions
    ]
    facts += [ScoreEmitted(origin, score_id, emitted, now) for score_id, emitted in scores.items()]
    facts += asks(known, origin, execution, now)
    return Transition(after, (*facts, Stands(origin, after)), done)  # type: ignore[arg-type]


def _impossible(state: FollowupState, execution: Execution) -> str | None:
    if state.origin is None:
        return None
    return impossible(state.origin, execution.commands, {*state.asked, *state.answers})


def _revised(state: FollowupState, execution: Execution) -> dict[str, EmittedScore]:
    gives = (command for command in execution.commands if isinstance(command, EmitScore))
    withdrawn: Reason | None = "reopened" if is_settled(state, execution) else None
    return revised(state.emitted, gives, "cancelled" if state.cancelled else withdrawn)


def _asked(execution: Execution) -> dict[str, PendingRequest]:
    waits = [command for command in execution.commands if isinstance(command, OpenWait)]
    asked = {w.wait_id: PendingRequest(w.deadline, w.subject, tuple(sorted(w.on))) for w in waits}
    timers = [command for command in execution.commands if isinstance(command, SetTimer)]
    return asked | {timer.timer_id: PendingRequest(timer.due) for timer in timers}


def _try_again(
    state: FollowupState, origin: FollowupSpec, execution: Execution, now: Micros, patience: Patience
) -> Transition:
    pause = min(patience.first << min(state.attempts, 40), patience.longest)
    after = _stamped(
        replace(
            state,
            run_at=now + pause,
            attempts=state.attempts + 1,
            error=(execution.error or "no error was told")[:_LONGEST_ERROR],
        ),
        now,
    )
    return Transition(after, (Stands(origin, after),), "again")


def _wake(state: FollowupState, now: Micros) -> FollowupState:
    """Something new is known: its code is to be run."""
    after = replace(state, status="running", run_at=now, attempts=0, known=state.known + 1)
    return _stamped(after, now)


def _stamped(state: FollowupState, now: Micros) -> FollowupState:
    """Another status is another revision, and later than the one before, whatever the clock says."""
    return replace(state, changed_at=max(now, state.changed_at + 1), revision=state.revision + 1)


def _stands(state: FollowupState) -> tuple[Fact, ...]:
    return () if state.origin is None else (Stands(state.origin, state),)


__all__ = [
    "WITHDRAWN",
    "Patience",
    "arrive",
    "end",
    "find",
    "forgotten_at",
    "give_up",
    "keep_results",
    "look_now",
    "miss",
    "next_look",
    "wake_timers",
]
