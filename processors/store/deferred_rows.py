"""Rows of follow-ups: what was deferred, and how each stands."""

from __future__ import annotations

import msgspec

from upshot.processors.store.packed import Row, earlier_wins, later_wins, pack_version
from upshot.processors.store.values import assignments, texts
from upshot.schemas.deferrals import Deferral
from upshot.schemas.followups import FollowupStatus
from upshot.streams.codec import Record
from upshot.streams.wire import QuickDeferral, QuickFollowup, moment, moment_or_none, recorded_moment

_encode = msgspec.json.Encoder().encode


def deferral_row(deferral: Deferral | QuickDeferral, record: Record) -> Row:
    """What was deferred; of two with one id the earlier counts."""
    recorded = recorded_moment(record)
    deferred = moment_or_none(deferral.deferred_at) or recorded
    values = (
        deferral.identity,
        deferral.run_id,
        deferral.step_id,
        deferral.scorer,
        deferral.version,
        _encode(deferral.data).decode(),
        deferred,
        moment_or_none(deferral.since) or deferred,
        deferral.key or "",
        deferral.agent or "",
        assignments(deferral.exposures),
        texts(deferral.attributes),
        recorded,
    )
    return pack_version("raw_deferrals", values, earlier_wins(deferred))


def followup_row(followup: FollowupStatus | QuickFollowup, record: Record) -> Row:
    """How a follow-up stands; the later change counts."""
    changed = moment(followup.changed_at)
    values = (
        followup.followup_id,
        followup.run_id,
        followup.step_id,
        followup.scorer,
        followup.version,
        followup.agent or "",
        followup.status,
        followup.attempts,
        followup.error or "",
        [(one.subject or "", one.types, moment(one.deadline)) for one in followup.waiting_for],
        moment(followup.deferred_at),
        changed,
        followup.revision,
        recorded_moment(record),
    )
    return pack_version("raw_followups", values, later_wins(changed))


__all__ = ["deferral_row", "followup_row"]
