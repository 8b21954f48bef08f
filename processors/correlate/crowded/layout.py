"""How a crowded subject lies in the table: a head, its arrivals in order, and the standings of its waits.

    <subject>                            the head
    \xff <subject> \xff s <number>       a segment: some arrivals; written once
    \xff <subject> \xff v <wait id>      where a wait stands; written anew now and then

Where the waits stand follows from their last standings and the segments weighed since. No subject's name has
the byte 0xff, so the keys of parts never meet a subject's key. The head is written last: parts left by a
crash, and not yet known to the head, are written again, or overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from upshot.processors.correlate.state import (
    Cancellation,
    Mark,
    Revision,
    StoredOutcome,
    StoredWait,
    Subject,
    Verdict,
    WaitState,
)
from upshot.streams.events.instants import Micros

#: Bytes of a segment: more arrivals make another one.
SEGMENT = 64 * 1024
_MARK = b"\xff"
_BRACE = ord("{")
_VERSION = 1
#: Places in a segment.
_PLACES = 1 << 20


class Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The layout of a crowded subject.

    Segments up to `weighed` count in the answers; segments up to `after` are still to be weighed.
    """

    version: int = _VERSION
    weighed: int = 0
    after: int = 0
    #: No segment is left below this one.
    first: int = 0
    #: Segments below come from before the subject was crowded: their facts may have to be announced again.
    converted: int = 0
    #: Arrivals in the segments, and their bytes.
    arrivals: int = 0
    size: int = 0
    #: Deadlines still to be evaluated, as of `weighed`.
    open_waits: int = 0
    #: When to look at the subject again, as of `weighed`.
    due: Micros | None = None
    #: The standings are as of this segment; None, as in versions without the field: as of `weighed`.
    stood: int | None = None

    @property
    def weighed_again_from(self) -> int:
        """The first segment to be weighed again, without announcing anything, when the parts are read."""
        return self.weighed if self.stood is None else self.stood

    @property
    def is_waiting(self) -> bool:
        """Whether arrivals are still to be weighed."""
        return self.weighed < self.after


class OutcomeRecalled(msgspec.Struct, frozen=True, array_like=True, tag=0, gc=False):
    """An outcome arrived."""

    outcome: StoredOutcome


class Put(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """A wait arrived."""

    wait: StoredWait
    arrived: Micros


class EarlierWait(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A wait with all its revisions, from before the subject was crowded."""

    waiting: WaitState


class Cut(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """A wait was cancelled."""

    wait_id: str
    reply_to: str
    cancellation: Cancellation
    arrived: Micros


class Marked(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """A mark: as it was before the subject was crowded, or of something that is erased.

    See `processors.withdrawing`.
    """

    name: str
    mark: Mark


class Reminder(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """Deadlines up to this instant may have been announced: they are evaluated before the entries after."""

    upto: Micros


Entry = OutcomeRecalled | Put | EarlierWait | Cut | Marked | Reminder


class WaitStanding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a wait stands: its last revision, after all entries up to `seen`. `gone`: forgotten."""

    seen: int
    arrived: Micros
    judged_at: Micros | None = None
    number: int = 0
    verdict: Verdict | None = None
    decided_at: Micros = 0
    late: bool = False
    gone: bool = False
    cancellation: Cancellation | None = None

    @property
    def revision(self) -> Revision | None:
        """The wait's last revision."""
        if self.verdict is None:
            return None
        return Revision(self.number, self.verdict, self.decided_at, self.late)


_encode = msgspec.json.Encoder().encode
_head = msgspec.json.Decoder(Head).decode
_entries = msgspec.json.Decoder(list[Entry]).decode
_standing = msgspec.json.Decoder(WaitStanding).decode


def is_head(value: bytes) -> bool:
    """Whether a subject's value is the head of a crowded one; see `state.encode_subject` for the others."""
    return value[1] != _BRACE


def ordinal(segment: int, place: int) -> int:
    """The place of an entry among all entries of its subject."""
    return segment * _PLACES + place


def segment_key(subject: bytes, number: int) -> bytes:
    """The key of a segment."""
    return b"%b%b%bs%b" % (_MARK, subject, _MARK, number.to_bytes(8, "big"))


def standing_key(subject: bytes, wait_id: str) -> bytes:
    """The key of where a wait stands."""
    return b"%b%b%bv%b" % (_MARK, subject, _MARK, wait_id.encode())


def encode_head(head: Head) -> bytes:
    """The value of a head."""
    return _encode(head)


def decode_head(value: bytes) -> Head:
    """The head behind its value."""
    return _head(value)


def encode_standing(standing: WaitStanding) -> bytes:
    """The value of where a wait stands."""
    return _encode(standing)


def decode_standing(value: bytes) -> WaitStanding:
    """Where a wait stands."""
    return _standing(value)


def decode_segment(value: bytes) -> Sequence[Entry]:
    """The entries of a segment."""
    return _entries(value)


def encode_segment(entries: Iterable[Entry]) -> bytes:
    """The value of a segment."""
    return _encode(list(entries))


def segments(entries: Iterable[Entry]) -> Iterator[tuple[bytes, list[Entry]]]:
    """The entries cut into segments, each as its value."""
    part: list[bytes] = []
    within: list[Entry] = []
    size = 0
    for entry in entries:
        encoded = _encode(entry)
        if part and (size + len(encoded) > SEGMENT or len(part) == _PLACES):
            yield b"[%b]" % b",".join(part), within
            part, within, size = [], [], 0
        part.append(encoded)
        within.append(entry)
        size += len(encoded)
    if part:
        yield b"[%b]" % b",".join(part), within


def entries_of(subject: Subject) -> Iterator[Entry]:
    """A newly crowded subject, as entries."""
    yield from map(OutcomeRecalled, subject.outcomes.values())
    yield from map(EarlierWait, subject.waits.values())
    yield from map(Marked, subject.marks, subject.marks.values())


__all__ = [
    "SEGMENT",
    "Cut",
    "EarlierWait",
    "Entry",
    "Head",
    "Marked",
    "OutcomeRecalled",
    "Put",
    "Reminder",
    "WaitStanding",
    "decode_head",
    "decode_segment",
    "decode_standing",
    "encode_head",
    "encode_segment",
    "encode_standing",
    "entries_of",
    "is_head",
    "ordinal",
    "segment_key",
    "segments",
    "standing_key",
]
