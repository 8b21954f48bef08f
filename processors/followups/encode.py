"""Facts of follow-ups as bytes: events of the topics `waits`, `scores`, `deferrals` and `followups`."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from upshot.processors.followups.execution import FollowupSpec, OpenWait
from upshot.processors.followups.facts import (
    DeferralCancelled,
    DeferredMore,
    Opened,
    ScoreEmitted,
    Stands,
    WaitCancelled,
)
from upshot.schemas.followups import Standing
from upshot.schemas.scores import Reason
from upshot.streams.events.decoded import Preceding
from upshot.streams.events.instants import Micros, instant
from upshot.streams.events.resolution import EXACT, written


class _Match(msgspec.Struct, gc=False, omit_defaults=True):
    score: bool
    when: str | None = None


class _Rule(msgspec.Struct, gc=False):
    on: dict[str, _Match]
    within: str


class _After(msgspec.Struct, gc=False, omit_defaults=True):
    types: tuple[str, ...]
    time: datetime
    id: str
    source: str = ""
    sequence: int | str | None = None
    recorded_at: datetime | None = None


class _Wait(msgspec.Struct, gc=False):
    """See `upshot.schemas.waits.Wait`.

    Facts to be inherited by scores aren't needed: a follow-up's wait gives no score.
    """

    wait_id: str
    run_id: str
    step_id: str | None
    name: str
    subject: str
    opened_at: str
    since: str
    rule: _Rule
    agent: str | None
    reply_to: str
    revision: int | UnsetType = UNSET
    after: list[_After] | UnsetType = UNSET
    tolerance: str | UnsetType = UNSET


class _WaitCancellation(msgspec.Struct, gc=False):
    """See `upshot.schemas.waits.WaitCancellation`."""

    wait_id: str
    run_id: str
    name: str
    subject: str
    cancelled_at: datetime
    reply_to: str
    revision: int


class _Score(msgspec.Struct, gc=False):
    """See `upshot.schemas.scores.Score`."""

    score_id: str
    run_id: str
    step_id: str | None
    name: str
    value: bool | float | None
    key: str | None
    revision: int
    supersedes: int | None
    reason: Reason
    late: bool
    subject: str | None
    outcome_id: str | None
    occurred_at: datetime
    decided_at: datetime
    agent: str | None
    source: str
    comment: str | None
    exposures: Raw
    attributes: Raw


class _Deferral(msgspec.Struct, gc=False):
    """See `upshot.schemas.deferrals.Deferral`."""

    followup_id: str
    run_id: str
    step_id: str | None
    scorer: str
    version: str
    data: Raw
    deferred_at: datetime
    since: datetime
    agent: str | None
    exposures: Raw
    attributes: Raw
    deferred_by: str | UnsetType = UNSET
    revision: int | UnsetType = UNSET
    cancelled_at: datetime | UnsetType = UNSET


class _Awaited(msgspec.Struct, gc=False):
    subject: str | None
    types: tuple[str, ...]
    deadline: datetime


class _Status(msgspec.Struct, gc=False):
    """See `upshot.schemas.followups.FollowupStatus`."""

    followup_id: str
    run_id: str
    step_id: str | None
    scorer: str
    version: str
    agent: str | None
    status: Standing
    attempts: int
    error: str | None
    waiting_for: list[_Awaited]
    deferred_at: datetime
    changed_at: datetime
    revision: int


_encode = msgspec.json.Encoder().encode


def encode_wait(fact: Opened) -> bytes:
    """The wait as an event of topic `waits`; the answer goes to the follow-up."""
    origin, wait = fact.origin, fact.wait
    return _encode(
        _Wait(
            wait_id=wait.wait_id,
            run_id=origin.run_id,
            step_id=origin.step_id,
            name=origin.scorer,
            subject=wait.subject,
            opened_at=written(wait.opened_at, EXACT),
            since=written(wait.since, EXACT),
            rule=_rule(wait),
            agent=origin.agent,
            reply_to=origin.followup_id,
            revision=fact.revision or UNSET,
            after=[_after(preceding) for preceding in wait.after] or UNSET,
            tolerance=UNSET if wait.tolerance is None else _duration(wait.tolerance),
        )
    )


def _after(preceding: Preceding) -> _After:
    recorded = instant(preceding.recorded * 1000) if preceding.recorded else None
    return _After(
        preceding.types, instant(preceding.time), preceding.id, preceding.source, preceding.sequence, recorded
    )


def encode_wait_cancellation(fact: WaitCancelled) -> bytes:
    """The cancellation of a wait as an event of topic `waits`."""
    origin = fact.origin
    names = fact.wait_id, origin.run_id, origin.scorer, fact.subject
    return _encode(_WaitCancellation(*names, instant(fact.at), origin.followup_id, fact.revision))


def _rule(wait: OpenWait) -> _Rule:
    matches = {kind: _Match(True, when) for kind, when in wait.on.items()}
    return _Rule(matches, _duration(wait.deadline - wait.opened_at))


def _duration(length: Micros) -> str:
    seconds, rest = divmod(length, 1_000_000)
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    return f"P{seconds // 86_400}DT{seconds % 86_400}{fraction}S"


def encode_score(fact: ScoreEmitted) -> bytes:
    """The revision as an event of topic `scores`."""
    origin, emitted = fact.origin, fact.emitted
    return _encode(
        _Score(
            score_id=fact.score_id,
            run_id=origin.run_id,
            step_id=emitted.step_id,
            name=emitted.name,
            value=emitted.value,
            key=emitted.key,
            revision=emitted.revision,
            supersedes=emitted.revision - 1 or None,
            reason=emitted.reason,
            late=emitted.late,
            subject=emitted.subject,
            outcome_id=emitted.outcome_id,
            occurred_at=instant(emitted.at),
            decided_at=instant(fact.decided_at),
            agent=origin.agent,
            source=origin.scorer,
            comment=emitted.comment,
            exposures=origin.exposures,
            attributes=origin.attributes,
        )
    )


def encode_deferral(origin: FollowupSpec) -> bytes:
    """The deferral as an event of topic `deferrals`."""
    return _encode(_deferral(origin))


def encode_more(fact: DeferredMore | DeferralCancelled) -> bytes:
    """A deferral by the code of a follow-up, or its cancellation, as an event of topic `deferrals`."""
    event = _deferral(fact.origin)
    event.deferred_by, event.revision = fact.deferred_by, fact.revision
    if isinstance(fact, DeferralCancelled):
        event.cancelled_at = instant(fact.at)
    return _encode(event)


def _deferral(origin: FollowupSpec) -> _Deferral:
    return _Deferral(
        followup_id=origin.followup_id,
        run_id=origin.run_id,
        step_id=origin.step_id,
        scorer=origin.scorer,
        version=origin.version,
        data=origin.data,
        deferred_at=instant(origin.deferred_at),
        since=instant(origin.since),
        agent=origin.agent,
        exposures=origin.exposures,
        attributes=origin.attributes,
    )


def encode_status(fact: Stands) -> bytes:
    """The follow-up's status as an event of topic `followups`."""
    origin, state = fact.origin, fact.state
    waits = state.waiting_for if state.status == "waiting" else ()
    return _encode(
        _Status(
            followup_id=origin.followup_id,
            run_id=origin.run_id,
            step_id=origin.step_id,
            scorer=origin.scorer,
            version=origin.version,
            agent=origin.agent,
            status=state.status,
            attempts=state.attempts,
            error=state.error,
            waiting_for=[_Awaited(asked.subject, asked.types, instant(asked.deadline)) for asked in waits],
            deferred_at=instant(origin.deferred_at),
            changed_at=instant(state.changed_at),
            revision=state.revision,
        )
    )


__all__ = [
    "encode_deferral",
    "encode_more",
    "encode_score",
    "encode_status",
    "encode_wait",
    "encode_wait_cancellation",
]
