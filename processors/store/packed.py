"""Rows as bytes for ClickHouse: its MsgPack format, packed once, for the hash and for the way.

The format is strict where its JSON is not: bytes and doubles arrive unchanged, DateTime64 is its stored
integer, and a value of another type is refused rather than read as something near.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from upshot.processors.store.columns import COLUMNS, WIDE
from upshot.streams.events.instants import Micros

Values = tuple[Any, ...]

#: Above every instant of the contract; an instant subtracted from `_END` makes the earlier the higher.
_END = 1 << 62
#: Higher revisions are no longer told apart.
_MOST_REVISIONS = 1023
_encode = msgspec.msgpack.Encoder().encode
_U128, _U256 = b"\xc4\x10", b"\xc4\x20"


class Row(NamedTuple):
    """A row of `table`: its values one after the other, in the order of `columns.COLUMNS`."""

    table: str
    packed: bytes


def pack(table: str, values: Values) -> Row:
    """A row without a version."""
    return Row(table, _body(table, values)[0])


def pack_version(table: str, values: Values, order: int) -> Row:
    """A row whose version is `order`, and then a hash of its values: equal versions are equal rows."""
    body, tie = _body(table, values)
    return Row(table, body + _U128 + (order | tie).to_bytes(16, "little"))


def pack_precedence(table: str, values: Values, order: int, precedence: int) -> Row:
    """The same with a precedence, also ending in the hash."""
    body, tie = _body(table, values)
    version = (order | tie).to_bytes(16, "little")
    return Row(table, b"".join((body, _U128, version, _U256, (precedence | tie).to_bytes(32, "little"))))


def unpack(packed: bytes, table: str) -> list[Any]:
    """A row's values again, in the order of `columns.COLUMNS`; values over 64 bits as bytes."""
    values: list[Any] = msgspec.msgpack.decode(_head(len(COLUMNS[table])) + packed)
    return values


def later_wins(at: Micros, *, rank: int = 0) -> int:
    """An order: by rank, then the later. Its low 64 bits are free."""
    return rank << 126 | at << 64


def earlier_wins(at: Micros) -> int:
    """An order: the earlier first. Its low 64 bits are free."""
    return (_END - at) << 64


def higher_wins(revision: int, at: Micros) -> int:
    """An order: the higher revision, of equal ones the earlier; without a revision as `earlier_wins`."""
    if not revision:
        return earlier_wins(at)
    return (_END + (min(revision, _MOST_REVISIONS) << 52) + (1 << 52) - at) << 64


def _body(table: str, values: Values) -> tuple[bytes, int]:
    """The values one after the other, and 64 bits, different for different values.

    Raises OverflowError and TypeError for values that no column holds.
    """
    array = _encode(values)
    head = _HEADS[table]
    if not array.startswith(head):
        raise TypeError(f"{len(values)} values are no row of {table}")
    return array[len(head) :], int.from_bytes(blake2b(array, digest_size=8).digest(), "big")


def _head(size: int) -> bytes:
    """How MsgPack begins an array of so many values."""
    return bytes([0x90 | size]) if size < 16 else b"\xdc" + size.to_bytes(2, "big")


_HEADS: Mapping[str, bytes] = MappingProxyType(
    {table: _head(len([name for name in columns if name not in WIDE])) for table, columns in COLUMNS.items()}
)

__all__ = [
    "Row",
    "Values",
    "earlier_wins",
    "higher_wins",
    "later_wins",
    "pack",
    "pack_precedence",
    "pack_version",
    "unpack",
]
