"""The metric of an alert's rule over time, with the spans in which the rule fired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from upshot.web.charts.plot import HEIGHT, NO_PLOT, WIDTH, Box, Plot, Sample, Span, lines, nice_top
from upshot.web.formats import number, percent

#: The narrowest span that can be seen.
_NARROWEST = 4.0


class Firing(NamedTuple):
    """One alert; `end` is None while the alert fires."""

    begin: datetime
    end: datetime | None
    text: str
    link: str


def metric_with_firing(
    label: str,
    span: Span,
    values: Sequence[tuple[datetime, float]],
    firing: Sequence[Firing],
    *,
    name: str,
    is_rate: bool,
    time_label: Callable[[datetime, str], str],
) -> Plot:
    """A line over the time of `span`, and a box for each alert; without values the boxes alone."""
    boxes = [_box(each, span, time_label) for each in firing if each.end is None or each.end >= span.start]
    if not boxes and not values:
        return NO_PLOT
    samples = [Sample(span.x(at), value) for at, value in values]
    top = 1.0 if is_rate or not values else nice_top(max(value for _, value in values))
    least = min((value for _, value in values), default=0.0)
    plot = lines(
        label,
        [(name, "main", samples)],
        bounds=(-nice_top(-least) if least < 0 else 0.0, top),
        value_label=(lambda value: percent(value, 0)) if is_rate else number,
        x_labels=span.labels(time_label),
        x_text=lambda x: time_label(span.start + (span.end - span.start) * x / WIDTH, "%Y-%m-%d %H:%M"),
    )
    shown = [(name, "main")] if values else []
    y_labels = plot.y_labels if values else ()
    return replace(plot, boxes=boxes, y_labels=y_labels, legend=[*shown, ("firing", "firing")])


def _box(each: Firing, span: Span, time_label: Callable[[datetime, str], str]) -> Box:
    left, right = span.x(each.begin), span.x(each.end or span.end)
    width = max(_NARROWEST, right - left)
    until = time_label(each.end, "%Y-%m-%d %H:%M") if each.end else "now"
    text = f"{time_label(each.begin, '%Y-%m-%d %H:%M')} to {until}: {each.text}"
    return Box(round(min(left, WIDTH - width), 2), 0, round(width, 2), HEIGHT, "firing", text, each.link)


__all__ = ["Firing", "metric_with_firing"]
