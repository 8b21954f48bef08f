"""The words of alerts: lines, default messages, and templates of rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import AlertState

_PLACE = re.compile(r"\{([^{}]*)\}")
#: Facts that every rule's message may name; names of `where`, `variants` and `by` come on top.
FACTS = frozenset({"value", "threshold", "score", "agent", "run_id", "window", "n", "rule"})


def threshold_of(rule: AlertRule) -> str:
    """The line of a rule, in words."""
    if rule.below is not None:
        return f"below {number(rule.below)}"
    if rule.above is not None:
        return f"above {number(rule.above)}"
    if rule.equals is not None:
        return f"equals {value_text(rule.equals)}"
    if rule.drop is not None and rule.versus is not None:
        return f"{number(rule.drop)} lower than {length(rule.versus)} before"
    if rule.kind == "silence":
        return f"nothing for {length(rule.length)}"
    if rule.kind == "pending_for":
        return f"open for {length(rule.length)}"
    return "expired" if rule.kind == "expired" else "worse than the margin"


def message_of(
    rule: AlertRule,
    state: AlertState,
    value: bool | float | None,
    facts: Mapping[str, str],
    n: int | None = None,
) -> str:
    """The rule's own message with its facts filled in, else a plain sentence; an end says so first."""
    known = {
        "rule": rule.name,
        "score": rule.score or "",
        "value": value_text(value),
        "threshold": threshold_of(rule),
        "window": length(rule.length),
        "n": "" if n is None else f"{n:,}",
        **facts,
    }
    text = _PLACE.sub(lambda found: known.get(found[1], ""), rule.message) if rule.message else _plain(known)
    return f"resolved: {text}" if state == "resolved" else text


def places_in(template: str) -> set[str]:
    """The facts named by a message."""
    return set(_PLACE.findall(template))


def _plain(known: Mapping[str, str]) -> str:
    about = ", ".join(f"{name} {value}" for name, value in known.items() if value and name not in _NOT_ABOUT)
    measured = f"{known['score']} is {known['value']}, " if known["value"] else ""
    counted = f" over {known['n']} scores" if known["n"] else ""
    return f"{known['rule']}: {measured}{known['threshold']}{counted}" + (f" ({about})" if about else "")


_NOT_ABOUT = frozenset({"rule", "score", "value", "threshold", "window", "n"})


def value_text(value: bool | float | None) -> str:
    """A score's value for people: `false`, `0.41`."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else number(value)


def number(value: float) -> str:
    """A number with as many digits as people read."""
    return f"{value:.4g}"


def length(time: timedelta) -> str:
    """A length of time for people: `90 min`, `6 h`, `7 d`."""
    seconds = time.total_seconds()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


__all__ = ["FACTS", "length", "message_of", "number", "places_in", "threshold_of", "value_text"]
