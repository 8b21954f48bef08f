"""Filling an empty partition from a whole changelog, quicker than change by change.

Nothing is read and no log is written while values come in, and the index is made at the end, when each key's
last value is known. Until `finish` the database has no position: a process finding no position begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from rocksdict import WriteBatch, WriteOptions

from upshot.streams.state.framing import DUE, NEVER, check, waiting_in
from upshot.streams.state.partition import PartitionTable, is_stall

#: Keys that go into one write: a few milliseconds in which nobody else runs.
SLICE = 5_000


class BulkLoad:
    """A table being filled: any number of `take`, then `index`, `flush` and `finish`. For a single thread at
    a time.
    """

    def __init__(self, table: PartitionTable) -> None:
        self._table = table
        self._options = WriteOptions()
        self._options.disable_wal = True  # type: ignore[assignment,method-assign]
        self._options.no_slowdown = True

    def take(self, changes: Mapping[bytes, bytes | None]) -> Iterator[bool]:
        """Take over framed values, later ones over earlier ones; None deletes. Raises UnknownFormat.

        Runs step by step while iterated; False means: the database has to catch up before the next step.
        """
        items = iter(changes.items())
        while part := list(islice(items, SLICE)):
            batch = WriteBatch(raw_mode=True)
            for key, framed in part:
                if framed is None:
                    batch.delete(key)
                else:
                    check(framed)
                    batch.put(key, framed)
            yield from self._write(batch)

    def index(self) -> Iterator[bool]:
        """Make the index from the values taken. Runs as `take` does."""
        self._size, self._waiting, self._floor = 0, 0, NEVER
        values = self._table.framed_items()
        while part := list(islice(values, SLICE)):
            batch = WriteBatch(raw_mode=True)
            for key, framed in part:
                due = framed[DUE]
                self._waiting += waiting_in(framed)
                if due != NEVER:
                    batch.put(due + key, b"", self._table.in_index)
                    self._floor = min(self._floor, due)
            self._size += len(part)
            yield from self._write(batch)

    def flush(self) -> None:
        """Bring everything to disk. Takes time; may run in another thread."""
        self._table.flush()

    def finish(self, position: int) -> None:
        """From now on the table is the state at this position of the changelog; everything is on disk."""
        self._table.adopt(position, self._size, self._waiting, self._floor)

    def _write(self, batch: WriteBatch) -> Iterator[bool]:
        while True:
            try:
                self._table.database.write(batch, self._options)
            except Exception as error:
                if not is_stall(error):
                    raise
                yield False
            else:
                yield True
                return


__all__ = ["BulkLoad"]
