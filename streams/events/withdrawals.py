"""Withdrawals, as the join needs them: cancellations of waits, and erasures of subjects and of runs."""

from __future__ import annotations

from msgspec import Struct

from upshot.errors import InvalidEvent
from upshot.schemas.subjects import folded
from upshot.schemas.withdrawals import Erasure, WaitCancellation
from upshot.streams.events.instants import Micros, micros
from upshot.streams.events.records import Record, decode_withdrawal

_LONGEST_KEY = 512


class Cancelling(Struct, frozen=True, gc=False):
    """A wait isn't needed any more since `at`. The subject is in the spelling that joins, and as it was `spelled`."""

    subject: str
    wait_id: str
    at: Micros
    revision: int
    reply_to: str
    spelled: str


class Erasing(Struct, frozen=True, gc=False):
    """What was asked and told about the subject up to `at` is to be forgotten; what this run asked, where there is one.

    The subject is in the spelling that joins, and as it was `spelled`.
    """

    subject: str
    at: Micros
    run_id: str | None
    spelled: str


def is_tombstone(record: Record) -> bool:
    """Whether it's a null record with a key: what the topic said of that key is to be forgotten."""
    return record.value is None and bool(record.key)


def is_withdrawal(record: Record) -> bool:
    """Whether it may be one; `read_withdrawal` knows."""
    value = record.value
    return value is None or b"cancelled_at" in value or b"erased_at" in value


def read_withdrawal(record: Record, now: Micros) -> Cancelling | Erasing | None:
    """The withdrawal; None where the record says something else. Raises InvalidEvent."""
    if is_tombstone(record):
        at = record.timestamp * 1000 + 999 if record.timestamp > 0 else now
        key = key_of(record)
        return Erasing(folded(key), at, None, key)
    match decode_withdrawal(record):
        case WaitCancellation() as event:
            at, reply_to = micros(event.cancelled_at), event.reply_to or ""
            return Cancelling(
                folded(event.subject), event.identity, at, event.revision, reply_to, event.subject
            )
        case Erasure() as event:
            return Erasing(folded(event.subject), micros(event.erased_at), event.run_id, event.subject)
        case None:
            return None


def key_of(record: Record) -> str:
    """The key of a null record. Raises InvalidEvent."""
    try:
        key = (record.key or b"").decode()
    except UnicodeDecodeError:
        key = ""
    if not 0 < len(key) <= _LONGEST_KEY:
        raise InvalidEvent(
            "empty",
            f"the record has no value, and its key is no text of 1 to {_LONGEST_KEY} characters: nothing was forgotten",
        )
    return key


__all__ = ["Cancelling", "Erasing", "is_tombstone", "is_withdrawal", "key_of", "read_withdrawal"]
