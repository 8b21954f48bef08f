"""A run's steps as a tree in time, and what happened after the run's end on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log10
from typing import Any, NamedTuple

from upshot.web.formats import instant_of

WIDTH = 1000.0
#: Kinds of steps with a colour of their own.
KINDS = ("model", "tool", "retrieval", "function", "agent")
_DEEPEST = 12
#: Things after a run that are drawn.
_MOST_MARKS = 200


class Line(NamedTuple):
    """A step: its depth in the tree, and its bar between 0 and 1,000."""

    step: Mapping[str, Any]
    depth: int
    x: float
    width: float
    kind: str
    seconds: float | None
    children: int


def waterfall(steps: Sequence[Mapping[str, Any]], start: datetime, end: datetime) -> list[Line]:
    """The steps in the order of the tree, each below its parent, brothers by their start."""
    known = {step["step_id"] for step in steps}
    children: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        parent = step["parent_step_id"] or ""
        children.setdefault(parent if parent in known and parent != step["step_id"] else "", []).append(step)
    found: list[Line] = []
    seen: set[int] = set()
    for root in ("", *(step["step_id"] for step in steps)):  # the second part reaches circles of parents
        stack = [(step, 0) for step in reversed(children.get(root, []))]
        while stack:
            step, depth = stack.pop()
            if id(step) in seen:
                continue
            seen.add(id(step))
            below = children.get(step["step_id"], []) if step["step_id"] else []
            found.append(_line(step, min(depth, _DEEPEST), len(below), start, end))
            stack += [(child, depth + 1) for child in reversed(below)]
    return found


def _line(step: Mapping[str, Any], depth: int, children: int, start: datetime, end: datetime) -> Line:
    whole = max(1e-6, (end - start).total_seconds())
    began, ended = instant_of(step["started_at"]), instant_of(step["ended_at"])
    x = min(1.0, max(0.0, ((began or start) - start).total_seconds() / whole)) * WIDTH
    last = min(1.0, max(0.0, ((ended or began or start) - start).total_seconds() / whole)) * WIDTH
    seconds = (ended - began).total_seconds() if began and ended else None
    kind = "error" if step["status"] == "error" else step["kind"] if step["kind"] in KINDS else "other"
    width = max(4.0, last - x)
    return Line(step, depth, round(min(x, WIDTH - width), 2), round(width, 2), kind, seconds, children)


class Happening(NamedTuple):
    """One thing after a run's end; `link` leads to its place."""

    at: datetime
    kind: str
    text: str
    detail: str = ""
    link: str = ""


class Placed(NamedTuple):
    """A thing with its number and its place between 0 and 1,000."""

    number: int
    x: float
    what: Happening
    seconds: float


@dataclass(frozen=True)
class Afterwards:
    """What came after a run's end, in logarithmic time."""

    marks: Sequence[Placed]
    now_x: float
    #: Places of powers of ten with their labels.
    ticks: Sequence[tuple[float, str]]
    #: Further things, later than those shown.
    left: int = 0


_TICKS = ((1, "1 s"), (60, "1 min"), (3600, "1 h"), (86_400, "1 d"), (604_800, "1 w"), (2_592_000, "30 d"),
          (31_536_000, "1 y"))  # fmt: skip


def afterwards(happenings: Sequence[Happening], end: datetime, now: datetime) -> Afterwards:
    """Place the first ones by the logarithm of the seconds since the run's end."""
    ordered = sorted(happenings, key=lambda each: each.at)[:_MOST_MARKS]
    longest = max([(each.at - end).total_seconds() for each in ordered] + [(now - end).total_seconds(), 60.0])
    top = log10(1 + longest)

    def x(seconds: float) -> float:
        return round(WIDTH * log10(1 + max(0.0, seconds)) / top, 2)

    marks = [
        Placed(number, x(seconds := (each.at - end).total_seconds()), each, seconds)
        for number, each in enumerate(ordered, 1)
    ]
    ticks = [(x(seconds), text) for seconds, text in _TICKS if seconds < longest]
    return Afterwards(marks, x((now - end).total_seconds()), ticks, len(happenings) - len(ordered))


__all__ = ["KINDS", "Afterwards", "Happening", "Line", "Placed", "afterwards", "waterfall"]
