"""The bridge to OpenTelemetry: the tracer of runs and steps, and the way from ended spans to steps."""

from __future__ import annotations

import functools
import logging
from threading import Lock, current_thread, main_thread
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode

from upshot.errors import Misuse
from upshot.otel import flags
from upshot.otel.calls import Call
from upshot.otel.span import SpanEvent, SpanRecord, SpanStatus
from upshot.otel.span import SpanKind as Kind
from upshot.otel.steps import INSTRUMENTATION, REPEATS, call_of, kind_of, step_of
from upshot.schemas.steps import Step
from upshot.sdk.context import run_in
from upshot.sdk.ended_spans import REMEMBERED, EndedSpans
from upshot.sdk.facts import step_message
from upshot.sdk.providers import follow, inside, takes_processors
from upshot.streams.events.outgoing import OutgoingEvent

if TYPE_CHECKING:
    from upshot.sdk.runs import Run

logger = logging.getLogger("upshot")

SCOPE = "upshot"
#: The mark on a provider reporting its spans to us.
_EXTENDED = "_upshot_told"
#: What belongs into a run.
_OF_AN_AGENT = frozenset({"model", "embedding", "retrieval", "rerank", "tool", "agent"})
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
_NONE = (None,) * 6
_SPAN_BYTES = 2000
_ids = RandomIdGenerator()


class RunSpans(SpanProcessor):
    """Turns every span started inside a run, ours or an instrumentation's, into a step at the span's end.

    A span belongs to the run of its context, else to the run of its parent: also where both have ended, as
    with the spans of calls reported in a thread of their own.
    """

    def __init__(self) -> None:
        #: By the ids of spans under way.
        self._runs: dict[int, Run] = {}
        self._ended: EndedSpans[Run] = EndedSpans()
        #: Open runs by the id of their own span.
        self._open: WeakValueDictionary[int, Run] = WeakValueDictionary()
        #: Model calls and the like, begun below a forgotten span: these are steps of no run.
        self.lost = 0
        self._hinted = False

    def began(self, run: Run, span_id: str) -> None:
        """A run has begun, in a span of its own."""
        self._open[int(span_id, 16)] = run

    def finished(self, run: Run, span_id: str) -> None:
        """A run has ended; spans below it may still come."""
        self._open.pop(int(span_id, 16), None)
        self._ended.add(int(span_id, 16), run)

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Remember the span's run."""
        run = run_in(parent_context)
        if run is None and span.parent is not None:
            above = span.parent.span_id
            run = self._open.get(above) or self._runs.get(above) or self._ended.run_of(above)
        if run is not None:
            self._runs[span.context.span_id] = run

    def on_end(self, span: ReadableSpan) -> None:
        """Hand the span over; the rest happens in the delivery's thread."""
        span_id = span.context.span_id if span.context else None
        run = self._runs.pop(span_id, None) if span_id else None
        if run is None or span_id is None:
            self._look_for_a_forgotten_parent(span)
            self._look_for_a_bare_thread(span)
            return
        self._ended.add(span_id, run)
        size = _SPAN_BYTES
        if attributes := span.attributes:
            size += sum([len(value) for value in attributes.values() if isinstance(value, str)])
        run.event_sink.telemetry(lambda: step_of_run(run, span), size)
        # The property `events` copies the list under a lock: a tenth of a step's time.
        if getattr(span, "_events", True) and any(event.name in flags.EVENTS for event in span.events):
            run.exposed_elsewhere(flags.exposures_of(record_of(span), run.id))

    def _look_for_a_forgotten_parent(self, span: ReadableSpan) -> None:
        """Count a span below a span with a forgotten run; warn at 1, 10, 100 and so on."""
        if span.parent is None or not self._ended.forgot(span.parent.span_id):
            return
        assert span.context is not None
        self._ended.add_below_forgotten(span.context.span_id)
        kind = kind_of(record_of(span))
        if kind not in _OF_AN_AGENT:
            return
        self.lost += 1
        if set(str(self.lost)[1:]) <= {"0"} and str(self.lost)[0] == "1":
            logger.warning(
                "the span %r (%s) began below a span whose run is forgotten (the latest %d ended spans are "
                "remembered), so it is no step: %d lost so far. Continue the run by upshot.attach(run_id).",
                span.name,
                kind,
                REMEMBERED,
                self.lost,
            )

    def _look_for_a_bare_thread(self, span: ReadableSpan) -> None:
        """Warn once of a model call outside of an open run: threads start without a context."""
        bare = span.parent is None and current_thread() is not main_thread()
        if self._hinted or not bare or not self._open:
            return
        kind = kind_of(record_of(span))
        if kind in _OF_AN_AGENT:
            self._hinted = True
            logger.warning(
                "the span %r (%s) began in thread %s outside of every run while a run was open, so it is no "
                "step of it: wrap what the thread runs as upshot.in_thread(function), or install "
                "opentelemetry-instrumentation-threading and call ThreadingInstrumentor().instrument(). This "
                "is said once.",
                span.name,
                kind,
                current_thread().name,
            )


