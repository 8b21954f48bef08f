"""The plot of an alert's rule: its metric over the last weeks, with the spans in which it fired."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from upshot.insights.pages.alert_rules import rule_firing, rule_metric
from upshot.insights.pages.query import PageQuery, Row
from upshot.web.charts.firing import Firing, metric_with_firing
from upshot.web.charts.plot import NO_PLOT, Plot, Span, bucket_seconds
from upshot.web.formats import instant_of
from upshot.web.site import PageRequest
from upshot.web.urls import url

_SHOWN = timedelta(days=30)
#: Bars of the plot, the shortest of them in seconds, spans that are drawn.
_BARS, _HOUR, _SPANS = 40, 3600, 200


@dataclass(frozen=True)
class RulePlot:
    """The plot, with the query behind its line where the rule names a score."""

    plot: Plot = NO_PLOT
    query: PageQuery | None = None
    firing: PageQuery | None = None
    #: Earlier spans are not drawn.
    is_cut: bool = False


async def rule_plot(asked: PageRequest, rule: Row, since: datetime | None) -> RulePlot:
    """The plot from `since`, or of the last weeks, until now."""
    span = Span(since or asked.now - _SHOWN, asked.now)
    seconds = max(_HOUR, bucket_seconds(span.start, span.end, _BARS))
    spans = rule_firing(rule["name"], span.start)
    metric = rule_metric(rule["score"], seconds, span.start) if rule["score"] else None
    rows, fired = await asyncio.gather(_rows(asked, metric), asked.read(spans.first, asked.reader, _SPANS))
    is_rate = any(row["rate"] is not None for row in rows)
    values = [
        (at + timedelta(seconds=seconds / 2), float(value))
        for row in rows
        if (value := row["rate" if is_rate else "mean"]) is not None and (at := instant_of(row["bucket"]))
    ]
    plot = metric_with_firing(
        f"{rule['score'] or rule['name']} over time, with the spans in which the rule fired",
        span,
        values,
        [_firing(row) for row in fired.rows],
        name=str(rule["score"]),
        is_rate=is_rate,
        time_label=asked.frame.clock.at,
    )
    return RulePlot(plot, metric, spans, fired.more)


async def _rows(asked: PageRequest, query: PageQuery | None) -> list[dict[str, Any]]:
    return await asked.rows(query) if query else []


def _firing(row: Row) -> Firing:
    begin = instant_of(row["fired_at"])
    assert begin is not None
    return Firing(
        begin, instant_of(row["resolved_at"]), row["message"][:200], url("/alerts", row["alert_id"])
    )


__all__ = ["RulePlot", "rule_plot"]
