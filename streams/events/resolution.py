"""How exact an instant is, by the way of writing: `05:00:00Z` covers that second, `05:00:00.000Z` that
millisecond.

The width of an instant is the time covered beyond the first microsecond: 999,999 for a whole second, 999 for
a whole millisecond, 0 for an instant written to the microsecond or finer.
"""

from __future__ import annotations

import re

from upshot.streams.events.instants import Micros, instant

SECOND: Micros = 999_999
#: Kafka's timestamps are whole milliseconds.
MILLISECOND: Micros = 999
EXACT: Micros = 0

_MINUTE: Micros = 59_999_999
#: By the number of digits behind the seconds' point.
_BY_DIGITS = (SECOND, 99_999, 9_999, MILLISECOND, 99, 9, EXACT)
#: By the length of a text such as `2026-05-04T10:00:00.123Z`, which is nearly every one.
_BY_LENGTH = {20: SECOND} | {21 + digits: _BY_DIGITS[min(digits, 6)] for digits in range(1, 10)}
_PARTS = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9]{2}:[0-9]{2}(?P<seconds>:[0-9]{2}(?:[.,](?P<digits>[0-9]+))?)?"
)
_NUMBER = re.compile(r"[+-]?(?P<whole>[0-9]+)(?:\.(?P<digits>[0-9]+))?")
#: A plain number beyond this counts milliseconds since 1970, not seconds.
_LARGEST_SECONDS = 20_000_000_000


def width_of(text: str) -> Micros:
    """The width of an instant accepted by the contract, as written."""
    if text[-1] == "Z" and (width := _BY_LENGTH.get(len(text))) is not None:
        return width
    if found := _PARTS.match(text):
        return _by_digits(found["digits"]) if found["seconds"] else _MINUTE
    if found := _NUMBER.fullmatch(text):
        return MILLISECOND if int(found["whole"]) > _LARGEST_SECONDS else _by_digits(found["digits"])
    return EXACT


def _by_digits(digits: str | None) -> Micros:
    return _BY_DIGITS[min(len(digits or ""), 6)]


def written(at: Micros, width: Micros) -> str:
    """An instant of this width as RFC 3339 text, with the digits the width allows."""
    text = instant(at).strftime("%Y-%m-%dT%H:%M:%S.%f")
    digits = _BY_DIGITS.index(width) if width in _BY_DIGITS else 0
    return f"{text[: 20 + digits] if digits else text[:19]}Z"


__all__ = ["EXACT", "MILLISECOND", "SECOND", "width_of", "written"]
