"""Rows of notices: a row for each record of each notice."""

from __future__ import annotations

from upshot.processors.store.packed import Row, higher_wins, pack_version
from upshot.schemas.notices import Notice
from upshot.streams.events.fast import moment, moment_or_none, recorded_moment
from upshot.streams.events.records import Record


def notice_row(notice: Notice, record: Record) -> Row:
    """How a notice stood. Of repetitions of a revision the one changed last counts."""
    changed = moment(notice.changed_at)
    values = (
        notice.notice_id,
        notice.alert_id,
        notice.name,
        notice.receiver,
        notice.receiver_kind,
        notice.state,
        notice.status,
        notice.attempts,
        notice.last_status,
        notice.error,
        moment_or_none(notice.next_attempt_at),
        notice.digest_id or "",
        notice.digest_of,
        moment(notice.raised_at),
        moment_or_none(notice.sent_at),
        changed,
        notice.revision,
        recorded_moment(record),
    )
    return pack_version("raw_notices", values, higher_wins(notice.revision, changed))


__all__ = ["notice_row"]
