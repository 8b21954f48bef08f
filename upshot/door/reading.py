"""Reading events from text that people and programs write: JSON lines, an array, one object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec


class Entry(NamedTuple):
    """One event as it was written, and where: a record's value and headers, not checked yet."""

    where: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


def read_events(raw: bytes) -> list[Entry]:
    """The events in `raw`, each with its line or its place in the array; nothing is checked yet."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    whole = raw.strip()
    try:
        if whole.startswith(b"["):
            return items_of(whole)
        if whole.startswith(b"{"):
            # Lines of JSON stop being JSON at the second line.
            msgspec.json.decode(whole, type=msgspec.Raw)
            return [Entry("the event", whole)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    lines = enumerate(raw.split(b"\n"), 1)
    return [Entry(f"line {number}", line.strip()) for number, line in lines if line.strip()]


def items_of(array: bytes) -> list[Entry]:
    """The items of a JSON array, byte for byte. Raises msgspec.DecodeError where it's none."""
    items = msgspec.json.decode(array, type=list[msgspec.Raw])
    return [Entry(f"item {number}", bytes(item)) for number, item in enumerate(items, 1)]


def encoded(item: object) -> bytes:
    """JSON as a record of its own."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def key_of(event: Entry, field: str) -> str | None:
    """The value of `field` as the record's key; None where it isn't there."""
    try:
        value = msgspec.json.decode(event.value)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    key = value.get(field) if isinstance(value, dict) else None
    return key if isinstance(key, str) or key is None else encoded(key).decode()


__all__ = ["Entry", "encoded", "items_of", "key_of", "read_events"]
