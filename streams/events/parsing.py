"""Bytes to JSON values, within limits of size and depth, in time linear in the length."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from math import isinf
from typing import Any

import msgspec

from upshot.errors import InvalidEvent
from upshot.streams.events.topics import MAX_EVENT_BYTES

#: Levels of lists and objects in an event. A limit of our own: Python's depends on who calls, so that the
#: store might refuse what the join took.
MAX_DEPTH = 200
#: One JSON text. Nothing in it is looked at twice, and one without an end goes on to the end of the bytes: a
#: text that had to end took a second for 16 KB of escaped quotes.
_JSON_TEXT = re.compile(rb'"(?:[^"\\]++|\\.?+)*+"?+', re.DOTALL)
_BRACKETS = b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
#: What each bracket adds to the depth.
_LEVELS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse(value: bytes | None, largest: int = MAX_EVENT_BYTES) -> Any:
    """A record's value, of `largest` bytes at the most, as JSON. Raises InvalidEvent."""
    if not value:
        raise InvalidEvent("empty", "the record has no value")
    if len(value) > largest:
        raise InvalidEvent(
            "too_large",
            f"{len(value)} bytes are more than {largest}; keep long content elsewhere and send a link",
        )
    if is_deep(value):
        raise InvalidEvent(
            "invalid_value", f"nested deeper than {MAX_DEPTH} levels: send it flat, or as text"
        )
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if _names_no_number(value):
            raise InvalidEvent(
                "not_finite", "NaN and Infinity are no JSON numbers: send null or leave it out"
            ) from None
        raise InvalidEvent("not_json", f"not UTF-8 JSON: {error}") from None


def _names_no_number(value: bytes) -> bool:
    """Whether the text is JSON but for an invalid number: NaN, Infinity, 1e999."""
    found: list[str] = []

    def number(text: str) -> float:
        if isinf(float(text)):
            found.append(text)
        return 0.0

    try:
        # As text: bytes would be read as UTF-16, too, in which `is_deep` can't tell how deep they are.
        json.loads(value.decode(), parse_constant=found.append, parse_float=number)
    except (ValueError, RecursionError):
        return False
    return bool(found)


def is_deep(value: bytes) -> bool:
    """Whether JSON is nested deeper than MAX_DEPTH. In time linear in its length, whatever the bytes are.

    Quick for text with few brackets, like nearly all text.
    """
    if len(value) <= 2 * MAX_DEPTH or value.count(b"{") + value.count(b"[") <= MAX_DEPTH:
        return False
    brackets = _JSON_TEXT.sub(b"", value).translate(None, _NO_BRACKETS)
    if brackets.count(b"{") + brackets.count(b"[") <= MAX_DEPTH:
        return False
    return max(accumulate(map(_LEVELS.__getitem__, brackets))) > MAX_DEPTH


__all__ = ["MAX_DEPTH", "is_deep", "parse"]
