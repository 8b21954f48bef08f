"""The schemas' refusals, in words independent of the checks behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

#: Parts of a place that name a check, or one of several types that were tried: no field of the event's.
_CHECKS = ("is-instance", "lax-or-strict", "nullable", "json-or-python", "union")
_PLAIN_CHECKS = ("[key]", "bool", "float", "int", "str")
_CHECK_PREFIXES = ("function-", "constrained-")
_KINDS = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "dict": "a mapping of names to values",
    "list": "a list",
    "datetime": "a time with an offset, such as datetime.now(UTC)",
    "time_delta": "a length of time, such as timedelta(days=7) or 'P7D'",
}
_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda ctx: "is missing",
    "string_too_short": lambda ctx: "is empty",
    "string_too_long": lambda ctx: f"has more than {ctx['max_length']:,} characters",
    "too_short": lambda ctx: "is empty",
    "literal_error": lambda ctx: f"must be {ctx['expected']}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']}",
    "less_than": lambda ctx: f"must be less than {ctx['lt']}",
    "finite_number": lambda ctx: "must be finite",
}


def place_in(error: ErrorDetails) -> str:
    """The field at fault: `rule.on.pr.closed.score`; empty for the event as a whole."""
    parts = [str(part) for part in error["loc"]]
    if parts and parts[-1] == "[key]":
        return f"a name in {'.'.join(parts[:-2])}"
    named = len(parts)
    while named > 1 and _is_check(parts[named - 1]):
        named -= 1
    return ".".join(parts[:named])


def _is_check(part: str) -> bool:
    if part in _PLAIN_CHECKS:
        return True
    name, bracket, rest = part.partition("[")
    if bracket and not rest.endswith("]"):
        return False
    return name in _CHECKS or any(
        name.startswith(prefix) and name.removeprefix(prefix).replace("_", "a").isalnum()
        for prefix in _CHECK_PREFIXES
    )


def sentence_of(error: ErrorDetails) -> str:
    """The fault of that field, to be read behind its name: `must be a text`."""
    kind = error["type"]
    if text := _SENTENCES.get(kind):
        return text(error.get("ctx", {}))
    for name, words in _KINDS.items():
        if kind in (f"{name}_type", f"{name}_parsing") or (
            kind.startswith(name) and name in ("datetime", "time_delta")
        ):
            return f"must be {words}"
    message = re.sub(r"^(Value error, |Assertion failed, )", "", error["msg"])
    message = re.sub(r"^(Input|String|Dictionary|List) should", "must", message)
    return message[:1].lower() + message[1:]


def in_words(error: Exception) -> str:
    """The first fault of a value, after an error of its check: `ticket_id: Field required`."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = place_in(first)
        message = re.sub(r"^(Value error, |Assertion failed, )", "", first["msg"])
        return f"{where}: {message}" if where else message
    text = str(error).partition("\n")[0]
    return "it is of another type" if text.startswith("Pydantic") or "PydanticSerialization" in text else text


__all__ = ["in_words", "place_in", "sentence_of"]
