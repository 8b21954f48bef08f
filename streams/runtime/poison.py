"""Poison records: a record ending the worker, or taking its session, each time it's handled is found and set
aside.

A worker leaves a note with each committed offset, from the first record on, and takes the note back when
giving the partition away. A note found at an assignment means: the worker before has ended in the middle, in
any way: an exception, a kill for memory, a lost session. Then each poll is committed by itself, and where no
commit is reached either, fewer records are handled at once, until the record to blame stands alone.

A record is set aside only after having been in the handler alone, `ALONE` times in a row, when everything
ended. The note saying so is there for as long as the handler's own call takes, not while anything waits for
Kafka or ClickHouse: an ordinary kill, or one during an outage, leaves no such note, or not of the same record
again.

A worker cut short knowingly takes its notes back: a rebalance may come in the middle of a slow call, and
topics change. Notes belong to the topic they were left in, not to a topic made again with its name.

The notes lie in the group's metadata (`offset_metadata`): they survive the process and its disk, and the
ordinary path pays a commit for each assignment.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal, Protocol

import msgspec

from upshot.errors import InvalidEvent
from upshot.streams.events.handler import TP
from upshot.streams.events.records import Record

log = logging.getLogger(__name__)

#: Ends in a row, each with the record alone in the handler, after which it is set aside.
ALONE = 3
#: By so much less is handled at once after each end: 5,000 records, 250, 12, then one.
NARROWER = 20
#: Polls that are committed one by one after an end, before all is as ever.
CAUTIOUS_POLLS = 20

#: Exceptions that tell of data, or of code that meets data. Whatever a broker, a disk or a network raises is
#: none.
_OF_DATA = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    InvalidEvent,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)

Batches = Mapping[TP, Sequence[Record]]


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """The work begun at a committed offset: `span` records up to `until`; 0 is all coming records, however
    many.

    `alone` counts how often the record at `until` - 1 was in the handler alone.
    """

    poison_guard: Literal[1]
    span: int = 0
    until: int = 0
    alone: int = 0


def read_note(metadata: str) -> Note | None:
    """The note in the metadata; None for no note, and for foreign metadata."""
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(metadata, type=Note)
    return None


def write_note(note: Note) -> str:
    """The note as metadata."""
    return msgspec.json.encode(note).decode()


#: What is noted while all is well.
BEGUN = write_note(Note(1))


class Work(Protocol):
    """The guard's calls into the processing loop."""

    async def mark(self, notes: Mapping[TP, Note]) -> None:
        """Leave notes at the committed offsets; they are there once this returns."""

    async def process(self, batches: Batches) -> Callable[[], Awaitable[None]]:
        """Call the handler. The returned call carries out the effects."""

    async def settle(self, tp: TP, position: int) -> None:
        """All records before `position` were handled: make them durable and commit, which leaves a plain
        note.
        """

    async def set_aside(self, record: Record, why: str) -> None:
        """Keep the record as a dead letter; the broker has the dead letter once this returns."""


