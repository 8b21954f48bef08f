"""The code's waits and further follow-ups, against the waits and follow-ups of earlier executions.

Requests no longer made are withdrawn, and may come back. Each such turn has the next revision: for every
reader the record with the highest revision counts, whatever the order and repetition of the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec.structs import replace

from upshot.processors.followups.execution import (
    DeferMore,
    EmitScore,
    Execution,
    FollowupSpec,
    OpenWait,
    SetTimer,
)
from upshot.processors.followups.facts import DeferralCancelled, DeferredMore, Fact, Opened, WaitCancelled
from upshot.processors.followups.state import FollowupState, More, RequestTurn
from upshot.schemas.ids import fact_id
from upshot.streams.events.instants import Micros

_encode = msgspec.json.Encoder().encode


def is_settled(state: FollowupState, execution: Execution) -> bool:
    """Whether requests no longer made by the code are to be withdrawn.

    Not while the code has just asked something new: a known answer comes at once, and with the answer perhaps
    all the requests which followed before.
    """
    if execution.ending == "done":
        return True
    asked = {_ident(command) for command in execution.commands if isinstance(command, OpenWait | SetTimer)}
    return all(ident in state.asked or ident in state.answers for ident in asked)


def asked_anew(state: FollowupState, execution: Execution) -> FollowupState:
    """The follow-up with the next revision of every changed request; the same object where none has changed.

    To be stored before any announcement. A wait opened for the first time has no revision: a crash between
    the wait's announcement and its storing leaves a wait without effect.
    """
    turns = dict(_waits_anew(state, _waits_of(execution)))
    more = dict(_more_anew(state, _more_of(execution), settled=is_settled(state, execution)))
    if not turns and not more:
        return state
    return replace(
        state,
        more={**state.more, **more},
        turns={**state.turns, **turns},
        unannounced=tuple(dict.fromkeys((*state.unannounced, *turns, *more))),
    )


def is_left(state: FollowupState, execution: Execution) -> bool:
    """Whether a score or another follow-up still stands without being asked for any more."""
    given = {command.score_id for command in execution.commands if isinstance(command, EmitScore)}
    more = _more_of(execution)
    return any(
        emitted.value is not None and key not in given for key, emitted in state.emitted.items()
    ) or any(known.revision % 2 == 0 and key not in more for key, known in state.more.items())


def asks(state: FollowupState, origin: FollowupSpec, execution: Execution, now: Micros) -> Iterator[Fact]:
    """The announcements of these revisions, and the waits opened for the first time."""
    for wait_id, wait in _waits_of(execution).items():
        turn = state.turns.get(wait_id)
        if wait_id in state.unannounced or not (turn or wait_id in state.asked or wait_id in state.answers):
            yield Opened(origin, wait, turn.revision if turn else 0)
    more = _more_of(execution)
    for ident in state.unannounced:
        if (turn := state.turns.get(ident)) is not None and turn.revision % 2:
            yield WaitCancelled(origin, ident, turn.subject, turn.revision, now)
        if (known := state.more.get(ident)) is not None and known.revision % 2:
            yield DeferralCancelled(_origin_of(ident, known, origin), origin.followup_id, known.revision, now)
        elif known is not None and ident in more:
            yield DeferredMore(more[ident], origin.followup_id, known.revision)


def _waits_of(execution: Execution) -> dict[str, OpenWait]:
    return {command.wait_id: command for command in execution.commands if isinstance(command, OpenWait)}


def _more_of(execution: Execution) -> dict[str, FollowupSpec]:
    return {c.origin.followup_id: c.origin for c in execution.commands if isinstance(c, DeferMore)}


def _waits_anew(state: FollowupState, waits: Mapping[str, OpenWait]) -> Iterator[tuple[str, RequestTurn]]:
    for wait_id, wait in waits.items():
        turn = state.turns.get(wait_id)
        if turn is not None and turn.revision % 2:
            yield wait_id, RequestTurn(turn.revision + 1, wait.subject)
    open_ones = {
        key: RequestTurn(0, asked.subject) for key, asked in state.asked.items() if asked.subject is not None
    }
    for wait_id, turn in (open_ones | state.turns).items():
        if wait_id not in waits and not turn.revision % 2:
            yield wait_id, RequestTurn(turn.revision + 1, turn.subject)


def _more_anew(
    state: FollowupState, more: Mapping[str, FollowupSpec], *, settled: bool
) -> Iterator[tuple[str, More]]:
    for ident, origin in more.items():
        known = state.more.get(ident)
        digest = fact_id("deferral", _encode(origin).decode())
        if known is None and ident not in state.deferred:
            yield ident, _known_as(origin, digest, 0)
        elif known is not None and (known.revision % 2 or known.digest != digest):
            yield ident, _known_as(origin, digest, known.revision + 2 - known.revision % 2)
    for ident, known in state.more.items() if settled else ():
        if ident not in more and not known.revision % 2:
            yield ident, replace(known, revision=known.revision + 1)


def _known_as(origin: FollowupSpec, digest: str, revision: int) -> More:
    return More(revision, digest, origin.scorer, origin.version, origin.deferred_at, origin.since)


def _origin_of(ident: str, known: More, by: FollowupSpec) -> FollowupSpec:
    return FollowupSpec(
        ident, by.run_id, known.scorer, known.version, known.deferred_at, known.since, agent=by.agent
    )


def _ident(command: OpenWait | SetTimer) -> str:
    return command.wait_id if isinstance(command, OpenWait) else command.timer_id


__all__ = ["asked_anew", "asks", "is_left", "is_settled"]
