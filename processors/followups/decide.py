"""The transitions of a follow-up: by arrivals, by the clock, and by ended executions.

Pure functions of (the stored state, the arrival, now). An answer counts by its revision and a deferral by its
revision and rank, so order and repetition change nothing. The commands of an execution follow from the
snapshot given to the execution, so an execution repeated after a crash has the same commands.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from msgspec.structs import replace

from upshot.backoff import pause_after
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

#: The execution of a follow-up deferred by nobody any more: no requests.
WITHDRAWN = Execution("done")
#: Characters kept of an error.
_LONGEST_ERROR = 20_000


class Patience(NamedTuple):
    """The number of tries of failing code, and the pauses: doubled from the first up to the longest.

    `settling` is the time for answers to new requests of the code; only then is anything no longer given by
    the code withdrawn.
    """

    attempts: int
    first: Micros
    longest: Micros
    settling: Micros = 0


def arrive(state: FollowupState, arrival: Arrival, now: Micros) -> Transition:
    """Apply one arrival. Applied again, the arrival changes nothing."""
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
    """Answer the due timers; at least one must be due."""
    due = {
        key: WaitAnswer(1, asked.deadline)
        for key, asked in state.asked.items()
        if asked.subject is None and asked.deadline <= now and key not in state.answers
    }
    after = _wake(replace(state, answers={**state.answers, **due}), now)
    return Transition(after, _stands(after), "woken")


def miss(state: FollowupState, now: Micros, again: Micros) -> Transition:
    """The follow-up's code isn't deployed here: the follow-up is kept, and looked at again at `again`."""
    if state.status == "undeployed":
        return Transition(replace(state, run_at=again), (), "undeployed")
    after = _stamped(replace(state, status="undeployed", run_at=again), now)
    return Transition(after, _stands(after), "undeployed")


def look_now(state: FollowupState, now: Micros) -> FollowupState:
    """The missing code may be deployed now: the follow-up is looked at at once."""
    return replace(state, run_at=now)


def find(state: FollowupState, now: Micros) -> Transition:
    """The code is deployed, and starts. A transition only for a follow-up whose code was missing before."""
    if state.status != "undeployed":
        return Transition(state, (), "started")
    after = _stamped(replace(state, status="running", run_at=now), now)
    return Transition(after, _stands(after), "started")


def keep_results(state: FollowupState, known: int, execution: Execution) -> FollowupState:
    """The follow-up with the results of the steps run, and the scores and revisions to be announced by `end`.

    The same object where nothing of these is new.
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
    """Apply an ended execution, which was given the snapshot number `known`.

    The results of the execution's steps, its scores and its revisions must have been stored before:
    consequences of results may only be announced once the results can't be lost, and announced revisions must
    be known to any later execution. Where something new has come meanwhile, nothing else of the execution
    counts, and the code is run again.
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
            return give_up(state, execution.error or "no error was reported", now)
        case _:
            assert_never(execution.ending)


def give_up(state: FollowupState, error: str, now: Micros) -> Transition:
    """The follow-up isn't tried again by itself."""
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
    facts = () if after.origin is None else (Stands(after.origin, after), GaveUp(after.origin, after))
    return Transition(after, facts, "failed")


def next_look(state: FollowupState, retention: Micros) -> Micros | None:
    """The instant of the next look, to run, wake or retire the follow-up; None where others have to act."""
    looks = [at for at in (state.run_at, state.next_timer) if at is not None]
    return min(looks) if looks else forgotten_at(state, retention)


def forgotten_at(state: FollowupState, retention: Micros) -> Micros | None:
    """The instant from which the follow-up may be retired.

    None for a failed or waiting follow-up: somebody has to see to these.
    """
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
    # The history with other data says nothing about the new data.
    after = _wake(replace(after, path=(), latest=latest), now)
    return Transition(after, _stands(after), "deferred")


def _cancel(state: FollowupState, after: FollowupState, now: Micros) -> Transition:
    """Nobody defers the follow-up any more: at the next look all its scores and requests are taken back."""
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
        unannounced=(),
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
    pause = pause_after(state.attempts, patience.first, patience.longest)
    after = _stamped(
        replace(
            state,
            run_at=now + pause,
            attempts=state.attempts + 1,
            error=(execution.error or "no error was reported")[:_LONGEST_ERROR],
        ),
        now,
    )
    return Transition(after, (Stands(origin, after),), "again")


def _wake(state: FollowupState, now: Micros) -> FollowupState:
    """Something new is known: the follow-up's code is to be run."""
    after = replace(state, status="running", run_at=now, attempts=0, known=state.known + 1)
    return _stamped(after, now)


def _stamped(state: FollowupState, now: Micros) -> FollowupState:
    """Another status is another revision, and later than the revision before, whatever the clock says."""
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
