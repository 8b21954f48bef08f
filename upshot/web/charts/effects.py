"""An experiment over time: each variant's difference to control, and its time to outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from upshot.insights.statistics.survival import Departures, kaplan_meier
from upshot.web.charts.plot import WIDTH, Plot, Sample, Span, lines, nice_top
from upshot.web.formats import duration, percent

SERIES = ("main", "second", "third", "fourth", "fifth")
_LEAST_POINTS = 2
#: The axis shows the intervals of so many last points whole; the first ones are far wider.
_WHOLE = 0.75
_HOUR = 3600


class EffectAt(NamedTuple):
    """A variant's difference to control at one instant, with its interval."""

    at: datetime
    value: float
    low: float
    high: float


def differences_over_time(
    label: str,
    series: Mapping[str, Sequence[EffectAt]],
    value_label: Callable[[float], str],
    time_label: Callable[[datetime, str], str],
) -> Plot:
    """A line with its band for each variant; empty with fewer than two instants."""
    named = [(name, points) for name, points in series.items() if points][: len(SERIES)]
    if max((len(points) for _, points in named), default=0) < _LEAST_POINTS:
        return Plot("")
    times = [each.at for _, points in named for each in points]
    span = Span(min(times), max(times))
    values = [abs(each.value) for _, points in named for each in points[len(points) // 4 :]]
    ends = [
        abs(end)
        for _, points in named
        for each in points[int(len(points) * (1 - _WHOLE)) :]
        for end in (each.low, each.high)
    ]
    last = [abs(end) for _, points in named for end in (points[-1].low, points[-1].high)]
    top = nice_top(max([*values, *last, sorted(ends)[len(ends) // 2]]) * 1.02 or 1.0)
    samples = [
        (name, SERIES[place], [Sample(span.x(p.at), p.value, p.low, p.high) for p in points])
        for place, (name, points) in enumerate(named)
    ]
    return lines(
        label, samples, bounds=(-top, top), value_label=value_label, x_labels=span.labels(time_label)
    )


def times_to_outcome(label: str, times: Mapping[str, Sequence[Departures]]) -> Plot:
    """The share of each variant's units with an outcome, by the time since their exposure."""
    curves = [(name, kaplan_meier(left), left) for name, left in times.items()][: len(SERIES)]
    if not any(len(points) >= _LEAST_POINTS for _, points, _ in curves):
        return Plot("")
    longest = max(left[-1].time for _, _, left in curves if left)
    series = []
    for place, (name, points, left) in enumerate(curves):
        samples = [Sample(0, 0.0, 0.0, 0.0)]
        for point in points:
            share, error = 1 - point.probability, 1.96 * point.error
            x = 1000 * point.time / longest
            samples.append(Sample(x, share, max(0.0, share - error), min(1.0, share + error)))
        if left:
            samples.append(samples[-1]._replace(x=1000 * left[-1].time / longest))
        series.append((name, SERIES[place], samples))
    top = min(1.0, nice_top(max(sample.value for _, _, samples in series for sample in samples)))
    return lines(
        label,
        series,
        bounds=(0.0, top),
        value_label=lambda value: percent(value, 0 if top > 0.1 else 1),
        x_labels=["0", *(duration(longest * _HOUR * share / 4) for share in range(1, 5))],
        steps=True,
        x_text=lambda x: duration(longest * _HOUR * x / WIDTH),
    )


__all__ = ["SERIES", "EffectAt", "differences_over_time", "times_to_outcome"]
