"""Up to when deadlines were evaluated, noted before any answer goes out: see decision 0028."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from upshot.streams.events.instants import Micros
from upshot.streams.runtime import Change, TableView

#: The key of a partition's note. No subject is empty, so no key of a subject or its parts is like this one.
KEY = b"\xff\xff"


class DeadlineNote(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Deadlines due up to this instant may have been announced without the state remembering the answers."""

    upto: Micros


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeadlineNote).decode


class DeadlineNotes:
    """The notes of this worker's partitions. For one thread."""

    def __init__(self, table: Callable[[], TableView]) -> None:
        self._table = table
        self._durable: dict[int, Micros] = {}
        self._written: dict[int, Micros] = {}

    def forget(self) -> None:
        """The partitions are no longer this worker's, or have just been assigned to the worker."""
        self._durable.clear()
        self._written.clear()

    def recall(self, partitions: Iterable[int]) -> None:
        """Take over the notes in the table."""
        for partition in partitions:
            value = self._table().get(partition, KEY)
            if value is not None:
                self._durable[partition] = _decode(value).upto

    def landed(self) -> None:
        """The last changes are durable."""
        self._durable |= self._written
        self._written.clear()

    def as_of(self, partition: int) -> Micros:
        """Up to when deadlines of the partition may be evaluated; 0 for none."""
        return self._durable.get(partition, 0)

    def write(self, partitions: Iterable[int], upto: Micros) -> dict[int, dict[bytes, Change | None]]:
        """The notes needed to evaluate what is due up to this instant; they count once `landed`."""
        due = [p for p in partitions if self.as_of(p) < upto and self._table().due(p, upto, 1)]
        self._written = dict.fromkeys(due, upto)
        return {partition: {KEY: Change(_encode(DeadlineNote(upto)))} for partition in due}


__all__ = ["KEY", "DeadlineNote", "DeadlineNotes"]
