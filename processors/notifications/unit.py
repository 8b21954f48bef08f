"""One unit of work on the role's table: states read once, changed, and written together."""

from __future__ import annotations

from collections.abc import Iterable

from upshot.processors.notifications.retries import HOUR
from upshot.processors.notifications.state import (
    AlertDelivery,
    NoticeGroup,
    ReceiverState,
    RuleShare,
    Stored,
    decode_stored,
    delivery_key,
    encode_stored,
    group_key,
    receiver_key,
    share_key,
)
from upshot.streams.events.instants import Micros
from upshot.streams.runtime import BatchContext, Change, Effects


class NoticeUnit:
    """The states of one partition during one call of the handler. `effects` gets the changes."""

    def __init__(self, context: BatchContext, partition: int, retention: Micros, effects: Effects) -> None:
        self.partition = partition
        self._table = context.table
        self._retention = retention
        self._changes = effects.changes.setdefault(partition, {})
        self._states: dict[bytes, Stored | None] = {}

    def read(self, keys: Iterable[bytes]) -> None:
        """Read these states together, which is quicker."""
        unread = [key for key in dict.fromkeys(keys) if key not in self._states]
        values = self._table.get_many(self.partition, unread)
        for key, value in zip(unread, values, strict=True):
            self._states[key] = None if value is None else decode_stored(key, value)

    def state(self, key: bytes) -> Stored | None:
        """The state of a key of any kind; None for an unknown key."""
        if key not in self._states:
            self.read([key])
        return self._states[key]

    def delivery(self, receiver: str, alert_id: str) -> AlertDelivery:
        """An alert for a receiver."""
        found = self.state(delivery_key(receiver, alert_id))
        return found if isinstance(found, AlertDelivery) else AlertDelivery()

    def group(self, receiver: str, name: str) -> NoticeGroup:
        """A group of a receiver."""
        found = self.state(group_key(receiver, name))
        return found if isinstance(found, NoticeGroup) else NoticeGroup()

    def receiver(self, name: str) -> ReceiverState:
        """A receiver."""
        found = self.state(receiver_key(name))
        return found if isinstance(found, ReceiverState) else ReceiverState()

    def share(self, receiver: str, rule: str) -> RuleShare:
        """A rule's share of a receiver."""
        found = self.state(share_key(receiver, rule))
        return found if isinstance(found, RuleShare) else RuleShare()

    def put(self, key: bytes, state: Stored) -> None:
        """Change a state."""
        if self._states.get(key) != state:
            self._states[key] = state
            self._changes[key] = Change(encode_stored(state), self.due(state))

    def remove(self, key: bytes) -> None:
        """Forget a state."""
        self._states[key] = None
        self._changes[key] = None

    def due(self, state: Stored | None) -> Micros | None:
        """When a state is looked at next; None: not by the clock."""
        match state:
            case AlertDelivery(pending=None):
                return state.changed_at + self._retention
            case AlertDelivery(pending=pending):
                assert pending is not None
                return None if pending.status == "digested" else pending.tries.next_at
            case NoticeGroup(digest=None):
                return state.open_at + HOUR
            case NoticeGroup(digest=digest):
                assert digest is not None
                return digest.tries.next_at
            case RuleShare():
                return (state.hour + 1) * HOUR
            case _:
                return None


__all__ = ["NoticeUnit"]
