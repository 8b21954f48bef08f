"""Protobuf's wire format: where the fields of a message lie, found without building any object for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

LEN = 2
_VARINT, _FIXED64, _FIXED32 = 0, 1, 5
_LONGEST_VARINT = 10
_LAST_OF_ONE_BYTE = 0x7F
#: Messages within messages; protobuf's own parsers take 100.
_DEEPEST = 128

#: The fields of a message that are messages themselves, by their numbers.
Shape: TypeAlias = "Mapping[int, Shape]"


class Malformed(ValueError):
    """These bytes are no protobuf message."""


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type and place of each field's value in `data[start:end]`. Raises Malformed."""
    place = start
    while place < end:
        tag = data[place]
        place += 1
        if tag > _LAST_OF_ONE_BYTE:
            tag, place = _varint(data, place - 1, end)
        kind = tag & 7
        begin = place
        if kind == LEN:
            if place < end and data[place] <= _LAST_OF_ONE_BYTE:
                length, begin = data[place], place + 1
            else:
                length, begin = _varint(data, place, end)
            place = begin + length
        elif kind == _VARINT:
            _, place = _varint(data, place, end)
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise Malformed("a field of an unknown wire type")
        if place > end or tag < 8:
            raise Malformed("a field that ends behind its message, or has no number")
        yield tag >> 3, kind, begin, place


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    """The number at `place`, and the place after the number."""
    value = shift = 0
    for at in range(place, min(end, place + _LONGEST_VARINT)):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise Malformed("a number without an end")


def has_more_messages(data: bytes, shape: Shape, most: int) -> bool:
    """Whether more than `most` messages lie within the message `data`. Stops at the first too many; linear.

    Raises Malformed.
    """
    if len(data) <= 2 * most:  # the least message inside another one takes two bytes
        return False
    found = 0
    open_messages = [(shape, fields(data, 0, len(data)))]
    while open_messages:
        inner, rest = open_messages[-1]
        for number, kind, begin, end in rest:
            if kind == LEN and number in inner:
                found += 1
                if len(open_messages) > _DEEPEST:
                    raise Malformed("messages within messages without an end")
                open_messages.append((inner[number], fields(data, begin, end)))
                break
        else:
            open_messages.pop()
        if found > most:
            return True
    return False


__all__ = ["LEN", "Malformed", "Shape", "fields", "has_more_messages"]
