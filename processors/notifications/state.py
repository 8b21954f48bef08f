"""The stored state of the role, as plain immutable data in JSON: per alert and receiver, group, receiver."""

from __future__ import annotations

from typing import Literal

import msgspec

from upshot.receivers.messages import AlertMessage, AlertState, AlertSummary
from upshot.streams.events.instants import Micros

#: `gathered`: waits for its group's digest. `posting`: to be posted now, or being posted. `retrying`: a try
#: failed. `digested`: part of a digest that is under way.
PendingStatus = Literal["gathered", "posting", "retrying", "digested"]
#: The state that a receiver has got last; empty: none.
DeliveredState = Literal["", "firing", "resolved"]


class RequestPlace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The place of a request in its topic."""

    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    #: Tells the topic from those of its name before it.
    made: str = ""


class AlertUpdate(msgspec.Struct, frozen=True, array_like=True):
    """A state of an alert for one receiver, as it arrived."""

    receiver: str
    summary: AlertSummary
    silent: str = ""
    digest: Micros = 0
    cooldown: Micros = 0
    place: RequestPlace = RequestPlace()
    #: The request's bytes, for a dead letter.
    original: bytes = b""
    #: The most firing alerts of the rule in an hour; 0: any number.
    cap: int = 0
    #: The failed notice to be tried again; empty: the state is news.
    retry: str = ""


class Tries(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The tries of a notice so far."""

    attempts: int = 0
    #: When it is tried next.
    next_at: Micros = 0
    last_status: int | None = None
    error: str = ""
    #: Whether the receiver may have it all the same.
    uncertain: bool = False


class PendingNotice(msgspec.Struct, frozen=True, array_like=True):
    """A notice not sent yet. Its id and content are stored before the first try."""

    notice_id: str
    update: AlertUpdate
    status: PendingStatus
    tries: Tries = Tries()
    group: str = ""
    digest_id: str = ""

    @property
    def state(self) -> AlertState:
        """The alert's state."""
        return self.update.summary.state

    @property
    def is_unsent(self) -> bool:
        """Whether the receiver has certainly not got it, and isn't getting it."""
        return self.status in ("gathered", "retrying") and not self.tries.uncertain


class AlertDelivery(msgspec.Struct, frozen=True, array_like=True):
    """One alert for one receiver. New fields go to the end, with a default."""

    #: The latest known state's.
    revision: int = -1
    delivered: DeliveredState = ""
    pending: PendingNotice | None = None
    #: A newer state than the pending notice's, to be looked at when the notice is done.
    newer: AlertUpdate | None = None
    #: States whose notice had its first try: a further notice of a state has another id.
    tried: tuple[str, ...] = ()
    changed_at: Micros = 0
    #: Records of notices so far.
    records: int = 0
    #: The notice given up last, while the alert is still in its state.
    failed: PendingNotice | None = None


class DigestMember(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A notice in a digest."""

    alert_id: str
    notice_id: str


class Digest(msgspec.Struct, frozen=True, array_like=True):
    """A digest under way: its members and content are stored before the first try."""

    message: AlertMessage
    members: tuple[DigestMember, ...]
    status: Literal["posting", "retrying"] = "posting"
    tries: Tries = Tries()
    records: int = 0


class NoticeGroup(msgspec.Struct, frozen=True, array_like=True):
    """Notices of one receiver that are gathered. From `open_at` on the next goes out at once."""

    open_at: Micros = 0
    digest: Digest | None = None


class ReceiverState(msgspec.Struct, frozen=True, array_like=True):
    """A receiver: posts in the present hour, and whether it has switched itself off."""

    hour: int = 0
    posts: int = 0
    #: The fingerprint of the settings that it answered 410 with, and the answer.
    off: str = ""
    off_error: str = ""

    def is_off(self, fingerprint: str) -> bool:
        """Whether it has switched itself off, with these settings."""
        return bool(self.off) and self.off == fingerprint


class RuleShare(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Firing alerts of one rule that a receiver was notified of in an hour."""

    hour: int = 0
    notified: int = 0


Stored = AlertDelivery | NoticeGroup | ReceiverState | RuleShare
_KINDS: dict[bytes, type[Stored]] = {
    b"a": AlertDelivery,
    b"g": NoticeGroup,
    b"r": ReceiverState,
    b"s": RuleShare,
}
_DECODERS = {kind: msgspec.json.Decoder(stored) for kind, stored in _KINDS.items()}
_encode = msgspec.json.Encoder().encode
_decode_parts = msgspec.json.Decoder(list[str]).decode


def delivery_key(receiver: str, alert_id: str) -> bytes:
    """The table's key of an alert for a receiver."""
    return b"a" + _encode((receiver, alert_id))


def group_key(receiver: str, group: str) -> bytes:
    """The table's key of a group."""
    return b"g" + _encode((receiver, group))


def receiver_key(receiver: str) -> bytes:
    """The table's key of a receiver."""
    return b"r" + _encode((receiver,))


def share_key(receiver: str, rule: str) -> bytes:
    """The table's key of a rule's share of a receiver."""
    return b"s" + _encode((receiver, rule))


def key_parts(key: bytes) -> list[str]:
    """The receiver of a key, and its alert or group."""
    return _decode_parts(key[1:])


def encode_stored(stored: Stored) -> bytes:
    """The table's value."""
    return _encode(stored)


def decode_stored(key: bytes, value: bytes) -> Stored:
    """The state behind a table's key and value."""
    found: Stored = _DECODERS[key[:1]].decode(value)
    return found


__all__ = [
    "AlertDelivery",
    "AlertUpdate",
    "DeliveredState",
    "Digest",
    "DigestMember",
    "NoticeGroup",
    "PendingNotice",
    "PendingStatus",
    "ReceiverState",
    "RequestPlace",
    "RuleShare",
    "Stored",
    "Tries",
    "decode_stored",
    "delivery_key",
    "encode_stored",
    "group_key",
    "key_parts",
    "receiver_key",
    "share_key",
]
