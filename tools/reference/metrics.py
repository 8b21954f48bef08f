"""The page on metrics."""

from __future__ import annotations

from tools.reference.markdown import page, table
from upshot.streams.metrics.declared import METRICS
from upshot.streams.metrics.metric import Metric

_INTRO = """Every metric is declared once, in `streams/metrics/declared.py`. A worker shows its metrics on
a page for Prometheus (`UPSHOT_METRICS_PORT`) and pushes them to an OpenTelemetry collector
(`OTEL_EXPORTER_OTLP_ENDPOINT`), see [operations](../operations.md). Each metric also has the attribute
`role`, such as `correlate` or `store`. Counters count since the worker's start; numbers are taken once for
each batch. Dots in attributes are underscores in Prometheus. Reasons of dead letters are
[these](dead-letter-reasons.md)."""


def metrics_page() -> str:
    """The page."""
    heads = ("metric", "in Prometheus", "kind", "unit", "attributes", "meaning", "told when")
    return page("Metrics", _INTRO, table(heads, map(_row, METRICS.values())))


def _row(metric: Metric) -> tuple[str, ...]:
    return (
        f"`{metric.name}`",
        f"`{metric.prometheus}`",
        metric.kind,
        f"`{metric.unit}`",
        ", ".join(f"`{name}`" for name in metric.attributes),
        metric.meaning,
        metric.when or "always",
    )


__all__ = ["metrics_page"]