def step_of_run(run: Run, span: ReadableSpan) -> OutgoingEvent:
    """An ended span as a step of its run. Children come before their parents, since they mostly end first."""
    record = record_of(span)
    ours = record.scope == SCOPE
    step_id = run.place_of(record.span_id) or record.span_id
    parent = record.parent_span_id and run.place_of(record.parent_span_id)
    make = functools.partial(
        step_of,
        record,
        run.id,
        root=record.parent_span_id if parent is None else None,
        with_content=run.app.capture_content or ours,
        asked=run.app.asked,
    )
    priced = make(prices=run.app.prices)
    earlier = _stated_before(run, record, priced)
    step = priced if earlier is None else make(repeats=True)
    if ours:
        step.attributes.pop(INSTRUMENTATION, None)
    fields: dict[str, Any] = {}
    if (step.step_id, step.parent_step_id) != (step_id, parent):  # a further attempt, or below one
        fields = {"step_id": step_id, "parent_step_id": parent}
    if isinstance(earlier, Call):
        step.attributes[REPEATS] = run.place_of(earlier.step) or earlier.step
        if priced.cost_usd is not None and run.counting.lacks_cost(earlier):
            # The other step counts and has no cost. Without the answer's id, the views count this cost too.
            fields |= {"cost_usd": priced.cost_usd, "cost_source": priced.cost_source, "response_id": None}
    return step_message(step.model_copy(update=fields) if fields else step)


def _stated_before(run: Run, record: SpanRecord, step: Step) -> Call | str | None:
    """The earlier span with this usage; None where this usage counts, or where there is none."""
    if not _has_usage(step):
        run.counting.passed(record.span_id, record.parent_span_id)
        return None
    call = call_of(record, priced=step.cost_usd is not None)
    if record.scope == SCOPE:
        call = call._replace(instrumentation="")
    return run.counting.repeats(call)


def _has_usage(step: Step) -> bool:
    """Whether the step's span states usage or a cost: nothing of these is left out of such a step."""
    usage = step.input_tokens, step.output_tokens, step.cached_input_tokens
    others = step.cache_write_input_tokens, step.reasoning_output_tokens, step.cost_usd
    return (*usage, *others) != _NONE


def record_of(span: ReadableSpan) -> SpanRecord:
    """A span of the SDK, in the mapping's form."""
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
_others: list[object] = []
_lock = Lock()
_own: TracerProvider | None = None


def began_run(run: Run, span_id: str) -> None:
    """A run has begun: children of its span belong to the run, whatever context they begin in."""
    _processor.began(run, span_id)


def ended_run(run: Run, span_id: str) -> None:
    """A run has ended."""
    _processor.finished(run, span_id)


def provider() -> TracerProvider:
    """The process's tracer provider, extended by us, where OpenTelemetry's SDK or a wrapper; else our own."""
    found = trace.get_tracer_provider()
    return extend(found) if takes_processors(found) else _own_provider()


def install(chosen: object = None) -> TracerProvider:
    """Extend a provider (the process's where none is given): spans of instrumented libraries become steps.

    A process without a provider gets one. Providers of the SDK made from then on are extended, too: a wrapper
    of the SDK's, set up later, can't become the process's any more. Raises Misuse for a provider which
    neither is the SDK's nor wraps one.
    """
    follow(extend_one)
    found = trace.get_tracer_provider() if chosen is None else chosen
    if isinstance(found, trace.ProxyTracerProvider):
        trace.set_tracer_provider(_own_provider())
        found = trace.get_tracer_provider()
    if not takes_processors(found):
        raise Misuse(
            f"{type(found).__qualname__} takes no span processors; write "
            "app.instrument(opentelemetry.sdk.trace.TracerProvider())"
        )
    return extend(found)


def extend(found: TracerProvider) -> TracerProvider:
    """Make a provider report its spans to us, once; for a wrapper of the SDK's the provider inside."""
    for one in inside(found):
        extend_one(one)
    return found


def extend_one(found: TracerProvider) -> None:
    """Make a provider of the SDK report its spans to us, once."""
    with _lock:
        if not getattr(found, _EXTENDED, False) and all(found is not other for other in _others):
            found.add_span_processor(_processor)
            try:
                setattr(found, _EXTENDED, True)
            except AttributeError:  # it has slots
                _others.append(found)


def span_id_of(span: Span) -> str:
    """16 hexadecimal digits; made up where tracing is switched off."""
    return f"{span.get_span_context().span_id or _ids.generate_span_id():016x}"


def trace_id_of(span: Span) -> str:
    """32 hexadecimal digits; made up where tracing is switched off."""
    return f"{span.get_span_context().trace_id or _ids.generate_trace_id():032x}"


def _own_provider() -> TracerProvider:
    global _own
    if _own is None:
        made = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
        with _lock:
            _own = _own or made
    return extend(_own)


__all__ = [
    "INSTRUMENTATION",
    "SCOPE",
    "RunSpans",
    "began_run",
    "ended_run",
    "extend",
    "install",
    "provider",
    "record_of",
    "span_id_of",
    "step_of_run",
    "trace_id_of",
]
