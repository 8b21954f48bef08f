"""A chart in a box of 1,000 by 240 units that stretches with the page: shapes here, texts in HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor, log10
from typing import NamedTuple

from upshot.web.formats import short_number

WIDTH, HEIGHT = 1000.0, 240.0
_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400)
_BARS = 60
#: Rows that the table below a chart has of one line.
_ROWS_OF_A_LINE = 60


class Box(NamedTuple):
    """A rectangle; `kind` is its class, `label` its text on hover."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str = ""
    link: str = ""


class PathData(str):
    """The shape of an SVG path, however long."""

    __slots__ = ()


class Curve(NamedTuple):
    """A line through points, as an SVG path."""

    path: str
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Plot:
    """Shapes with the labels of both axes; the labels are evenly spaced."""

    label: str
    boxes: Sequence[Box] = ()
    areas: Sequence[Curve] = ()
    curves: Sequence[Curve] = ()
    #: Single points, as paths without length that a round line cap shows.
    dots: Sequence[Curve] = ()
    y_labels: Sequence[str] = ()
    x_labels: Sequence[str] = ()
    #: Names of the series with their classes, where there are several.
    legend: Sequence[tuple[str, str]] = ()
    #: Height of a line across the box, such as zero; None without one.
    zero: float | None = None
    #: Whether each label of the axis stands below a bar.
    below_bars: bool = False
    #: The times of the axis, where a range drawn on the chart narrows the page.
    times: Span | None = None
    #: What the shapes show, for a table below the chart, with its heads.
    numbers: Sequence[Sequence[str]] = ()
    heads: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return not (self.boxes or self.curves or self.dots)


#: The chart of no data.
NO_PLOT = Plot("")


def bucket_seconds(start: datetime, end: datetime, bars: int = _BARS) -> int:
    """The width of a bar in seconds, so that at most `bars` cover the time."""
    length = max(1.0, (end - start).total_seconds())
    return next((each for each in _SECONDS if length / each <= bars), ceil(length / bars / 86_400) * 86_400)


def nice_top(value: float) -> float:
    """The least round number that isn't below: the end of an axis."""
    if value <= 0:
        return 1.0
    unit = float(10.0 ** floor(log10(value)))
    return next(
        step * unit for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * unit >= value * 0.999999
    )


class Span(NamedTuple):
    """The times of an axis."""

    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Where an instant lies, within the box."""
        whole = max(1e-6, (self.end - self.start).total_seconds())
        return round(min(1.0, max(0.0, (at - self.start).total_seconds() / whole)) * WIDTH, 2)

    def labels(self, text: Callable[[datetime, str], str], count: int = 5) -> list[str]:
        """Evenly spaced times, as short as their distance allows."""
        step = (self.end - self.start) / (count - 1)
        pattern = "%b %d" if step >= timedelta(hours=20) else "%b %d %H:%M"
        if step >= timedelta(days=120):
            pattern = "%b %Y"
        labels = [text(self.start + step * number, pattern) for number in range(count)]
        if "%H" not in pattern:
            return labels
        # The day stands where it begins.
        days = [text(self.start + step * number, "%b %d ") for number in range(count)]
        return [
            label.removeprefix(day) if number and days[number - 1] == day else label
            for number, (label, day) in enumerate(zip(labels, days, strict=True))
        ]


def stacked_bars(
    label: str,
    span: Span,
    seconds: int,
    counts: Iterable[tuple[datetime, str, float]],
    kinds: Sequence[str],
    *,
    time_label: Callable[[datetime, str], str],
    link: Callable[[datetime, datetime], str] | None = None,
    names: Mapping[str, str] | None = None,
) -> Plot:
    """Counts over time, stacked by series; each series is a class, with a name for people in `names`."""
    named = names or {}
    by_bucket: dict[datetime, dict[str, float]] = {}
    for at, kind, count in counts:
        known = kind if kind in kinds else "other"
        cell = by_bucket.setdefault(at, {})
        cell[known] = cell.get(known, 0) + count
    top = nice_top(max((sum(cell.values()) for cell in by_bucket.values()), default=0))
    boxes, numbers = [], []
    for at, cell in sorted(by_bucket.items()):
        end = at + timedelta(seconds=seconds)
        left, right, base = span.x(at), span.x(end), HEIGHT
        address = link(at, end) if link else ""
        for kind in (*kinds, "other"):
            if count := cell.get(kind, 0):
                height = HEIGHT * count / top
                base -= height
                numbers.append((time_label(at, "%Y-%m-%d %H:%M"), named.get(kind, kind), f"{count:,.0f}"))
                text = "{0}: {2} {1}".format(*numbers[-1])
                width = max(1.5, (right - left) * 0.86)
                boxes.append(
                    Box(
                        round(left, 2), round(base, 2), round(width, 2), round(height, 2), kind, text, address
                    )
                )
    shown = [kind for kind in (*kinds, "other") if any(kind in cell for cell in by_bucket.values())]
    legend = [(named.get(kind, kind), kind) for kind in shown] if len(shown) > 1 else []
    return Plot(
        label,
        boxes,
        y_labels=_counts(top),
        x_labels=span.labels(time_label),
        legend=legend,
        numbers=numbers,
        heads=("from", "what", "count"),
    )


def _counts(top: float) -> list[str]:
    return [short_number(top), short_number(top / 2) if top > 1 else "", "0"]


class Sample(NamedTuple):
    """A value with the ends of its interval, at an instant or another place along the axis."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


