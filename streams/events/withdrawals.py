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
    """A wait isn't needed any more since `at`. The subject is in the joining spelling, and as originally
    `spelled`.
    """

    subject: str
    wait_id: str
    at: Micros
    revision: int
    reply_to: str
    spelled: str


class Erasing(Struct, frozen=True, gc=False):
    """The waits and outcomes about the subject up to `at` are to be forgotten; with a run, only the waits of
    this run.

    The subject is in the joining spelling, and as originally `spelled`.
    """

    subject: str
    at: Micros
    run_id: str | None
    spelled: str


def is_tombstone(record: Record) -> bool:
    """Whether the record is null with a key: everything in the topic about this key is to be forgotten."""
    return record.value is None and bool(record.key)


def is_withdrawal(record: Record) -> bool:
    """Whether the record may be a withdrawal; `read_withdrawal` knows."""
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
            f"the record has no value, and its key is no text of 1 to {_LONGEST_KEY} characters: nothing was "
            "forgotten",
        )
    return key


__all__ = ["Cancelling", "Erasing", "is_tombstone", "is_withdrawal", "key_of", "read_withdrawal"]
