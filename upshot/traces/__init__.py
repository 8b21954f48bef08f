"""OpenTelemetry spans as steps and runs: one pure mapping for every dialect, whoever brings the spans.

Spans come as `SpanRecord`s, whether they end in this process or arrive over OTLP.
"""

from upshot.traces.allowed import Asked, asked_for
from upshot.traces.prices import Prices, Usage, price_of, price_table, unpriced
from upshot.traces.runs import run_id_of, run_of, trace_of
from upshot.traces.span import SpanEvent, SpanRecord
from upshot.traces.steps import repeated_usage, step_of, steps_of

__all__ = [
    "Asked",
    "Prices",
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