def lines(
    label: str,
    series: Sequence[tuple[str, str, Sequence[Sample]]],
    *,
    bounds: tuple[float, float],
    value_label: Callable[[float], str],
    x_labels: Sequence[str],
    steps: bool = False,
    x_text: Callable[[float], str] | None = None,
) -> Plot:
    """Lines of several series (name, class, samples with x between 0 and 1,000), with bands of intervals.

    `x_text` writes a place along the axis; without it the chart has no numbers of its own.
    """
    low, high = bounds
    areas, curves, dots = [], [], []
    for name, kind, samples in series:
        points = [(each.x, _y(each.value, low, high)) for each in samples]
        if not points:
            continue
        upper = [(each.x, _y(each.high, low, high)) for each in samples if each.high is not None]
        lower = [(each.x, _y(each.low, low, high)) for each in samples if each.low is not None]
        if len(upper) > 1 and len(upper) == len(lower):
            areas.append(Curve(PathData(_path(upper + lower[::-1]) + "Z"), kind, name))
        if len(points) > 1:
            curves.append(Curve(_steps(points) if steps else _path(points), kind, name))
        if not steps and len(points) <= _BARS:
            texts = [f"{name}: {value_label(each.value)}" for each in samples]
            dots += [Curve(f"M{x} {y}h0.01", kind, text) for (x, y), text in zip(points, texts, strict=True)]
    zero = _y(0.0, low, high) if low < 0 < high else None
    legend = [(name, kind) for name, kind, _ in series] if len(series) > 1 else []
    ticks = [value_label(high), value_label((low + high) / 2), value_label(low)]
    return Plot(
        label,
        areas=areas,
        curves=curves,
        dots=dots,
        y_labels=ticks,
        x_labels=x_labels,
        legend=legend,
        zero=zero,
        numbers=[row for name, _, samples in series for row in _rows_of(name, samples, value_label, x_text)],
        heads=("at", "line", "value", "interval"),
    )


def _rows_of(
    name: str,
    samples: Sequence[Sample],
    value_label: Callable[[float], str],
    x_text: Callable[[float], str] | None,
) -> Iterable[Sequence[str]]:
    """Rows for the table below a chart: evenly chosen where there are many, the last always among them."""
    if x_text is None or not samples:
        return
    apart = ceil(len(samples) / _ROWS_OF_A_LINE)
    for each in [*samples[:-1:apart], samples[-1]]:
        ends = [value_label(end) for end in (each.low, each.high) if end is not None]
        yield x_text(each.x), name, value_label(each.value), " to ".join(ends)


def _y(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(HEIGHT * (1 - min(1.0, max(0.0, share))), 2)


def _path(points: Sequence[tuple[float, float]]) -> PathData:
    return PathData("M" + "L".join(f"{x:g} {y:g}" for x, y in points))


def _steps(points: Sequence[tuple[float, float]]) -> PathData:
    """The value stays until the next point."""
    (x0, y0), *others = points
    return PathData(f"M{x0:g} {y0:g}" + "".join(f"H{x:g}V{y:g}" for x, y in others))


def sparkline(values: Sequence[float]) -> Plot:
    """A line without axes."""
    if len(values) < 2:
        return Plot("")
    low, high = min(values), max(values)
    points = [
        (round(WIDTH * place / (len(values) - 1), 2), _y(value, low - (high == low), high + (high == low)))
        for place, value in enumerate(values)
    ]
    return Plot("", curves=[Curve(_path(points), "main")])


__all__ = [
    "HEIGHT",
    "NO_PLOT",
    "WIDTH",
    "Box",
    "Curve",
    "Plot",
    "Sample",
    "Span",
    "bucket_seconds",
    "lines",
    "nice_top",
    "sparkline",
    "stacked_bars",
]
