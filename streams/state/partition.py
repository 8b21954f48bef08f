"""One partition of a table in a RocksDB of its own: values, the index by due instant, and the position."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any, NamedTuple

from rocksdict import Options, Rdict, WriteBatch, WriteOptions

from upshot.errors import UpshotError
from upshot.streams.state.framing import (
    DUE,
    NEVER,
    NONE_WAIT,
    PAYLOAD,
    WAITING,
    due_bytes,
    waiting_in,
)
from upshot.streams.state.tuning import Memory, index_options, meta_options, values_options

LAYOUT = 2
#: Values that were read or changed last, at the most: what is told of one subject often comes together.
REMEMBERED = 10_000
#: Bytes of them, at the most.
REMEMBERED_BYTES = 64 * 1024 * 1024

_META = b"meta"
_SOURCE = b"source"
#: Layout, position, number of keys, what waits, seconds since 1970 of the last write; then the least due
#: instant.
_STATE = struct.Struct(">Bqqqd8s")
_NOWHERE = -1


class UnusableState(UpshotError):
    """A database can't be opened or trusted; the database is set aside and rebuilt from the changelog,
    nothing is lost.
    """


class Stalled(UpshotError):
    """RocksDB is behind with its own work and took nothing; to be tried again soon, nothing is lost."""


class State(NamedTuple):
    """The contents of a database. A `position` of None: unknown, the database has to be rebuilt.

    No entry of the index lies before `floor`; on disk `floor` is an instant, in memory as exact as known.
    """

    position: int | None
    size: int
    waiting: int
    written_at: float
    floor: bytes


_EMPTY = State(None, 0, 0, 0.0, NEVER)


class PartitionTable:
    """Framed values by key; see `framing`. For a single thread at a time.

    Opening, `close` and long iterations take time with the disk: outside of an event loop's thread. Raises
    UnusableState where the folder's contents are no database of this layout.
    """

    def __init__(self, folder: Path, memory: Memory) -> None:
        self.folder = folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Of any type, since rocksdict's keys and values are; in raw mode all are bytes.
            self.database: Any = Rdict(str(folder), values_options(memory), _columns(memory))
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            raise UnusableState(f"{folder} can't be opened: {error}") from None
        self._due: Any = self.database.get_column_family("due")
        self._meta: Any = self.database.get_column_family("meta")
        self.in_index, self._in_meta = map(self.database.get_column_family_handle, ("due", "meta"))
        self._read: dict[bytes, bytes | None] = {}
        self._read_bytes = 0
        # A stall would hold the whole process, heartbeats and all: rather be told, and try again.
        self._options = WriteOptions()
        self._options.no_slowdown = True
        try:
            self._state = _state(self._meta.get(_META))
        except Exception as error:  # noqa: BLE001
            self.close()
            raise UnusableState(f"{folder} can't be read: {error}") from None

    @property
    def position(self) -> int | None:
        """The changelog's offset up to which the changes of all records before it are here."""
        return self._state.position

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written to the database."""
        return self._state == _EMPTY

    @property
    def is_unfinished(self) -> bool:
        """Whether the process ended while filling the database in bulk: the missing values are unknown."""
        return self.is_new and next(iter(self.database.keys()), None) is not None

    @property
    def size(self) -> int:
        """How many keys there are."""
        return self._state.size

    @property
    def waiting(self) -> int:
        """How many things wait, over all keys."""
        return self._state.waiting

    @property
    def written_at(self) -> float:
        """When the database was last written to, in seconds since 1970."""
        return self._state.written_at

    @property
    def source(self) -> bytes | None:
        """The id of the changelog behind the database; None where never noted."""
        source: bytes | None = self._meta.get(_SOURCE)
        return source

    def comes_from(self, source: bytes) -> None:
        """Note the id of the changelog filling the database."""
        self._meta.put(_SOURCE, source)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The handler's bytes for each key, None for keys without a value. Values changed next should be read
        so.
        """
        return [None if framed is None else framed[PAYLOAD[framed[0]] :] for framed in self._framed(keys)]

    def framed(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """The framed value of each key, None for keys without a value."""
        return dict(zip(keys, self._framed(keys), strict=True))

    def framed_items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key with its framed value, by key."""
        return iter(self.database.items())

    def due(self, upto: int, limit: int) -> list[bytes]:
        """Keys due at or before this instant, earliest first; the same again until they're changed."""
        last = due_bytes(upto)
        keys: list[bytes] = []
        for entry in self._due.keys(from_key=self._state.floor):
            if entry[:8] > last or len(keys) == limit:
                break
            keys.append(entry[8:])
        return keys

    def nearest_due(self) -> int | None:
        """The earliest due instant; None where nothing is due ever."""
        for entry in self._due.keys(from_key=self._state.floor):
            # What lay before it is deleted: not to be passed over again by the next who looks.
            self._state = self._state._replace(floor=entry)
            return int.from_bytes(entry[:8], "big")
        self._state = self._state._replace(floor=NEVER)
        return None

    def apply(self, changes: Mapping[bytes, bytes | None], position: int | None) -> None:
        """Take over framed values (None deletes) and the position reached with them, all or nothing.

        Raises Stalled where the call has to be repeated.
        """
        self._remember(changes)
        batch = WriteBatch(raw_mode=True)
        size, waiting, floor = self._fill(batch, changes)
        self._write(batch, State(position, self.size + size, self.waiting + waiting, time(), floor))
        self._read.update(changes)
        self._read_bytes += sum(map(len, filter(None, changes.values())))

    def flush(self) -> None:
        """Bring to disk all changes written without a log. Takes time with the disk."""
        for column in (self.database, self._due):
            column.flush()

    def adopt(self, position: int, size: int, waiting: int, floor: bytes) -> None:
        """Take the values written past `apply` as the state at this position."""
        self._write(WriteBatch(raw_mode=True), State(position, size, waiting, time(), floor))
        self._read.clear()

    def touch(self) -> None:
        """Note the database as still in use, although nothing changes."""
        self.apply({}, self.position)

    def close(self) -> None:
        """Leave the files to the next process opening them. Nothing works after `close`."""
        self._read.clear()
        # RocksDB keeps its files until nothing that it has given out is left.
        del self.in_index, self._in_meta
        for column in (self._due, self._meta, self.database):
            column.close()

    def _framed(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._remember(keys)
        read = self._read
        return [read[key] for key in keys]

    def _remember(self, keys: Collection[bytes]) -> None:
        """Have these in `_read`, which is as the database is."""
        if len(self._read) + len(keys) > REMEMBERED or self._read_bytes > REMEMBERED_BYTES:
            self._read.clear()
            self._read_bytes = 0
        if unread := [key for key in keys if key not in self._read]:
            values = self.database.get(unread)
            self._read.update(zip(unread, values, strict=True))
            self._read_bytes += sum(map(len, filter(None, values)))

    def _fill(self, batch: WriteBatch, changes: Mapping[bytes, bytes | None]) -> tuple[int, int, bytes]:
        """Write values and index into the batch; how many keys more there are, how many things more wait, and
        the least entry.
        """
        put, delete, read, index = batch.put, batch.delete, self._read, self.in_index
        size, waiting, floor = 0, 0, self._state.floor
        for key, framed in changes.items():
            before = read[key]
            if before is None:
                old = NEVER
            else:
                old = before[DUE]
                if before[WAITING] != NONE_WAIT:
                    waiting -= waiting_in(before)
            if framed is not None:
                put(key, framed)
                new = framed[DUE]
                if framed[WAITING] != NONE_WAIT:
                    waiting += waiting_in(framed)
                size += before is None
            elif before is not None:
                delete(key)
                new = NEVER
                size -= 1
            else:
                continue
            if new != old:
                if old != NEVER:
                    delete(old + key, index)
                if new != NEVER:
                    put(entry := new + key, b"", index)
                    floor = min(floor, entry)
        return size, waiting, floor

    def _write(self, batch: WriteBatch, state: State) -> None:
        batch.put(_META, _packed(state), self._in_meta)
        try:
            self.database.write(batch, self._options)
        except Exception as error:
            if is_stall(error):
                raise Stalled(f"{self.folder} has to catch up first") from None
            raise
        self._state = state


def is_stall(error: Exception) -> bool:
    """Whether RocksDB refused a write because of being behind."""
    return "stall" in str(error).lower() or "Incomplete" in str(error)


def _packed(state: State) -> bytes:
    position = _NOWHERE if state.position is None else state.position
    return _STATE.pack(LAYOUT, position, state.size, state.waiting, state.written_at, state.floor[:8])


def _state(found: bytes | None) -> State:
    if found is None:
        return _EMPTY
    if len(found) != _STATE.size or found[0] != LAYOUT:
        raise UnusableState(f"layout {found[0]} is of another version, this one knows {LAYOUT}")
    _, position, size, waiting, written_at, floor = _STATE.unpack(found)
    return State(None if position == _NOWHERE else position, size, waiting, written_at, floor)


def _columns(memory: Memory) -> dict[str, Options]:
    return {"default": values_options(memory), "due": index_options(memory), "meta": meta_options(memory)}


__all__ = ["PartitionTable", "Stalled", "State", "UnusableState", "is_stall"]
