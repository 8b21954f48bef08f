"""Rules: from a wait and all known outcomes of its subject to a verdict, in whatever order they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import fsum, isfinite
from sys import float_info
from typing import Any, assert_never

import msgspec

from upshot.processors.correlate.lookup import finder
from upshot.processors.correlate.state import StoredMatch, StoredOutcome, StoredRule, StoredWait, Verdict


class Reads(msgspec.Struct, frozen=True, gc=False):
    """The outcome counts, with this score."""

    value: bool | float


class Irrelevant(msgspec.Struct, frozen=True, gc=False):
    """The outcome doesn't count for this wait: another type, another time, or its condition is not met."""


class NoReading(msgspec.Struct, frozen=True, gc=False):
    """The outcome should count but gives no usable score; `detail` says why."""

    detail: str


Reading = Reads | Irrelevant | NoReading
OutcomeReading = tuple[StoredOutcome, Reading]
IRRELEVANT = Irrelevant()


def decide(wait: StoredWait, outcomes: Iterable[StoredOutcome], *, judged: bool) -> Verdict | None:
    """The verdict following from the set of `outcomes`; `judged`: the deadline passed without a verdict.

    None where nothing has decided yet and the deadline isn't evaluated. Depends on the set alone: order of
    arrival and repetition change nothing.
    """
    rule = wait.rule
    readings = [(outcome, read(rule, wait, outcome)) for outcome in outcomes]
    return verdict_of(rule, wait, readings, judged)


def verdict_of(
    rule: StoredRule, wait: StoredWait, readings: Iterable[OutcomeReading], judged: bool
) -> Verdict | None:
    """The same, from each outcome's reading (see `read`) for the wait, whose rule is `rule`."""
    counted = [(outcome, reading.value) for outcome, reading in readings if type(reading) is Reads]
    if counted:
        if len(counted) > 1:
            counted.sort(key=_order_for(wait))
        verdict = _decided_by(wait, rule, counted)
        if verdict is not None:
            return verdict
    if not judged:
        return None
    value = rule.nothing_came
    return Verdict(value, "expired" if value is None else "deadline", wait.deadline)


_Counted = tuple[StoredOutcome, bool | float]


def _order_for(wait: StoredWait) -> Callable[[_Counted], tuple[Any, ...]]:
    return _in_time_before if wait.tolerance is None else _in_order


def _in_order(counted: _Counted) -> tuple[Any, ...]:
    return counted[0].order


def _in_time_before(counted: _Counted) -> tuple[Any, ...]:
    """The order of the version without sequences and the records' timestamps."""
    outcome = counted[0]
    return outcome.time, outcome.id, outcome.source


def _decided_by(wait: StoredWait, rule: StoredRule, counted: list[_Counted]) -> Verdict | None:
    match rule.mode:
        case "first":
            outcome, value = counted[0]
        case "last":
            outcome, value = counted[-1]
        case "count":
            outcome, value = counted[-1][0], float(len(counted))
        case "sum":
            outcome, value = counted[-1][0], _sum([value for _, value in counted])
        case "all":
            firsts = {outcome.type: (outcome, value) for outcome, value in reversed(counted)}
            if len(firsts) < len(rule.on):
                return None
            outcome = max(firsts.values(), key=_order_for(wait))[0]
            value = min(value for _, value in firsts.values())
        case _:
            assert_never(rule.mode)
    known_by = outcome.id if wait.reply_to is None else outcome.fingerprint
    return Verdict(value, "outcome", outcome.time, known_by)


def _sum(values: list[bool | float]) -> float:
    """The sum, in whatever order; the largest double, with its sign, for a sum beyond all doubles."""
    try:
        return fsum(values)
    except OverflowError:  # also raised for a partial sum beyond, though the whole isn't
        exact = sum(map(Fraction, values))
    try:
        return float(exact)
    except OverflowError:
        return float_info.max if exact > 0 else -float_info.max


def is_inside(wait: StoredWait, outcome: StoredOutcome) -> bool:
    """Whether the span covered by the outcome's time meets the wait's window."""
    time, tolerance = outcome.time, wait.tolerance
    if wait.after and not all(outcome.follows(readings) for readings in wait.after):
        return False
    if tolerance is None:
        return wait.since <= time <= wait.deadline
    return wait.since - tolerance <= time + outcome.width and time <= wait.deadline + wait.width


def read(rule: StoredRule, wait: StoredWait, outcome: StoredOutcome) -> Reading:
    """The reading of `outcome` for `question`, whose rule is `rule`."""
    match = rule.on.get(outcome.type)
    if match is None or not is_inside(wait, outcome):
        return IRRELEVANT
    return _score(rule, match, outcome)


def reading_of_rule(rule: StoredRule, outcome: StoredOutcome) -> Reading:
    """The reading of `outcome` for all waits of this rule whose window contains the outcome."""
    match = rule.on.get(outcome.type)
    return IRRELEVANT if match is None else _score(rule, match, outcome)


def _score(rule: StoredRule, match: StoredMatch, outcome: StoredOutcome) -> Reading:
    if match.when is not None:
        condition = _look_up(match.when, outcome)
        if isinstance(condition, NoReading):
            return condition
        if condition is not True:
            return IRRELEVANT
    if rule.mode == "count":
        return Reads(1.0)
    score = match.score
    found = _look_up(score, outcome) if type(score) is str else score
    if found is True or found is False:
        if rule.mode != "sum" and match.times is None:
            return Reads(found)
        return _unusable(
            match, "a boolean, a sum needs numbers" if match.times is None else "a boolean, no number"
        )
    if isinstance(found, NoReading):
        return found
    return _number(match, found)


def _number(match: StoredMatch, value: Any) -> Reads | NoReading:
    if not isinstance(value, int | float):
        shown = "null" if value is None else type(value).__name__
        return _unusable(match, f"{shown}, a score is a number or a boolean")
    try:
        number = float(value) * (1.0 if match.times is None else match.times)
    except OverflowError:
        return _unusable(match, "a number that is too large")
    return Reads(number) if isfinite(number) else _unusable(match, "a number that is not finite")


def _unusable(match: StoredMatch, gave: str) -> NoReading:
    where = f"path {match.score!r}" if isinstance(match.score, str) else "the rule's score"
    return NoReading(f"{where} gave {gave}")


def _look_up(path: str, outcome: StoredOutcome) -> Any:
    try:
        return finder(path)(outcome)
    except Exception as error:  # noqa: BLE001 - somebody's expression: whatever it raises, the outcome is kept
        return NoReading(f"path {path!r} can't be evaluated: {error}")


__all__ = [
    "IRRELEVANT",
    "Irrelevant",
    "NoReading",
    "OutcomeReading",
    "Reading",
    "Reads",
    "decide",
    "is_inside",
    "read",
    "verdict_of",
]
