"""Rules as programs write them: nonsensical rules are refused, with the right spelling."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from upshot.errors import Misuse
from upshot.sdk.paths import check_path
from upshot.sdk.values import plain_value, shown

#: A match as written: a constant, a path, or a mapping with `score`, `when` and `times` (see `Match`).
Says = bool | float | str | Mapping[str, Any]

_KNOWN = ("score", "when", "times")

logger = logging.getLogger("upshot")


def matches_of(on: Mapping[str, Says] | Sequence[str]) -> dict[str, dict[str, Any]]:
    """The match for each type of outcome, in a rule's form. Raises Misuse."""
    if isinstance(on, str):
        raise Misuse(f'on={on!r} has no score; write on={{"{on}": True}} or on={{"{on}": "data.field"}}')
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
            f"on names the outcome type {shown(kind)}; write a text such as 'pr.closed'; no wait was opened"
        )
    match: dict[str, Any] = dict(says) if isinstance(says, Mapping) else {"score": says}
    if unknown := [name for name in match if name not in _KNOWN]:
        logger.warning(
            "on[%r] says %.50r, which is ignored: known are %s", kind, unknown[0], ", ".join(_KNOWN)
        )
    for name, value in list(match.items()):
        if isinstance(value, str) and name != "times":
            where = f"on[{kind!r}]" if name == "score" else f"on[{kind!r}][{name!r}]"
            check_path(where, value, gives="score" if name == "score" else "condition")
        elif name != "when" and value is not None:
            match[name] = _constant(kind, name, value)
    return match


def _constant(kind: str, part: str, value: Any) -> bool | float:
    try:
        return plain_value(value, kind)
    except Misuse:
        raise Misuse(
            f"on[{kind!r}] has the {part} {shown(value)}: write a finite number"
            + (
                ', True or False, or a path such as "data.merged"; no wait was opened'
                if part == "score"
                else "; no wait was opened"
            )
        ) from None


__all__ = ["Says", "matches_of", "window_of"]
