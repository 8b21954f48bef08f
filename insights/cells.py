"""CSV opened as text by spreadsheets: no cell is a formula, numbers stay numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from upshot.errors import UpshotError

#: What a spreadsheet takes for the beginning of a formula; tab and line breaks, since some skip them; and
#: wide forms.
_FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
#: Between the digits of a number.
_SEPARATORS = str.maketrans("", "", ",_'")
_OF_A_NUMBER = frozenset("0123456789.+-eE")
_LONGEST_NUMBER = 400
#: Text is in quotes in ClickHouse's CSV, and quotes inside of it are double; numbers and NULL are bare.
_TEXT = re.compile(rb'"(?:[^"]++|"")*+"?+')


def without_formulas(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same CSV, in ClickHouse's format, with `'` before each text cell otherwise taken for a formula.

    A row is yielded once all of the row has come.
    """
    held: list[bytes] = []
    inside = False
    try:
        for block in blocks:
            end, inside = _end_of_rows(block, inside)
            if end < 0:
                held.append(block)
                continue
            yield _TEXT.sub(_harmless, b"".join([*held, block[: end + 1]]))
            held = [block[end + 1 :]]
    except UpshotError:  # what came before it counts
        yield _TEXT.sub(_harmless, b"".join(held))
        raise
    yield _TEXT.sub(_harmless, b"".join(held))


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would calculate this cell."""
    return len(text) > 1 and text[0] in _FORMULA and not _is_number(text)


def _is_number(text: str) -> bool:
    """Whether the text is a number as people write it: signed, with separators of thousands, in percent."""
    if len(text) > _LONGEST_NUMBER:
        return False
    bare = text.removesuffix("%").rstrip()
    digits = bare.translate(_SEPARATORS)
    if bare.lstrip("+-")[:1] in ("", ",", "_", "'") or not _OF_A_NUMBER.issuperset(digits):
        return False
    try:
        float(digits)
    except ValueError:
        return False
    return True


def _harmless(found: re.Match[bytes]) -> bytes:
    text = found[0][1:-1].decode("utf-8", "replace")
    return b"\"'" + found[0][1:] if is_formula(text) else found[0]


def _end_of_rows(block: bytes, inside: bool) -> tuple[int, bool]:
    """Where the last row in the block ends, or -1; and whether the block ends inside of a quoted cell."""
    end, at = -1, 0
    for number, part in enumerate(block.split(b'"')):
        if number:
            inside = not inside
        if not inside and (newline := part.rfind(b"\n")) >= 0:
            end = at + newline
        at += len(part) + 1
    return end, inside


__all__ = ["is_formula", "without_formulas"]
