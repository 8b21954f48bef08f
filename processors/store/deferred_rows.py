"""Rows of deferrals, of follow-ups' standings and of cancellations."""

from __future__ import annotations

import msgspec

from upshot.processors.store.packed import Row, earlier_wins, higher_wins, later_wins, pack_version
from upshot.processors.store.values import assignments, texts
from upshot.schemas.deferrals import Deferral
from upshot.schemas.followups import FollowupStatus
from upshot.streams.events.fast import moment, moment_or_none, recorded_moment
from upshot.streams.events.instants import Micros
from upshot.streams.events.records import Record
from upshot.streams.events.withdrawals import Cancelling

_encode = msgspec.json.Encoder().encode


def deferral_row(deferral: Deferral, record: Record) -> Row:
    """A deferral, or its cancellation; of two with one id the higher revision counts, then the earlier."""
    recorded = recorded_moment(record)
    deferred = moment_or_none(deferral.deferred_at) or recorded
    since = moment_or_none(deferral.since) or deferred
    if deferral.cancelled_at is not None:
        return _cancelled(deferral, moment(deferral.cancelled_at), recorded)
    values = (
        deferral.identity,
        deferral.run_id,
        deferral.step_id,
        deferral.scorer,
        deferral.version,
        _encode(deferral.data).decode(),
        deferred,
        since,
        deferral.key or "",
        deferral.agent or "",
        assignments(deferral.exposures),
        texts(deferral.attributes),
        recorded,
    )
    return pack_version("raw_deferrals", values, higher_wins(deferral.revision, deferred))


def cancellation_row(cancelling: Cancelling, record: Record) -> Row:
    """The cancellation of a wait; of two with one revision the earlier counts."""
    named = "waits", cancelling.subject, cancelling.wait_id, cancelling.reply_to, cancelling.revision, ""
    return pack_version(
        "raw_cancellations", (*named, cancelling.at, recorded_moment(record)), earlier_wins(cancelling.at)
    )


def _cancelled(deferral: Deferral, at: Micros, recorded: Micros) -> Row:
    asker, ident = deferral.deferred_by or "", deferral.identity
    values = ("deferrals", "", ident, asker, deferral.revision, deferral.run_id, at, recorded)
    return pack_version("raw_cancellations", values, earlier_wins(at))


def followup_row(followup: FollowupStatus, record: Record) -> Row:
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


__all__ = ["cancellation_row", "deferral_row", "followup_row"]
