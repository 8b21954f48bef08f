"""How a value lies in a table and in its changelog: a format, the due instant, the number of waiting things,
the handler's bytes.

The due instant comes first and big-endian, so bytes sort as instants do and an index can be built from the
changelog without knowing the meaning of the handler's bytes. Format 1, which is only read, didn't say how
many things wait.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from upshot.errors import UpshotError

FORMAT = 2
_BEFORE = 1
#: Where the due instant lies in a framed value.
DUE = slice(1, 9)
#: Where the number of things that wait lies in one of this format, and what is there where none does.
WAITING, NONE_WAIT = slice(9, 13), b"\0" * 4
#: The due instant of a key that never wants to be looked at.
NEVER = b"\xff" * 8

#: Where the handler's bytes begin, by format.
PAYLOAD = (0, 9, 13)
_head = Struct(">BQI").pack
_NEVER = (1 << 64) - 1
_LATEST = (1 << 64) - 2
_MOST = (1 << 32) - 1


class UnknownFormat(UpshotError):
    """A value was written by another version; fatal: nothing is changed, and the meaning is never guessed."""


class Unframed(NamedTuple):
    """The contents of a framed value."""

    value: bytes
    due: int | None
    waiting: int


def due_bytes(due: int) -> bytes:
    """Microseconds since 1970 as bytes sorting alike; instants before 1970 are due at once."""
    return _clamped(due).to_bytes(8, "big")


def frame(value: bytes, due: int | None, waiting: int = 0) -> bytes:
    """A handler's bytes, with the key's due instant (microseconds since 1970, None is never) and the number
    of waiting things.
    """
    if due is None:
        due = _NEVER
    elif not 0 <= due <= _LATEST:
        due = _clamped(due)
    return _head(FORMAT, due, waiting if waiting <= _MOST else _MOST) + value


def unframe(framed: bytes) -> Unframed:
    """The framed contents. Raises UnknownFormat."""
    check(framed)
    due = framed[DUE]
    return Unframed(payload(framed), None if due == NEVER else int.from_bytes(due, "big"), waiting_in(framed))


def payload(framed: bytes) -> bytes:
    """The handler's bytes of a framed value checked before."""
    return framed[PAYLOAD[framed[0]] :]


def waiting_in(framed: bytes) -> int:
    """How many things wait; 0 where the format doesn't say."""
    return int.from_bytes(framed[WAITING], "big") if framed[0] == FORMAT else 0


def check(framed: bytes) -> None:
    """Raises UnknownFormat where the value isn't ours."""
    if not framed or not _BEFORE <= framed[0] <= FORMAT or len(framed) < PAYLOAD[framed[0]]:
        found = framed[0] if framed else "nothing"
        raise UnknownFormat(
            f"a value of the table has format {found}, this version knows {_BEFORE} and {FORMAT}: nothing "
            "was changed; run the version that wrote it"
        )


def _clamped(due: int) -> int:
    return min(max(due, 0), _LATEST)


__all__ = [
    "DUE",
    "FORMAT",
    "NEVER",
    "NONE_WAIT",
    "PAYLOAD",
    "WAITING",
    "Unframed",
    "UnknownFormat",
    "check",
    "due_bytes",
    "frame",
    "payload",
    "unframe",
    "waiting_in",
]
