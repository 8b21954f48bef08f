"""The bridge to OpenTelemetry: whose tracer runs and steps use, and how ended spans become steps."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode

from upshot.errors import Misuse
from upshot.sdk.context import run_in
from upshot.sdk.facts import step_message
from upshot.sdk.transport import Message
from upshot.traces.span import SpanEvent, SpanRecord, SpanStatus
from upshot.traces.span import SpanKind as Kind
from upshot.traces.steps import says_usage, step_of

if TYPE_CHECKING:
    from upshot.sdk.runs import Run

SCOPE = "upshot"
#: Which instrumentation a step's span is of; absent where it's a step of ours.
INSTRUMENTATION = "otel.scope.name"
_KINDS: dict[SpanKind, Kind] = {
    SpanKind.INTERNAL: "internal",
    SpanKind.SERVER: "server",
    SpanKind.CLIENT: "client",
    SpanKind.PRODUCER: "producer",
    SpanKind.CONSUMER: "consumer",
}
_STATUSES: dict[StatusCode, SpanStatus] = {
    StatusCode.UNSET: "unset",
    StatusCode.OK: "ok",
    StatusCode.ERROR: "error",
}
#: What a span takes in memory besides its texts, roughly.
_SPAN_BYTES = 2000
_ids = RandomIdGenerator()


class RunSpans(SpanProcessor):
    """Tells of every span that was started inside a run, ours or an instrumentation's, once it ends."""

    def __init__(self) -> None:
        self._runs: dict[int, Run] = {}

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Remember whose run it is."""
        run = run_in(parent_context)
        if run is None and span.parent is not None:
            run = self._runs.get(span.parent.span_id)
        if run is not None:
            self._runs[span.context.span_id] = run

    def on_end(self, span: ReadableSpan) -> None:
        """Hand it over; the rest happens in the delivery's thread."""
        run = self._runs.pop(span.context.span_id, None) if span.context else None
        if run is not None:
            texts = [value for value in (span.attributes or {}).values() if isinstance(value, str)]
            run.outlet.telemetry(lambda: step_of_run(run, span), _SPAN_BYTES + sum(map(len, texts)))


def step_of_run(run: Run, span: ReadableSpan) -> Message:
    """An ended span as a step of its run. Children come before their parents, since they end before them."""
    record = record_of(span)
    repeats = record.span_id in run.above_usage
    run.above_usage.discard(record.span_id)
    if record.parent_span_id and (repeats or says_usage(record)):
        run.above_usage.add(record.parent_span_id)
    step = step_of(
        record,
        run.id,
        repeats=repeats,
        prices=run.app.prices,
        with_content=run.app.capture_content or record.scope == SCOPE,
    )
    parent = record.parent_span_id and run.place_of(record.parent_span_id)
    own = run.place_of(record.span_id) or record.span_id
    told: dict[str, Any] = {"step_id": own, "parent_step_id": parent}
    if record.scope and record.scope != SCOPE:
        told["attributes"] = {**step.attributes, INSTRUMENTATION: record.scope}
    return step_message(step.model_copy(update=told))


def record_of(span: ReadableSpan) -> SpanRecord:
    """A span of the SDK as the mapping reads it."""
    context = span.get_span_context()
    assert context is not None
    return SpanRecord(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        name=span.name,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        parent_span_id=f"{span.parent.span_id:016x}" if span.parent else None,
        kind=_KINDS[span.kind],
        status=_STATUSES[span.status.status_code],
        status_message=span.status.description or "",
        attributes=dict(span.attributes or {}),
        events=[SpanEvent(e.name, e.timestamp, dict(e.attributes or {})) for e in span.events],
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        resource=span.resource.attributes,
    )


_processor = RunSpans()
_extended: WeakSet[TracerProvider] = WeakSet()
_lock = Lock()
_own: TracerProvider | None = None


def provider() -> TracerProvider:
    """The process's tracer provider where it is OpenTelemetry's SDK, extended by us; else one of our own."""
    found = trace.get_tracer_provider()
    return extend(found) if isinstance(found, TracerProvider) else _own_provider()


def install(chosen: object = None) -> TracerProvider:
    """Extend a provider (the process's where none is given), so that spans of instrumented libraries become steps.

    Where the process has none, it gets one. Raises Misuse for one that is not the SDK's.
    """
    found = trace.get_tracer_provider() if chosen is None else chosen
    if isinstance(found, trace.ProxyTracerProvider):
        trace.set_tracer_provider(_own_provider())
        found = trace.get_tracer_provider()
    if not isinstance(found, TracerProvider):
        raise Misuse(
            f"{type(found).__qualname__} takes no span processors; write "
            "app.instrument(opentelemetry.sdk.trace.TracerProvider())"
        )
    return extend(found)


def extend(found: TracerProvider) -> TracerProvider:
    """Make a provider tell us of its spans, once."""
    if found not in _extended:
        with _lock:
            if found not in _extended:
                found.add_span_processor(_processor)
                _extended.add(found)
    return found


def span_id_of(span: Span) -> str:
    """16 hexadecimal digits; made up where tracing is switched off."""
    return f"{span.get_span_context().span_id or _ids.generate_span_id():016x}"


def trace_id_of(span: Span) -> str:
    """32 hexadecimal digits; made up where tracing is switched off."""
    return f"{span.get_span_context().trace_id or _ids.generate_trace_id():032x}"


def _own_provider() -> TracerProvider:
    global _own
    with _lock:
        if _own is None:
            _own = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    return extend(_own)


__all__ = [
    "INSTRUMENTATION",
    "SCOPE",
    "RunSpans",
    "extend",
    "install",
    "provider",
    "record_of",
    "span_id_of",
    "step_of_run",
    "trace_id_of",
]
