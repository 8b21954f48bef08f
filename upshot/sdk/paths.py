"""Paths into outcomes as people write them: nonsensical paths are refused, with the right spelling."""

from __future__ import annotations

import logging
import re
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from upshot.errors import Misuse

_PARTS = ("data", "type", "id", "source", "time")
_PYTHON = {"true": "True", "false": "False", "null": "None", "none": "None", "True": "True", "False": "False"}
_DIGITS = frozenset("0123456789.+-eE")
_NEGATED = re.compile(r"-\s*([A-Za-z_].*)")

logger = logging.getLogger("upshot")


def check_path(where: str, path: str, *, gives: str = "score") -> None:
    """Refuse a text without a meaning as a path, and warn of a path with an unlikely meaning.

    `gives` is the purpose of the path: a `score` or a `condition`. Raises Misuse.
    """
    _refuse_constant(where, path, gives)
    try:
        parsed = jmespath.compile(path).parsed
    except (JMESPathError, RecursionError):
        raise Misuse(
            f"{where}={path!r:.200} is no path into an outcome (JMESPath){_arithmetic(path.strip())}; "
            "no wait was opened"
        ) from None
    first = _first_field(parsed)
    if first is not None and first not in _PARTS:
        raise Misuse(
            f"{where}={path!r:.200} begins with {first!r}, and an outcome has only {', '.join(_PARTS)}: "
            f'write "data.{path}" for a field of its data; no wait was opened'
        )
    if parsed["type"] == "field" and parsed["value"] == "data":
        logger.warning(
            "%s=%r is the whole data of an outcome: right only where its data are a bare number or boolean; "
            'for a field of them write "data.field"',
            where,
            path,
        )


def _refuse_constant(where: str, path: str, gives: str) -> None:
    """Raises Misuse for a constant of Python, or a number, written as a text."""
    text = path.strip()
    if text in _PYTHON:
        constant = f"{_PYTHON[text]}, without quotes,"
        instead = constant if gives == "score" else 'a condition such as "data.amount > `10`"'
        raise Misuse(
            f"{where}={path!r} is a path: the field {text!r} of an outcome, which none has; write {instead} "
            "where the constant is meant; no wait was opened"
        )
    if _is_number(text):
        raise Misuse(
            f"{where}={path!r} is a text; write {text} without quotes for the number; no wait was opened"
        )


def _is_number(text: str) -> bool:
    if not text or len(text) > 400 or not _DIGITS.issuperset(text):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _arithmetic(path: str) -> str:
    """The right spelling, where arithmetic was meant."""
    if found := _NEGATED.fullmatch(path):
        return f': a path has no arithmetic; write {{"score": "{found[1]}", "times": -1}}'
    left, star, right = path.rpartition("*")
    if star and left.strip() and _is_number(factor := right.strip().strip("`")):
        return f': a path has no arithmetic; write {{"score": "{left.strip()}", "times": {factor}}}'
    return ', such as "data.merged"; see https://jmespath.org'


def _first_field(parsed: Any) -> str | None:
    """The outcome's own field at the beginning of a plain path; None for other expressions."""
    while parsed["type"] in (
        "subexpression",
        "index_expression",
        "projection",
        "value_projection",
        "flatten",
    ):
        parsed = parsed["children"][0]
    return parsed["value"] if parsed["type"] == "field" else None


__all__ = ["check_path"]
