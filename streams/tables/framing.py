"""How a value lies in a table and in its changelog: a format, the due instant, then the handler's own bytes.

The due instant comes first and big-endian, so that bytes sort as instants do and an index can be built from the
changelog without knowing what the handler's bytes mean.
"""

from __future__ import annotations

from struct import Struct

from upshot.errors import UpshotError

FORMAT = 1
#: Where the due instant lies in a framed value.
DUE = slice(1, 9)
#: Where the handler's bytes begin.
PAYLOAD = 9
#: The due instant of a key that never wants to be looked at.
NEVER = b"\xff" * 8

_head = Struct(">BQ").pack
_NEVER_HEAD = bytes([FORMAT]) + NEVER
_LATEST = (1 << 64) - 2


class UnknownFormat(UpshotError):
    """A value was written by another version; fatal: nothing is changed, and it's never guessed at."""


def due_bytes(due: int) -> bytes:
    """Microseconds since 1970 as bytes that sort alike; what lies before 1970 is due at once."""
    return _clamped(due).to_bytes(8, "big")


def _clamped(due: int) -> int:
    return min(max(due, 0), _LATEST)


def frame(value: bytes, due: int | None) -> bytes:
    """A handler's bytes with the instant (microseconds since 1970) at which the key is due; None is never."""
    if due is None:
        return _NEVER_HEAD + value
    return _head(FORMAT, due if 0 <= due <= _LATEST else _clamped(due)) + value


def unframe(framed: bytes) -> tuple[bytes, int | None]:
    """The handler's bytes and the due instant. Raises UnknownFormat."""
    check(framed)
    due = framed[DUE]
    return framed[PAYLOAD:], None if due == NEVER else int.from_bytes(due, "big")


def check(framed: bytes) -> None:
    """Raises UnknownFormat where the value isn't one of ours."""
    if len(framed) < PAYLOAD or framed[0] != FORMAT:
        found = framed[0] if framed else "nothing"
        raise UnknownFormat(
            f"a value of the table has format {found}, this version knows {FORMAT}: nothing was changed; run the "
            "version that wrote it"
        )


__all__ = ["DUE", "FORMAT", "NEVER", "PAYLOAD", "UnknownFormat", "check", "due_bytes", "frame", "unframe"]
