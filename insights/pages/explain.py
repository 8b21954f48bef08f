"""Why a wait is still pending, in words: a pure function of the wait and the outcomes of its subject."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from upshot.insights.pages.query import Row


def rule_in_words(rule: str) -> str:
    """A wait's rule as a sentence."""
    try:
        parsed = json.loads(rule)
        parts = [_type_in_words(name, one) for name, one in parsed.get("on", {}).items()]
    except (ValueError, AttributeError, TypeError):
        return "a rule that this page can't put into words"
    text = "; ".join(parts) or "no outcome type"
    if within := parsed.get("within"):
        text += f"; within {duration_in_words(str(within))}"
    otherwise = parsed.get("else", parsed.get("otherwise"))
    return text + ("; otherwise no score" if otherwise is None else f"; otherwise {json.dumps(otherwise)}")


def _type_in_words(name: str, one: object) -> str:
    rule: dict[str, object] = one if isinstance(one, dict) else {"score": one}
    text = name + (f" gives {_short(rule['score'])}" if rule.get("score") is not None else " counts")
    if rule.get("times") is not None:
        text += f" times {_short(rule['times'])}"
    return text + (f" when {_short(rule['when'])}" if rule.get("when") is not None else "")


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "…"


def duration_in_words(text: str) -> str:
    """`P14D` as `14 days`; other texts stay."""
    for ending, unit in (("D", "day"), ("W", "week")):
        number = text.removeprefix("P").removesuffix(ending)
        if text.startswith("P") and text.endswith(ending) and number.isdigit():
            return f"{number} {unit}{'' if number == '1' else 's'}"
    return text


def why_pending(wait: Row, outcomes: Sequence[Row], now: datetime) -> list[str]:
    """Sentences on the state of a pending wait, the most useful first."""
    wanted = set(wait["outcome_types"])
    since, deadline = instant(wait["since"]), instant(wait["deadline"])
    mine = [one for one in outcomes if one["type"] in wanted]
    early = [one for one in mine if instant(one["time"]) < since]
    late = [one for one in mine if instant(one["time"]) > deadline]
    inside = [one for one in mine if since <= instant(one["time"]) <= deadline]
    names = " or ".join(sorted(wanted)) or "any type"
    found: list[str] = []
    if not outcomes:
        found.append(f"No outcome about this subject has arrived. The wait needs one of type {names}.")
    elif not mine:
        others = ", ".join(sorted({str(one["type"]) for one in outcomes})[:5])
        found.append(f"Outcomes have arrived, of type {others} alone; the wait needs {names}.")
    elif inside:
        found.append(_inside(wait, inside))
    if early and not inside:
        last = max(instant(one["time"]) for one in early)
        found.append(
            f"{_count(early, 'outcome')} of the right type happened before the wait counts: the last "
            f"{length_in_words(since - last)} before. Send the wait with an earlier `since` to count it."
        )
    if late and not inside:
        found.append(f"{_count(late, 'outcome')} of the right type happened after the deadline.")
    if deadline < now:
        found.append(
            f"The deadline passed {length_in_words(now - deadline)} ago. The wait is evaluated once "
            "everything "
            "written before is read; if it stays so, see the workers on the system page."
        )
    else:
        found.append(f"The deadline comes in {length_in_words(deadline - now)}.")
    return found


def _inside(wait: Row, inside: Sequence[Row]) -> str:
    if wait["mode"] in ("last", "count", "sum", "all"):
        return (
            f"{_count(inside, 'outcome')} of the right type arrived in time; the mode {wait['mode']} lets "
            "later "
            "outcomes revise the score until the deadline."
        )
    return (
        f"{_count(inside, 'outcome')} of the right type arrived in time, and gave no score: the data of the "
        "outcome don't satisfy the rule, or the join hasn't read the outcome yet. Compare the data with "
        "the rule."
    )


def _count(rows: Sequence[Row], what: str) -> str:
    return f"{len(rows)} {what}{'' if len(rows) == 1 else 's'}"


def length_in_words(length: timedelta) -> str:
    """A length of time in its largest sensible unit."""
    seconds = abs(length.total_seconds())
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def instant(text: str) -> datetime:
    """An instant as ClickHouse writes it in JSON, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


__all__ = ["duration_in_words", "instant", "length_in_words", "rule_in_words", "why_pending"]
