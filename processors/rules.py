"""Rules: from a question and all outcomes known of its subject to a verdict, whatever order they came in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import fsum, isfinite
from typing import Any, NamedTuple, assert_never

import jmespath
from jmespath.exceptions import JMESPathError

from upshot.processors.state import Known, Question, Verdict, instant


class Reads(NamedTuple):
    """The outcome counts, with this score."""

    value: bool | float


class Irrelevant(NamedTuple):
    """The outcome doesn't count for this question: another type, another time, or its condition is not met."""


class Unusable(NamedTuple):
    """The outcome should count but gives no usable score; `detail` says why."""

    detail: str


class Undecided(NamedTuple):
    """Nothing has decided yet and the deadline is not judged."""


Reading = Reads | Irrelevant | Unusable
_IRRELEVANT = Irrelevant()
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def decide(question: Question, outcomes: Iterable[Known], *, judged: bool) -> Verdict | Undecided:
    """The verdict that follows from the set of `outcomes`; `judged` tells that the deadline passed without one.

    Depends on the set alone: order of arrival and repetition change nothing.
    """
    counted = sorted(
        (
            (outcome.time, outcome.id, outcome.source, outcome, reading.value)
            for outcome in outcomes
            if isinstance(reading := read(question, outcome), Reads)
        ),
        key=lambda row: row[:3],
    )
    verdict = _decided_by(question, [(outcome, value) for *_, outcome, value in counted])
    if verdict is not None:
        return verdict
    if not judged:
        return Undecided()
    value = question.rule.nothing_came
    return Verdict(value, "expired" if value is None else "deadline", question.deadline)


def _decided_by(question: Question, counted: list[tuple[Known, bool | float]]) -> Verdict | None:
    if not counted:
        return None
    rule = question.rule
    match rule.mode:
        case "first":
            outcome, value = counted[0]
        case "last":
            outcome, value = counted[-1]
        case "count":
            outcome, value = counted[-1][0], float(len(counted))
        case "sum":
            outcome, value = counted[-1][0], fsum(value for _, value in counted)
        case "all":
            firsts = {outcome.type: (outcome, value) for outcome, value in reversed(counted)}
            if len(firsts) < len(rule.on):
                return None
            outcome = max((outcome for outcome, _ in firsts.values()), key=lambda o: (o.time, o.id, o.source))
            value = min(value for _, value in firsts.values())
        case _:
            assert_never(rule.mode)
    return Verdict(value, "outcome", outcome.time, outcome.id)


def read(question: Question, outcome: Known) -> Reading:
    """What `outcome` says to `question`."""
    match = question.rule.on.get(outcome.type)
    if match is None or not question.since <= outcome.time <= question.deadline:
        return _IRRELEVANT
    if match.when is not None:
        condition = _look_up(match.when, outcome)
        if isinstance(condition, Unusable):
            return condition
        if condition is not True:
            return _IRRELEVANT
    if question.rule.mode == "count":
        return Reads(1.0)
    if not isinstance(match.score, str):
        return _usable(match.score, "the rule's score", question)
    found = _look_up(match.score, outcome)
    return found if isinstance(found, Unusable) else _usable(found, f"path {match.score!r}", question)


def _usable(value: Any, where: str, question: Question) -> Reads | Unusable:
    if isinstance(value, bool):
        if question.rule.mode == "sum":
            return Unusable(f"{where} gave a boolean, a sum needs numbers")
        return Reads(value)
    if not isinstance(value, int | float):
        shown = "null" if value is None else type(value).__name__
        return Unusable(f"{where} gave {shown}, a score is a number or a boolean")
    try:
        number = float(value)
    except OverflowError:
        return Unusable(f"{where} gave a number that is too large")
    return Reads(number) if isfinite(number) else Unusable(f"{where} gave a number that is not finite")


@lru_cache(maxsize=4096)
def _finder(path: str) -> Callable[[Known], Any]:
    """What looks `path` up in an outcome. Most paths are names with dots, for which JMESPath is a detour."""
    first, *names = path.split(".")
    if first == "data" and all(_NAME.fullmatch(name) for name in names):
        return lambda outcome: _walk(outcome.data, names)
    compiled = jmespath.compile(path)
    return lambda outcome: compiled.search(_envelope(outcome))


def _walk(data: Any, names: list[str]) -> Any:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _envelope(outcome: Known) -> dict[str, Any]:
    return {
        "type": outcome.type,
        "id": outcome.id,
        "source": outcome.source,
        "time": instant(outcome.time).isoformat(),
        "data": outcome.data,
    }


def _look_up(path: str, outcome: Known) -> Any:
    try:
        return _finder(path)(outcome)
    except (JMESPathError, ArithmeticError, TypeError, ValueError) as error:
        return Unusable(f"path {path!r} can't be evaluated: {error}")


__all__ = ["Irrelevant", "Reading", "Reads", "Undecided", "Unusable", "decide", "read"]
