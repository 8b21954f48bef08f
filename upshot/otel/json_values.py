"""Fields of protobuf's JSON.

Null counts as absent, long numbers may be text, anything else is a wrong type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

Object = dict[str, Any]

_WHOLE = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,5})?", re.ASCII)


class WrongType(ValueError):
    """A field holds a wrong value; the message names the problem: "name is no text"."""


def field(holder: Object, name: str, snake: str) -> Any:
    """A field by either of its names; None where absent or null."""
    value = holder.get(name)
    return holder.get(snake) if value is None and snake != name else value


def items(holder: Object, name: str, snake: str) -> list[Any]:
    """A list; empty where absent. Raises WrongType."""
    value = field(holder, name, snake)
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongType(f"{name} is no list")
    return value


def objects(holder: Object, name: str, snake: str) -> list[Object]:
    """A list of objects; empty where absent. Raises WrongType."""
    found = items(holder, name, snake)
    for item in found:
        if not isinstance(item, dict):
            raise WrongType(f"{name} holds something else than objects")
    return found


def text(holder: Object, name: str, snake: str) -> str:
    """A text; empty where absent. Raises WrongType."""
    value = field(holder, name, snake)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WrongType(f"{name} is no text")
    return value


def whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number, also 12.0 or "12". Raises WrongType."""
    if (isinstance(value, str) and _WHOLE.fullmatch(value)) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise WrongType(f"{name} is no whole number of 64 bits")
    return value


def number(name: str, value: Any) -> float:
    """A number, also as text, or one of protobuf's names for NaN and infinity. Raises WrongType."""
    if isinstance(value, str) and value in _NO_NUMBERS:
        return float(value)
    if isinstance(value, bool) or not (isinstance(value, int | float) or _is_number(value)):
        raise WrongType(f"{name} is no number")
    try:
        found = float(value)
    except OverflowError:
        found = inf
    if not isfinite(found):
        raise WrongType(f"{name} is no finite number")
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and bool(_NUMBER.fullmatch(value))


def nanoseconds(holder: Object, name: str, snake: str) -> int:
    """A time in nanoseconds since 1970; 0 where absent. Raises WrongType."""
    value = field(holder, name, snake)
    return 0 if value is None else whole(name, value, 0, 2**64 - 1)


def enumeration(holder: Object, name: str, prefix: str, names: Sequence[str]) -> int:
    """The number of an enumeration's value, which may be there by name. Raises WrongType."""
    value = holder.get(name)
    if value is None:
        return 0
    if isinstance(value, str) and value.startswith(prefix) and value.removeprefix(prefix) in names:
        return names.index(value.removeprefix(prefix))
    return whole(name, value, -(2**31), 2**31 - 1)


def is_text(value: Any) -> bool:
    """Whether all texts in a value are Unicode: no half of a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


__all__ = [
    "Object",
    "WrongType",
    "enumeration",
    "field",
    "is_text",
    "items",
    "nanoseconds",
    "number",
    "objects",
    "text",
    "whole",
]
