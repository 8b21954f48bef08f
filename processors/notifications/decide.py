"""What becomes of an alert's states for one receiver. Pure: now is passed in.

| the receiver has | the latest state | unsent notice | then |
| --- | --- | --- | --- |
| nothing, or resolved | firing | none | a notice of firing |
| firing | resolved | none | a notice of resolved |
| nothing | resolved | none | nothing |
| nothing | resolved | of firing | both are dropped: they cancel out |
| firing | firing | of resolved | the notice is dropped |
| any | silent | any | the notice is dropped |

A notice being posted, or perhaps received, is never dropped: the newer state follows it.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from msgspec.structs import replace

from upshot.processors.notifications.facts import NoticeFact, NoticeGivenUp, NoticeStands
from upshot.processors.notifications.retries import FIRST_LEASE, next_try
from upshot.processors.notifications.state import (
    AlertDelivery,
    AlertUpdate,
    DeliveredState,
    PendingNotice,
    Tries,
)
from upshot.receivers.results import Accepted, Failed, PostResult, Rejected, SwitchedOff
from upshot.schemas.ids import fact_id
from upshot.schemas.notices import NoticeStatus
from upshot.streams.events.instants import Micros


class Placement(NamedTuple):
    """When a new notice goes out: at once, or gathered in a group until `at`."""

    at: Micros = 0
    group: str = ""


AT_ONCE = Placement()


class Decided(NamedTuple):
    """A delivery afterwards, the facts, and whether a new notice still needs its placement."""

    delivery: AlertDelivery
    facts: tuple[NoticeFact, ...] = ()


def receive(delivery: AlertDelivery, update: AlertUpdate, now: Micros) -> Decided:
    """A state arrives. Repetitions and older states change nothing."""
    if update.summary.revision <= delivery.revision:
        return Decided(delivery)
    newest = replace(delivery, revision=update.summary.revision, newer=update, changed_at=now, failed=None)
    return supersede(newest, now)


def supersede(delivery: AlertDelivery, now: Micros, why: str = "") -> Decided:
    """Drop an unsent notice that the newest state leaves without a purpose."""
    pending, newer = delivery.pending, delivery.newer
    if pending is None or newer is None:
        return Decided(delivery)
    if pending.status == "retrying" and pending.tries.uncertain:
        if newer.silent or newer.summary.state == pending.state:
            return Decided(replace(delivery, newer=None))
        # Perhaps received: the next state is sent as if it was.
        return _drop(replace(delivery, delivered=pending.state), "the alert changed its state", now)
    if not pending.is_unsent:
        return Decided(delivery)
    if newer.silent:
        return _drop(replace(delivery, newer=None), newer.silent, now)
    if newer.summary.state == pending.state:
        return Decided(replace(delivery, newer=None))
    return _drop(delivery, "the alert changed its state", now)


def retried(delivery: AlertDelivery, update: AlertUpdate, now: Micros) -> Decided:
    """Somebody wants a failed notice to be tried again: under its id, all tries anew.

    A delivery whose alert has another state meanwhile, or that is being tried, stays as it is. A forgotten
    one begins anew.
    """
    if delivery.revision < 0:
        return receive(delivery, update, now)
    failed = delivery.failed
    if failed is None or failed.notice_id != update.retry or delivery.pending is not None:
        return Decided(delivery)
    tries = Tries(next_at=now + FIRST_LEASE, uncertain=failed.tries.uncertain)
    pending = replace(failed, status="posting", tries=tries, group="", digest_id="")
    begun = replace(delivery, pending=pending, failed=None, newer=None, changed_at=now)
    return _stands(begun, pending, "pending", now)


def refuse(delivery: AlertDelivery, update: AlertUpdate, why: str, now: Micros) -> Decided:
    """Nothing is sent about a state, and a record says why."""
    pending = PendingNotice(notice_id(delivery, update, update.receiver), update, "gathered")
    return _stands(replace(delivery, newer=None, changed_at=now), pending, "dropped", now, why)


def mute(delivery: AlertDelivery, why: str, now: Micros) -> Decided:
    """The rule is muted: an unsent notice is dropped."""
    if delivery.pending is None or not delivery.pending.is_unsent:
        return Decided(delivery)
    return _drop(replace(delivery, newer=None), why, now)


def _drop(delivery: AlertDelivery, why: str, now: Micros) -> Decided:
    assert delivery.pending is not None
    return _stands(replace(delivery, pending=None), delivery.pending, "dropped", now, why)


def wants_notice(delivery: AlertDelivery) -> AlertUpdate | None:
    """The state of which the receiver is to be notified next; None where there is none now."""
    newer = delivery.newer
    if delivery.pending is not None or newer is None or newer.silent:
        return None
    state = newer.summary.state
    nothing_new = delivery.delivered == state or (state == "resolved" and not delivery.delivered)
    return None if nothing_new else newer


def plan(delivery: AlertDelivery, receiver: str, placement: Placement, now: Micros) -> Decided:
    """Begin the notice that the delivery wants, if it wants one."""
    update = wants_notice(delivery)
    if update is None:
        return Decided(delivery if delivery.pending else replace(delivery, newer=None))
    status, at = ("gathered", placement.at) if placement.group else ("posting", now + FIRST_LEASE)
    pending = PendingNotice(
        notice_id(delivery, update, receiver),
        update,
        status,  # type: ignore[arg-type]
        Tries(next_at=at),
        placement.group,
    )
    begun = replace(delivery, pending=pending, newer=None, changed_at=now)
    if status == "posting":
        begun = replace(begun, tried=_with(delivery.tried, pending.state))
    return _stands(begun, pending, "pending", now)


def notice_id(delivery: AlertDelivery, update: AlertUpdate, receiver: str) -> str:
    """The same for all tries: made from the alert, its state and the receiver.

    A state that comes back after another one was sent is another notice, told apart by its revision.
    """
    parts = ("notice", update.summary.alert_id, update.summary.state, receiver)
    again = update.summary.state in delivery.tried
    return fact_id(*parts, *((str(update.summary.revision),) if again else ()))


def try_now(delivery: AlertDelivery, now: Micros) -> AlertDelivery:
    """The pending notice is to be posted: stored before the try, since its end may never be known."""
    pending = delivery.pending
    assert pending is not None
    posting = replace(pending, status="posting", tries=replace(pending.tries, next_at=now + FIRST_LEASE))
    return replace(delivery, pending=posting, tried=_with(delivery.tried, pending.state), changed_at=now)


def applied(delivery: AlertDelivery, result: PostResult, now: Micros) -> Decided:
    """A try has ended."""
    pending = delivery.pending
    assert pending is not None
    tries, status = after_try(pending.notice_id, pending.tries, result, now)
    ended = replace(pending, tries=tries)
    match status:
        case "sent":
            without = replace(delivery, pending=None, delivered=pending.state, changed_at=now)
            return _stands(without, ended, "sent", now)
        case "retrying":
            again = replace(delivery, pending=replace(ended, status="retrying"), changed_at=now)
            stands = _stands(again, ended, "retrying", now)
            superseded = supersede(stands.delivery, now)
            return Decided(superseded.delivery, stands.facts + superseded.facts)
        case "failed":
            return give_up(delivery, tries, now)
        case _:
            raise AssertionError(status)


def give_up(delivery: AlertDelivery, tries: Tries, now: Micros) -> Decided:
    """The pending notice is not tried any more. If it was perhaps received, the next state counts on it."""
    pending = delivery.pending
    assert pending is not None
    delivered: DeliveredState = pending.state if tries.uncertain else delivery.delivered
    given_up = replace(pending, tries=tries) if delivery.newer is None else None
    without = replace(delivery, pending=None, delivered=delivered, changed_at=now, failed=given_up)
    failed = _stands(without, replace(pending, tries=tries), "failed", now)
    return Decided(
        failed.delivery, (*failed.facts, NoticeGivenUp(pending.notice_id, pending.update, tries, now))
    )


def after_try(identity: str, tries: Tries, result: PostResult, now: Micros) -> tuple[Tries, NoticeStatus]:
    """The tries with one more, and what follows."""
    attempts = tries.attempts + 1
    match result:
        case Accepted(status, note):
            return Tries(attempts, 0, status, note), "sent"
        case Rejected(error, status) | SwitchedOff(error, status):
            return Tries(attempts, 0, status, error, tries.uncertain), "failed"
        case Failed(error, status, after, uncertain):
            uncertain = uncertain or tries.uncertain
            following = next_try(identity, attempts, after, now)
            if following is None:
                return Tries(attempts, 0, status, error, uncertain), "failed"
            return Tries(attempts, following, status, error, uncertain), "retrying"
        case _:
            assert_never(result)


def digested(delivery: AlertDelivery, digest_id: str, now: Micros) -> Decided:
    """The pending notice is part of a digest from now on."""
    pending = delivery.pending
    assert pending is not None
    part = replace(pending, status="digested", digest_id=digest_id, tries=Tries())
    tried = _with(delivery.tried, pending.state)
    return Decided(replace(delivery, pending=part, tried=tried, changed_at=now))


def digest_ended(
    delivery: AlertDelivery, digest_id: str, status: NoticeStatus, tries: Tries, now: Micros
) -> Decided:
    """The digest with the pending notice was sent, or given up."""
    pending = delivery.pending
    if pending is None or pending.digest_id != digest_id:
        return Decided(delivery)
    if status == "failed":
        return give_up(delivery, tries, now)
    without = replace(delivery, pending=None, delivered=pending.state, changed_at=now)
    return _stands(without, replace(pending, tries=tries), "sent", now)


def _stands(
    delivery: AlertDelivery, pending: PendingNotice, status: NoticeStatus, now: Micros, why: str = ""
) -> Decided:
    records = delivery.records + 1
    fact = NoticeStands(
        pending.notice_id, pending.update, status, now, records, pending.tries, pending.digest_id, (), why
    )
    return Decided(replace(delivery, records=records), (fact,))


def _with(tried: tuple[str, ...], state: str) -> tuple[str, ...]:
    return tried if state in tried else (*tried, state)


__all__ = [
    "AT_ONCE",
    "Decided",
    "Placement",
    "after_try",
    "applied",
    "digest_ended",
    "digested",
    "give_up",
    "mute",
    "notice_id",
    "plan",
    "receive",
    "refuse",
    "retried",
    "supersede",
    "try_now",
    "wants_notice",
]