class PoisonGuard:
    """Hands records to the handler: all at once as long as all is well, few where something was amiss."""

    def __init__(self) -> None:
        #: As found at the assignment, of partitions where something was begun and not ended.
        self._found: dict[TP, Note] = {}
        #: Partitions with a note.
        self.marked: set[TP] = set()
        #: Polls that are still committed one by one.
        self._cautious: dict[TP, int] = {}

    def assigned(self, notes: Mapping[TP, str]) -> None:
        """Begin with the group's metadata of each partition."""
        found = {tp: note for tp, text in notes.items() if (note := read_note(text)) is not None}
        self._found, self.marked = found, set(found)
        self._cautious = dict.fromkeys(found, CAUTIOUS_POLLS)
        for tp, note in found.items():
            if note.span:
                log.warning(
                    "%s/%s: %d records up to offset %d were begun and never done; fewer are handled at once",
                    *tp,
                    note.span,
                    note.until - 1,
                )

    def to_take_back(self, positions: Mapping[TP, int]) -> set[TP]:
        """Partitions without their notes once all goes well.

        Notes found but not reached yet stay unchanged.
        """
        return {tp for tp in self.marked if tp not in self._found or positions[tp] >= self._found[tp].until}

    def is_calm(self, tp: TP) -> bool:
        """Whether the partition's records are handled as ever."""
        return tp not in self._cautious

    def suspicion(self, tp: TP) -> tuple[int, int]:
        """How much speaks for a poison record in the partition: partitions with less go first, and go on."""
        note = self._found.get(tp)
        return (0, 0) if note is None or not note.span else (1 + note.alone, -note.span)

    async def handle(self, batches: Batches, work: Work) -> None:
        """Have the records of calm partitions handled at once."""
        if unmarked := batches.keys() - self.marked:
            await work.mark(dict.fromkeys(unmarked, Note(1)))
            self.marked |= unmarked
        try:
            then = await work.process(batches)
        except _OF_DATA:
            await self._blame(work, {tp: _of(records) for tp, records in batches.items()})
            raise
        await then()

    async def handle_carefully(self, tp: TP, records: Sequence[Record], work: Work) -> None:
        """Have the records of a partition handled, and committed, by as many at once as seems safe."""
        found = self._found.pop(tp, None)
        if found is not None and found.span:
            records = await self._narrowed(tp, records, found, work)
        if records:
            await self._chunk(tp, records, 0, work)
        self._cautious[tp] -= 1
        if self._cautious[tp] <= 0:
            del self._cautious[tp]

    async def _narrowed(self, tp: TP, records: Sequence[Record], found: Note, work: Work) -> Sequence[Record]:
        """Have the records begun before handled, and return the others."""
        span = max(1, found.span // NARROWER)
        alone = found.alone
        while records and records[0].offset < found.until:
            is_same = alone > 0 and records[0].offset == found.until - 1
            if is_same and alone >= ALONE:
                await self._set_aside(tp, records[0], work)
            else:
                suspected = [record for record in records[:span] if record.offset < found.until]
                await self._chunk(tp, suspected, alone if is_same else 0, work)
                span = len(suspected)
            records = records[span:]
        return records

    async def _chunk(self, tp: TP, records: Sequence[Record], alone: int, work: Work) -> None:
        note = _of(records)
        if len(records) == 1:
            note = msgspec.structs.replace(note, alone=alone + 1)
        await work.mark({tp: note})
        try:
            then = await work.process({tp: records})
            if note.alone:
                await work.mark({tp: _of(records)})
            await then()
            await work.settle(tp, records[-1].offset + 1)
        except _OF_DATA:
            await self._blame(work, {tp: note})
            raise
        except Exception:
            await self._blame(work, {tp: _of(records)})
            raise

    async def _blame(self, work: Work, notes: Mapping[TP, Note]) -> None:
        """Leave notes of a failure. Where new notes can't be left, the earlier notes have to do."""
        with suppress(Exception):
            await work.mark(notes)

    async def _set_aside(self, tp: TP, record: Record, work: Work) -> None:
        why = (
            f"each of the last {ALONE} times that this record was handled, alone, the worker ended or lost "
            "its session"
        )
        await work.set_aside(
            record, f"{why}; nothing of it was used. Report it with its bytes, or mend and send it again"
        )
        await work.settle(tp, record.offset + 1)
        log.error(
            "%s/%s: the record at offset %d is set aside to the dead letters: %s", *tp, record.offset, why
        )


def _of(records: Sequence[Record]) -> Note:
    return Note(1, len(records), records[-1].offset + 1)


__all__ = [
    "ALONE",
    "BEGUN",
    "CAUTIOUS_POLLS",
    "NARROWER",
    "Note",
    "PoisonGuard",
    "Work",
    "read_note",
    "write_note",
]
