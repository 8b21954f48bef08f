"""Which notices go out at once, and which are gathered: digests, cooldowns, a cap per receiver. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from upshot.processors.notifications.decide import AT_ONCE, Placement
from upshot.processors.notifications.retries import HOUR
from upshot.processors.notifications.state import (
    AlertUpdate,
    Digest,
    DigestMember,
    NoticeGroup,
    PendingNotice,
    ReceiverState,
    RuleShare,
    Tries,
)
from upshot.receivers.messages import AlertMessage, cut, cut_labels
from upshot.schemas.ids import fact_id
from upshot.streams.events.instants import Micros

#: Alerts of a digest at the most; further ones come with the next.
MOST_IN_DIGEST = 2_000
#: Alerts that a digest's message lists.
MOST_LISTED = 50
_OVER_THE_CAP = "c"


def group_of(update: AlertUpdate) -> str:
    """The group that an alert's notices are gathered in; empty: each goes out at once.

    A digest gathers all alerts of a rule, a cooldown those of a rule about one subject.
    """
    summary = update.summary
    if update.digest:
        return f"d{summary.name}"
    if update.cooldown and summary.state == "firing":
        subjects = sorted(summary.group.items())
        return f"w{fact_id('group', summary.name, *(part for pair in subjects for part in pair))}"
    return ""


def interval_of(update: AlertUpdate) -> Micros:
    """How long notices of the alert's group are gathered."""
    return max(update.digest, update.cooldown)


def place(
    update: AlertUpdate, group: NoticeGroup, receiver: ReceiverState, most_per_hour: int, now: Micros
) -> tuple[Placement, NoticeGroup, ReceiverState]:
    """When a new notice goes out, and group and receiver afterwards.

    The first of a group goes out at once. More firing alerts than the receiver's cap are gathered until the
    hour is over. A resolved alert that isn't gathered goes out at once: its firing was sent.
    """
    name = group_of(update)
    if name and (now < group.open_at or group.digest is not None):
        return Placement(max(group.open_at, now), name), group, receiver
    if name:
        group = replace(group, open_at=now + interval_of(update))
    if update.summary.state == "firing" and not has_room(receiver, most_per_hour, now):
        return Placement((now // HOUR + 1) * HOUR, _OVER_THE_CAP), group, receiver
    return AT_ONCE, group, counted(receiver, now)


def shared(share: RuleShare, update: AlertUpdate, now: Micros) -> RuleShare | None:
    """The rule's share of this hour with one more firing alert; None where the rule has had its cap."""
    hour = now // HOUR
    notified = share.notified if share.hour == hour else 0
    return None if notified >= update.cap else RuleShare(hour, notified + 1)


def has_room(receiver: ReceiverState, most_per_hour: int, now: Micros) -> bool:
    """Whether the receiver gets a further notice in this hour."""
    return receiver.hour != now // HOUR or receiver.posts < most_per_hour


def counted(receiver: ReceiverState, now: Micros) -> ReceiverState:
    """The receiver with one more post in this hour."""
    hour = now // HOUR
    return replace(receiver, hour=hour, posts=receiver.posts + 1 if receiver.hour == hour else 1)


def make_digest(receiver: str, group: str, pending: Sequence[PendingNotice], now: Micros) -> Digest:
    """One message for all these notices."""
    members = tuple(DigestMember(p.update.summary.alert_id, p.notice_id) for p in pending)
    identity = fact_id("notice", "digest", receiver, group, *(member.notice_id for member in members))
    listed = tuple(
        replace(s, message=cut(s.message, 200), threshold=cut(s.threshold, 200), group=cut_labels(s.group))
        for s in (p.update.summary for p in pending[:MOST_LISTED])
    )
    return Digest(AlertMessage(identity, "digest", listed, len(members), now), members, "posting", Tries())


__all__ = [
    "MOST_IN_DIGEST",
    "MOST_LISTED",
    "counted",
    "group_of",
    "has_room",
    "interval_of",
    "make_digest",
    "place",
    "shared",
]
