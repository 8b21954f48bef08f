"""Rules as a program says them: checked for what can't be meant, in words that say what to write instead."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from upshot.errors import Misuse
from upshot.sdk.values import plain_value, shown

#: What an outcome says: a constant, a path into it, or a mapping with `score`, `when` and `times` (see `Match`).
Says = bool | float | str | Mapping[str, Any]

_PARTS = ("data", "type", "id", "source", "time")
_PYTHON = {"true": "True", "false": "False", "null": "None", "none": "None", "True": "True", "False": "False"}
_KNOWN = ("score", "when", "times")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NEGATED = re.compile(r"-\s*([A-Za-z_].*)")
_TIMES = re.compile(r"(.+?)\s*\*\s*`?([+-]?\d+(?:\.\d+)?)`?")

logger = logging.getLogger("upshot")


def matches_of(on: Mapping[str, Says] | Sequence[str]) -> dict[str, dict[str, Any]]:
    """What each type of outcome says, as a rule has it. Raises Misuse."""
    if isinstance(on, str):
        raise Misuse(f'on={on!r} says no score; write on={{"{on}": True}} or on={{"{on}": "data.field"}}')
    if isinstance(on, Mapping):
        return {kind: _match_of(kind, says) for kind, says in on.items()}
    if not isinstance(on, Sequence | set | frozenset):
        raise Misuse(f'on={on!r:.100} names no outcomes; write on={{"pr.closed": "data.merged"}}')
    return {kind: {} for kind in on}


def window_of(within: timedelta | str) -> timedelta | str:
    """How long outcomes count. Raises Misuse for a length without a unit."""
    if isinstance(within, timedelta | str):
        return within
    raise Misuse(f"within={within!r} has no unit; write within=timedelta(days=7) or within='P7D'")


def _match_of(kind: Any, says: Says) -> dict[str, Any]:
    if not isinstance(kind, str) or not kind:
        raise Misuse(
            f"on names the outcome type {shown(kind)}; write a text such as 'pr.closed'; nothing is asked"
        )
    said: dict[str, Any] = dict(says) if isinstance(says, Mapping) else {"score": says}
    if unknown := [name for name in said if name not in _KNOWN]:
        raise Misuse(
            f"on[{kind!r}] says {unknown[0]!r:.50}, which is no part of it: there are {', '.join(_KNOWN)}; nothing is asked"
        )
    for name, value in said.items():
        if isinstance(value, str) and name != "times":
            _question(kind, name, value)
        elif name != "when" and value is not None:
            said[name] = _constant(kind, name, value)
    return said


def _constant(kind: str, part: str, value: Any) -> bool | float:
    try:
        return plain_value(value, kind)
    except Misuse:
        raise Misuse(
            f"on[{kind!r}] has the {part} {shown(value)}: write a finite number"
            + (
                ', True or False, or a path such as "data.merged"; nothing is asked'
                if part == "score"
                else "; nothing is asked"
            )
        ) from None


def _question(kind: str, part: str, path: str) -> None:
    """Refuse a text that can't be meant as a path, and warn of one that seldom is."""
    where = f"on[{kind!r}]" + (f"[{part!r}]" if part != "score" else "")
    said = path.strip()
    if said in _PYTHON:
        instead = (
            f"{_PYTHON[said]}, without quotes, "
            if part == "score"
            else 'a condition such as "data.amount > `10`" '
        )
        raise Misuse(
            f"{where}={path!r} is a path: the field {said!r} of an outcome, which none has; write {instead}"
            "where the constant is meant; nothing is asked"
        )
    if _NUMBER.fullmatch(said):
        raise Misuse(
            f"{where}={path!r} is a text; write {said} without quotes for the number; nothing is asked"
        )
    try:
        parsed = jmespath.compile(path).parsed
    except (JMESPathError, RecursionError):
        raise Misuse(
            f"{where}={path!r:.200} is no path into an outcome{_arithmetic(said)}; nothing is asked"
        ) from None
    first = _first_field(parsed)
    if first is not None and first not in _PARTS:
        raise Misuse(
            f"{where}={path!r:.200} begins with {first!r}, and an outcome has only {', '.join(_PARTS)}: write "
            f'"data.{path}" for a field of its data; nothing is asked'
        )
    if parsed["type"] == "field" and parsed["value"] == "data":
        logger.warning(
            "%s=%r is all that an outcome says: that is a score only where its data are a bare number or boolean; for a "
            'field of it write "data.field"',
            where,
            path,
        )


def _arithmetic(path: str) -> str:
    """How to write what was meant, where that is a sum."""
    if found := _NEGATED.fullmatch(path):
        return f': a path has no arithmetic; write {{"score": "{found[1]}", "times": -1}}'
    if found := _TIMES.fullmatch(path):
        return f': a path has no arithmetic; write {{"score": "{found[1]}", "times": {found[2]}}}'
    return ', such as "data.merged"; see https://jmespath.org'


def _first_field(parsed: Any) -> str | None:
    """The field of the outcome itself that a plain path begins with; None for other expressions."""
    while parsed["type"] in (
        "subexpression",
        "index_expression",
        "projection",
        "value_projection",
        "flatten",
    ):
        parsed = parsed["children"][0]
    return parsed["value"] if parsed["type"] == "field" else None


__all__ = ["Says", "matches_of", "window_of"]
