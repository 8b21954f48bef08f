"""The handler of notifications: commit, post beside the loop, mark."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from upshot.errors import InvalidEvent
from upshot.processors.clock import wall_clock
from upshot.processors.notifications.decide import (
    AT_ONCE,
    Placement,
    applied,
    mute,
    plan,
    receive,
    refuse,
    retried,
    try_now,
    wants_notice,
)
from upshot.processors.notifications.decode import read_alert, read_request, requests_of
from upshot.processors.notifications.digests import end_digest, seal
from upshot.processors.notifications.encode import NoticeOutputs
from upshot.processors.notifications.facts import NoticeFact
from upshot.processors.notifications.grouping import group_of, place, shared
from upshot.processors.notifications.jobs import is_posting, job_of
from upshot.processors.notifications.posts import Outside, PostEnded, Posts
from upshot.processors.notifications.recall import Recall
from upshot.processors.notifications.retries import FIRST_LEASE, HOUR
from upshot.processors.notifications.state import (
    AlertDelivery,
    AlertUpdate,
    NoticeGroup,
    RuleShare,
    decode_stored,
    delivery_key,
    group_key,
    receiver_key,
    share_key,
)
from upshot.processors.notifications.unit import NoticeUnit
from upshot.processors.routing import Router
from upshot.receivers.configured import Receivers
from upshot.receivers.results import PostResult, Rejected, SwitchedOff, perhaps_received
from upshot.schemas.notices import ReceiverKind
from upshot.settings import Settings
from upshot.streams.events.instants import MICROSECOND, Micros
from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, BatchContext, Effects

ROLE = "notifications"
TABLE = "notices"
#: Keys of a partition looked at in one tick.
_AT_ONCE = 2_000
#: A returned receiver's notices are looked for this far ahead: the longest pause, and its jitter.
_FAR: Micros = 30 * HOUR

log = logging.getLogger(__name__)


class Notifications:
    """Reads `alerts` and `notice-requests`, keeps a table by alert and receiver, posts to the `outside`.

    An alert becomes a request for each receiver, keyed by the receiver: so digests, cooldowns and caps of a
    receiver are decided in one place. A notice is stored before its first try, with its id and content; its
    result is stored after the try. A crash in between posts it again under the same id.
    """

    def __init__(
        self,
        context: BatchContext,
        settings: Settings,
        receivers: Receivers,
        outside: Outside,
        now: Callable[[], Micros] = wall_clock,
    ) -> None:
        self._context = context
        self._receivers = receivers
        self._outside = outside
        self._now = now
        self._alerts = settings.topic("alerts")
        self._requests = settings.topic("notice-requests")
        self._retention = settings.settled_retention // MICROSECOND
        self._router = Router[AlertUpdate](context, settings, ("notice-requests",), key="receiver")
        #: Notices by status, and what the router counts.
        self.counts = self._router.counts
        #: By reason.
        self.dead_letters = self._router.dead_letters
        self._outputs = NoticeOutputs(settings, self.counts, self.dead_letters, self._kind_of)
        self.posts = Posts(outside.post, self._width_of, now)
        #: Durable notices and digests to be posted, from the next tick on.
        self._ready: list[tuple[int, bytes]] = []
        #: Those among them that a former owner may have posted already.
        self._inherited: set[tuple[int, bytes]] = set()
        #: Notices that wait for another try of a receiver that has come back.
        self._recalled = Recall(_AT_ONCE)

    @property
    def topics(self) -> Sequence[str]:
        """The topics read."""
        return [self._alerts, self._requests]

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Take up notices that were being posted by the partitions' last worker."""
        await self._router.check()
        await self._outside.start()
        table, upto = self._context.table, self._now() + FIRST_LEASE
        for partition in self._router.units():
            due = table.due(partition, upto, table.size(partition))
            for key, value in zip(due, table.get_many(partition, due), strict=True):
                if value is not None and is_posting(decode_stored(key, value)):
                    self._ready.append((partition, key))
        self._inherited = set(self._ready)

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Cut off all posts: the next owner of the partitions repeats them, under the same ids."""
        self.posts.forget()
        await self._outside.stop()
        self._recalled.forget()
        self._ready = []

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Store what is to be sent. The tick right after begins to post."""
        effects, now = Effects(), self._now()
        for tp, records in batches.items():
            if tp.topic == self._alerts:
                self._request(records, effects)
            else:
                self._receive(tp, self._router.take(tp, records, read_request, now, effects), now, effects)
        effects.more = bool(self._ready)
        return effects

    async def tick(self) -> Effects:
        """Take up results, begin posts, and look at the clock."""
        effects, now = Effects(), self._now()
        self._router.tell(log, now)
        ready, self._ready = self._ready, []
        by_partition: dict[int, list[PostEnded]] = defaultdict(list)
        for ended in self.posts.ended():
            by_partition[ended.job.partition].append(ended)
        for partition in self._router.units():
            unit = NoticeUnit(self._context, partition, self._retention, effects)
            self._begin_posts(unit, [key for number, key in ready if number == partition], now, effects)
            self._apply(unit, by_partition[partition], now, effects)
            self._look(unit, now, effects)
        self._recall(now, effects)
        effects.outputs_first = bool(effects.outputs)
        effects.more = effects.more or bool(self._ready)
        effects.tick_within = self.posts.patience()
        return effects

    async def flush(self) -> None:
        """Nothing: the table and the outputs belong to the batch engine."""

    def _request(self, records: Iterable[Record], effects: Effects) -> None:
        for record in records:
            try:
                alert = read_alert(record)
            except InvalidEvent:
                continue  # the store keeps the record as a dead letter
            try:
                effects.outputs += requests_of(alert, record, self._requests)
            except InvalidEvent as error:
                self._router.refuse(record, error, effects)

    def _receive(self, tp: TP, updates: Sequence[AlertUpdate], now: Micros, effects: Effects) -> None:
        unit = NoticeUnit(self._context, tp.partition, self._retention, effects)
        unit.read(delivery_key(update.receiver, update.summary.alert_id) for update in updates)
        for update in updates:
            key = delivery_key(update.receiver, update.summary.alert_id)
            if update.silent and unit.state(key) is None:
                continue  # nobody was notified, and nobody will be
            before = unit.delivery(update.receiver, update.summary.alert_id)
            decided = (retried if update.retry else receive)(before, update, now)
            if decided.delivery is before:
                continue
            self._advance(unit, update.receiver, key, decided.delivery, decided.facts, now, effects)
            if update.retry and is_posting(decided.delivery):
                self._ready.append((unit.partition, key))

    def _advance(
        self,
        unit: NoticeUnit,
        receiver: str,
        key: bytes,
        delivery: AlertDelivery,
        facts: Iterable[NoticeFact],
        now: Micros,
        effects: Effects,
    ) -> None:
        """Store a delivery, with its next notice if it wants one."""
        effects.outputs += self._outputs.of(facts)
        update = wants_notice(delivery)
        if update is not None and self._muted(update, now):
            delivery, update = replace(delivery, newer=None), None
        if update is not None and not self._has_share(unit, receiver, update, now):
            refused = refuse(delivery, update, f"capped: the rule sends {update.cap:,} an hour", now)
            effects.outputs += self._outputs.of(refused.facts)
            delivery, update = refused.delivery, None
        if update is None:
            unit.put(key, plan(delivery, receiver, AT_ONCE, now).delivery)
            return
        decided = plan(delivery, receiver, self._placed(unit, receiver, update, now), now)
        effects.outputs += self._outputs.of(decided.facts)
        unit.put(key, decided.delivery)
        if is_posting(decided.delivery):
            self._ready.append((unit.partition, key))

    def _has_share(self, unit: NoticeUnit, receiver: str, update: AlertUpdate, now: Micros) -> bool:
        """Whether the rule may notify the receiver of one more in this hour; then the alert is counted."""
        known = self._receivers.by_name.get(receiver)
        if not update.cap or update.summary.state != "firing" or (known and known.groups_itself):
            return True
        rule = update.summary.name
        share = shared(unit.share(receiver, rule), update, now)
        if share is not None:
            unit.put(share_key(receiver, rule), share)
        return share is not None

    def _placed(self, unit: NoticeUnit, receiver: str, update: AlertUpdate, now: Micros) -> Placement:
        known = self._receivers.by_name.get(receiver)
        if known is None or known.groups_itself:
            return AT_ONCE
        name = group_of(update)
        group, state = unit.group(receiver, name), unit.receiver(receiver)
        placement, group, state = place(update, group, state, known.most_per_hour, now)
        if name:
            unit.put(group_key(receiver, name), group)
        unit.put(receiver_key(receiver), state)
        return placement

    def _begin_posts(self, unit: NoticeUnit, ready: Iterable[bytes], now: Micros, effects: Effects) -> None:
        """Post what was stored before. A receiver that has switched itself off is not called."""
        keys = [key for key in dict.fromkeys(ready) if (unit.partition, key) not in self.posts]
        unit.read(keys)
        for key in keys:
            job = job_of(unit.partition, key, unit.state(key))
            if job is None:
                continue
            known, state = self._receivers.by_name.get(job.receiver), unit.receiver(job.receiver)
            if known is not None and state.is_off(known.fingerprint):
                off = Rejected(f"is switched off: it {state.off_error}; change its settings", 410)
                self._end(unit, job.receiver, key, off, now, effects)
            else:
                self.posts.submit(job)

    def _apply(self, unit: NoticeUnit, ended: Sequence[PostEnded], now: Micros, effects: Effects) -> None:
        unit.read(one.job.key for one in ended)
        for job, result in ended:
            if (unit.partition, job.key) in self._inherited:
                self._inherited.discard((unit.partition, job.key))
                result = perhaps_received(result)
            if isinstance(result, SwitchedOff):
                self._switch_off(unit, job.receiver, result)
            self._end(unit, job.receiver, job.key, result, now, effects)

    def _end(
        self, unit: NoticeUnit, receiver: str, key: bytes, result: PostResult, now: Micros, effects: Effects
    ) -> None:
        match unit.state(key):
            case AlertDelivery(pending=pending) as delivery if pending and pending.status == "posting":
                decided = applied(delivery, result, now)
                self._advance(unit, receiver, key, decided.delivery, decided.facts, now, effects)
            case NoticeGroup(digest=digest) as group if digest and digest.status == "posting":
                members, facts = end_digest(unit, key, group, result, now)
                effects.outputs += self._outputs.of(facts)
                for member in members:
                    if isinstance(after := unit.state(member), AlertDelivery):
                        self._advance(unit, receiver, member, after, (), now, effects)

    def _switch_off(self, unit: NoticeUnit, receiver: str, result: SwitchedOff) -> None:
        known = self._receivers.by_name.get(receiver)
        if known is not None:
            log.error(
                "the receiver %s %s: it is switched off, and gets nothing until its settings change",
                receiver,
                result.error,
            )
            off = replace(unit.receiver(receiver), off=known.fingerprint, off_error=result.error)
            unit.put(receiver_key(receiver), off)

    def _look(self, unit: NoticeUnit, now: Micros, effects: Effects) -> None:
        """Look at due states of a partition."""
        due = self._context.table.due(unit.partition, now, _AT_ONCE)
        effects.more = effects.more or len(due) == _AT_ONCE
        unit.read(due)
        gathered: dict[tuple[str, str], dict[bytes, AlertDelivery]] = defaultdict(dict)
        for key in due:
            state = unit.state(key)
            if (unit.due(state) or now) > now:
                continue  # changed just now
            match state:
                case AlertDelivery(pending=None) | NoticeGroup(digest=None) | RuleShare():
                    unit.remove(key)
                case AlertDelivery(pending=pending) as delivery if pending is not None:
                    if pending.status == "gathered" and not self._is_muted(unit, key, delivery, now, effects):
                        gathered[pending.update.receiver, pending.group][key] = delivery
                    elif pending.status in ("retrying", "posting"):
                        self._try_again(unit, key, now, effects)
                case NoticeGroup():
                    self._try_again(unit, key, now, effects)
        for (receiver, group), members in gathered.items():
            keys, facts = seal(unit, receiver, group, members, now)
            effects.outputs += self._outputs.of(facts)
            self._ready += [(unit.partition, key) for key in keys]

    def _muted(self, update: AlertUpdate, now: Micros) -> str:
        """Why nobody is notified of a firing alert; the end of an alert always goes out."""
        return self._outside.muted(update.summary.name, now) if update.summary.state == "firing" else ""

    def _is_muted(
        self, unit: NoticeUnit, key: bytes, delivery: AlertDelivery, now: Micros, effects: Effects
    ) -> bool:
        """Whether the rule of a pending notice is muted; then the notice is dropped."""
        assert delivery.pending is not None
        why = self._muted(delivery.pending.update, now)
        decided = mute(delivery, why, now) if why else None
        if decided is None or decided.delivery is delivery:
            return False
        effects.outputs += self._outputs.of(decided.facts)
        unit.put(key, decided.delivery)
        return True

    def _try_again(self, unit: NoticeUnit, key: bytes, now: Micros, effects: Effects) -> None:
        """Store that a notice or digest is to be posted now; one still being posted gets more time."""
        state = unit.state(key)
        if isinstance(state, AlertDelivery):
            if self._is_muted(unit, key, state, now, effects):
                return
            unit.put(key, try_now(state, now))
        elif isinstance(state, NoticeGroup) and state.digest is not None:
            tries = replace(state.digest.tries, next_at=now + FIRST_LEASE)
            unit.put(key, replace(state, digest=replace(state.digest, status="posting", tries=tries)))
        self._ready.append((unit.partition, key))

    def _recall(self, now: Micros, effects: Effects) -> None:
        """Have a receiver that has come back try its waiting notices now."""
        table = self._context.table
        for receiver in self.posts.back():
            places = (
                (partition, key)
                for partition in self._router.units()
                for key in table.due(partition, now + _FAR, table.size(partition))
            )
            self._recalled.begin(receiver, places)
        for receiver, by_partition in self._recalled.following().items():
            for partition, keys in by_partition.items():
                unit = NoticeUnit(self._context, partition, self._retention, effects)
                self._recall_keys(unit, receiver, keys, now, effects)
        effects.more = effects.more or bool(self._recalled)

    def _recall_keys(
        self, unit: NoticeUnit, receiver: str, keys: Iterable[bytes], now: Micros, effects: Effects
    ) -> None:
        changed = effects.changes.get(unit.partition, {})
        keys = [key for key in keys if key not in changed]
        unit.read(keys)
        for key in keys:
            match unit.state(key):
                case AlertDelivery(pending=pending) if pending and pending.status == "retrying":
                    if pending.update.receiver == receiver:
                        self._try_again(unit, key, now, effects)
                case NoticeGroup(digest=digest) if digest and digest.status == "retrying":
                    self._try_again(unit, key, now, effects)

    def _kind_of(self, receiver: str) -> ReceiverKind:
        known = self._receivers.by_name.get(receiver)
        kind: ReceiverKind = getattr(known, "kind", "unknown")
        return kind

    def _width_of(self, receiver: str) -> int:
        known = self._receivers.by_name.get(receiver)
        return known.concurrency if known is not None else 1


__all__ = ["ROLE", "TABLE", "Notifications"]
