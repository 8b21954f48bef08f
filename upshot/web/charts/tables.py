"""A chart of any table: the first time, number or name along the axis, numbers as heights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from upshot.web.charts.plot import HEIGHT, WIDTH, Box, Plot, Sample, Span, lines, nice_top
from upshot.web.formats import number, short_number

_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_SERIES = ("main", "second", "third", "fourth", "fifth")
_LEAST_SAMPLES, _MOST_SAMPLES, _MOST_BARS = 2, 1_000, 80

Row = Mapping[str, Any]


def choices(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, list[str]]:
    """Columns for the axis and for the heights."""
    kinds = {name: _kind([row.get(name) for row in rows[:200]]) for name in columns}
    return {
        "x": [name for name in columns if kinds[name] != "other"],
        "y": [name for name in columns if kinds[name] == "number"],
    }


def _kind(values: Sequence[object]) -> str:
    found = [value for value in values if value is not None]
    if not found:
        return "other"
    if all(_as_number(value) is not None for value in found):
        return "number"
    if all(isinstance(value, str) for value in found):
        return "time" if all(_TIME.fullmatch(str(value)) for value in found) else "name"
    return "other"


def _as_number(value: object) -> float | None:
    """Numbers of 64 bits stand in quotes in ClickHouse's JSON."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float) or (
        isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value)
    ):
        amount = float(value)
        return amount if isfinite(amount) else None
    return None


def auto_chart(
    rows: Sequence[Row],
    columns: Sequence[str],
    x: str,
    ys: Sequence[str],
    time_label: Callable[[datetime, str], str],
) -> Plot:
    """The chart of chosen columns, else of the likeliest ones; empty where nothing can be drawn."""
    offered = choices(rows, columns)
    kinds = {name: _kind([row.get(name) for row in rows[:200]]) for name in columns}
    axis = x if x in offered["x"] else next((n for n in columns if kinds[n] == "time"), None)
    axis = axis or next((n for n in columns if kinds[n] == "name"), None) or next(iter(offered["x"]), None)
    heights = [y for y in ys if y in offered["y"]] or [y for y in offered["y"] if y != axis][: 1 if x else 2]
    if axis is None or not heights or len(rows) < _LEAST_SAMPLES:
        return Plot("")
    if kinds[axis] == "name":
        return _bars(rows[:_MOST_BARS], axis, heights[0])
    return _lines(rows[:_MOST_SAMPLES], axis, heights[:5], kinds[axis] == "time", time_label)


def _bars(rows: Sequence[Row], axis: str, height: str) -> Plot:
    values = [(str(row.get(axis) or ""), _as_number(row.get(height)) or 0.0) for row in rows]
    top = nice_top(max((value for _, value in values), default=0.0))
    slot = WIDTH / len(values)
    boxes = [
        Box(
            round(slot * (place + 0.1), 2),
            round(HEIGHT * (1 - max(0.0, value) / top), 2),
            round(slot * 0.8, 2),
            round(HEIGHT * max(0.0, value) / top, 2),
            "main",
            f"{name[:80]}: {number(value)}",
        )
        for place, (name, value) in enumerate(values)
    ]
    labels = (
        [name[:14] for name, _ in values] if len(values) <= 8 else [values[0][0][:14], values[-1][0][:14]]
    )
    ticks = [short_number(top), short_number(top / 2), "0"]
    return Plot(f"{height} by {axis}", boxes, y_labels=ticks, x_labels=labels, below_bars=len(values) <= 8)


def _lines(
    rows: Sequence[Row],
    axis: str,
    heights: Sequence[str],
    is_time: bool,
    time_label: Callable[[datetime, str], str],
) -> Plot:
    places = [
        _instant(str(row.get(axis))).timestamp() if is_time and row.get(axis) else _as_number(row.get(axis))
        for row in rows
    ]
    known = [place for place in places if place is not None]
    if len(known) < _LEAST_SAMPLES or max(known) == min(known):
        return Plot("")
    low, high = min(known), max(known)
    series = []
    for order, name in enumerate(heights):
        samples = sorted(
            Sample(round(WIDTH * (place - low) / (high - low), 2), value)
            for place, row in zip(places, rows, strict=True)
            if place is not None and (value := _as_number(row.get(name))) is not None
        )
        series.append((name, _SERIES[order], samples))
    values = [sample.value for _, _, samples in series for sample in samples]
    if not values:
        return Plot("")
    bottom = -nice_top(-min(values)) if min(values) < 0 else 0.0
    span = Span(datetime.fromtimestamp(low, UTC), datetime.fromtimestamp(high, UTC)) if is_time else None
    labels = span.labels(time_label) if span else [number(low), number((low + high) / 2), number(high)]
    return lines(
        f"{', '.join(heights)} by {axis}",
        series,
        bounds=(bottom, nice_top(max(values)) if max(values) > 0 else 0.0),
        value_label=short_number,
        x_labels=labels,
    )


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


__all__ = ["auto_chart", "choices"]
