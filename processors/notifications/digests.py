"""Digests in the table: sealing gathered notices into one, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from upshot.processors.notifications.decide import after_try, digest_ended, digested, try_now
from upshot.processors.notifications.facts import NoticeFact, NoticeStands
from upshot.processors.notifications.grouping import MOST_IN_DIGEST, counted, interval_of, make_digest
from upshot.processors.notifications.retries import FIRST_LEASE, MINUTE
from upshot.processors.notifications.state import (
    AlertDelivery,
    AlertUpdate,
    Digest,
    NoticeGroup,
    PendingNotice,
    Tries,
    delivery_key,
    group_key,
    key_parts,
    receiver_key,
)
from upshot.processors.notifications.unit import NoticeUnit
from upshot.receivers.results import PostResult
from upshot.streams.events.instants import Micros

Gathered = Mapping[bytes, AlertDelivery]


def seal(
    unit: NoticeUnit, receiver: str, group: str, gathered: Gathered, now: Micros
) -> tuple[list[bytes], list[NoticeFact]]:
    """Make one notice of gathered ones whose time has come: the keys to post, and the facts.

    One alone stays a notice of its own. While the group's digest before is under way, they wait.
    """
    state = unit.group(receiver, group)
    if state.digest is not None:
        for key, delivery in gathered.items():
            unit.put(key, _later(delivery, now + MINUTE))
        return [], []
    members = dict(list(gathered.items())[:MOST_IN_DIGEST])
    interval = max((interval_of(_pending(delivery).update) for delivery in members.values()), default=0)
    opened = NoticeGroup(now + interval)
    unit.put(receiver_key(receiver), counted(unit.receiver(receiver), now))
    if len(members) == 1:
        [(key, delivery)] = members.items()
        unit.put(group_key(receiver, group), opened)
        unit.put(key, try_now(delivery, now))
        return [key], []
    digest = make_digest(receiver, group, [_pending(delivery) for delivery in members.values()], now)
    digest = replace(digest, tries=Tries(next_at=now + FIRST_LEASE))
    # The group first: after a crash in between, members that aren't marked come again, none is lost.
    place = group_key(receiver, group)
    unit.put(place, replace(opened, digest=digest))
    facts = [digest_stands(unit, place, "pending", now, digest)]
    for key, delivery in members.items():
        unit.put(key, digested(delivery, digest.message.notice_id, now).delivery)
    for key, delivery in gathered.items():
        if key not in members:
            unit.put(key, _later(delivery, opened.open_at or now + MINUTE))
    return [place], list(facts)


def _later(delivery: AlertDelivery, at: Micros) -> AlertDelivery:
    pending = _pending(delivery)
    return replace(delivery, pending=replace(pending, tries=replace(pending.tries, next_at=at)))


def _pending(delivery: AlertDelivery) -> PendingNotice:
    assert delivery.pending is not None
    return delivery.pending


def end_digest(
    unit: NoticeUnit, key: bytes, group: NoticeGroup, result: PostResult, now: Micros
) -> tuple[list[bytes], list[NoticeFact]]:
    """A try of a digest has ended: the keys of members that are done with it, and the facts."""
    digest = group.digest
    assert digest is not None
    identity = digest.message.notice_id
    tries, status = after_try(identity, digest.tries, result, now)
    ended = replace(digest, tries=tries, status="retrying", records=digest.records)
    if status == "retrying":
        unit.put(key, replace(group, digest=ended))
        return [], [digest_stands(unit, key, "retrying", now, ended)]
    [receiver, _] = key_parts(key)
    facts: list[NoticeFact] = [digest_stands(unit, key, status, now, ended)]
    places = [delivery_key(receiver, member.alert_id) for member in digest.members]
    unit.read(places)
    for member, place in zip(digest.members, places, strict=True):
        decided = digest_ended(unit.delivery(receiver, member.alert_id), identity, status, tries, now)
        unit.put(place, decided.delivery)
        facts += decided.facts
    unit.put(key, replace(group, digest=None))
    return places, facts


def digest_stands(unit: NoticeUnit, key: bytes, status: str, now: Micros, digest: Digest) -> NoticeStands:
    """The fact of how a digest stands, which the group counts."""
    [receiver, _] = key_parts(key)
    group = unit.state(key)
    records = digest.records + 1
    if isinstance(group, NoticeGroup) and group.digest is not None:
        unit.put(key, replace(group, digest=replace(digest, records=records)))
    members = tuple(member.alert_id for member in digest.members)
    update = AlertUpdate(receiver, digest.message.first)
    identity = digest.message.notice_id
    return NoticeStands(identity, update, status, now, records, digest.tries, "", members)  # type: ignore[arg-type]


__all__ = ["Gathered", "digest_stands", "end_digest", "seal"]
