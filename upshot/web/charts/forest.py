"""Effects with their intervals, one below the other on a common scale around zero."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from upshot.web.charts.plot import nice_top

WIDTH = 1000.0


class Estimate(NamedTuple):
    """A difference with its interval."""

    low: float
    value: float
    high: float


class Whisker(NamedTuple):
    """An effect's places between 0 and 1,000; `kind` is its class."""

    low: float
    value: float
    high: float
    kind: str


def reach(effects: Sequence[Estimate]) -> float:
    """The scale's end on both sides of zero."""
    ends = [abs(end) for each in effects for end in each if isfinite(end)]
    return nice_top(max(ends, default=1.0) or 1.0)


def whisker(effect: Estimate, top: float, *, lower_is_better: bool) -> Whisker:
    """Where an effect lies; `good`, `bad` or `open` by its interval."""
    sign = -1 if lower_is_better else 1
    kind = "open"
    if effect.low > 0 or effect.high < 0:
        kind = "good" if sign * effect.value > 0 else "bad"
    return Whisker(_x(effect.low, top), _x(effect.value, top), _x(effect.high, top), kind)


def _x(value: float, top: float) -> float:
    if not isfinite(value):
        return WIDTH if value > 0 else 0.0
    return round(WIDTH * (min(1.0, max(-1.0, value / top)) + 1) / 2, 2)


__all__ = ["Estimate", "Whisker", "reach", "whisker"]
