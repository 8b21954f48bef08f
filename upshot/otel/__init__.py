"""OpenTelemetry spans as steps and runs: a single pure mapping for every dialect and every source of spans.

Spans come as `SpanRecord`s, whether they end in this process or arrive over OTLP.
"""

from upshot.otel.allowed import RequestedAttributes, asked_for
from upshot.otel.prices import Prices, Usage, price_of, price_table, unpriced
from upshot.otel.runs import run_id_of, run_of, trace_of
from upshot.otel.span import SpanEvent, SpanRecord
from upshot.otel.steps import repeated_usage, step_of, steps_of

__all__ = [
    "Prices",
    "RequestedAttributes",
    "SpanEvent",
    "SpanRecord",
    "Usage",
    "asked_for",
    "price_of",
    "price_table",
    "repeated_usage",
    "run_id_of",
    "run_of",
    "step_of",
    "steps_of",
    "trace_of",
    "unpriced",
]
