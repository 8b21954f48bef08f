"""Reading events from text written by people and programs: JSON lines, an array, a single object."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from upshot.errors import InvalidEvent

#: A text, whole or unfinished, or what separates: always a step forward.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+|[\[\]{},]', re.DOTALL)
#: An array of so many items at the most is small in memory, whatever they are.
_FEW_ENOUGH = 200_000


class InputEvent(NamedTuple):
    """An event as written, and where: a record's value and headers, not checked yet."""

    where: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


def read_events(raw: bytes, most: int | None = None) -> list[InputEvent]:
    """The events in `raw`, each with its line or its place in the array; nothing is checked yet.

    Raises InvalidEvent where these are more than `most`.
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    whole = raw.strip()
    try:
        if whole.startswith(b"["):
            return items_of(whole, most)
        if whole.startswith(b"{"):
            # Lines of JSON stop being JSON at the second line.
            msgspec.json.decode(whole, type=msgspec.Raw)
            return [InputEvent("the event", whole)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    found: list[InputEvent] = []
    for number, line in enumerate(io.BytesIO(raw), 1):
        if line := line.strip():
            found.append(InputEvent(f"line {number}", line))
            _refuse_more(len(found), most)
    return found


def items_of(array: bytes, most: int | None = None) -> list[InputEvent]:
    """The items of a JSON array, byte for byte.

    Raises msgspec.DecodeError where the text is no array, InvalidEvent for more than `most` items.
    """
    if most is not None and array.count(b",") > _FEW_ENOUGH:
        _refuse_more(items_at_least(array, most + 1), most)
    items = msgspec.json.decode(array, type=list[msgspec.Raw])
    _refuse_more(len(items), most)
    return [InputEvent(f"item {number}", bytes(item)) for number, item in enumerate(items, 1)]


def items_at_least(array: bytes, enough: int) -> int:
    """How many items a JSON array has, counted up to `enough`: no objects are made. Linear, whatever the
    bytes.
    """
    depth, found = 0, 1
    for token in _TOKEN.finditer(array):
        mark = token[0]
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
        elif mark == b"," and depth == 1:
            found += 1
            if found >= enough:
                break
    return found


def _refuse_more(found: int, most: int | None) -> None:
    if most is not None and found > most:
        raise InvalidEvent("too_large", f"more than {most} events: send fewer at a time")


def encoded(item: object) -> bytes:
    """JSON as a record of its own."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def key_of(value: bytes, field: str) -> str | None:
    """The value of `field` as the record's key; None for an absent field."""
    try:
        event = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    key = event.get(field) if isinstance(event, dict) else None
    return key if isinstance(key, str) or key is None else encoded(key).decode()


__all__ = ["InputEvent", "encoded", "items_at_least", "items_of", "key_of", "read_events"]
