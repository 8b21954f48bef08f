"""Notices as they stand, the latest change first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from upshot.insights.pages.query import Conditions, PageQuery, counts_by_state

#: States that the page offers, with the condition of each.
NOTICE_STATES = {
    "all": "",
    "waiting": "status IN ('pending', 'retrying')",
    "sent": "status = 'sent'",
    "failed": "status = 'failed'",
    "dropped": "status = 'dropped'",
}


@dataclass(frozen=True)
class NoticeFilter:
    """Which notices are listed; empty fields don't restrict."""

    state: str = "all"
    receiver: str = ""
    rule: str = ""
    since: datetime | None = None
    after: tuple[datetime, str] | None = None


def notices_query(wanted: NoticeFilter) -> PageQuery:
    """The notices of a filter."""
    conditions = _conditions(wanted)
    if condition := NOTICE_STATES[wanted.state]:
        conditions.add(f"({condition})")
    conditions.add_before("changed_at", "notice_id", wanted.after)
    return PageQuery(
        "SELECT changed_at, status, receiver, receiver_kind, name, state, attempts, last_status, error,\n"
        "    next_attempt_at, notice_id, alert_id, digest_id, length(digest_of) AS digest_size, raised_at,\n"
        "    sent_at\n"
        f"FROM notices{conditions.where()}\nORDER BY changed_at DESC, notice_id DESC",
        conditions.parameters,
    )


def notice_counts(wanted: NoticeFilter) -> PageQuery:
    """The number of notices of each state, under the filter's other fields."""
    conditions = _conditions(wanted)
    counts = counts_by_state("notices", NOTICE_STATES)
    return PageQuery(f"SELECT {counts}\nFROM notices{conditions.where()}", conditions.parameters)


def _conditions(wanted: NoticeFilter) -> Conditions:
    conditions = Conditions()
    if wanted.receiver:
        conditions.add("receiver = {receiver:String}", receiver=wanted.receiver)
    if wanted.rule:
        conditions.add("name = {rule:String}", rule=wanted.rule)
    if wanted.since:
        conditions.add("changed_at >= {since:DateTime64(6, 'UTC')}", since=wanted.since)
    return conditions


__all__ = ["NOTICE_STATES", "NoticeFilter", "notice_counts", "notices_query"]
