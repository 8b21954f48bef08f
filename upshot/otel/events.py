"""Spans as events of the contract: a trace is a run, each of its spans a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel

from upshot.otel import Prices, RequestedAttributes, SpanRecord, run_of, step_of
from upshot.otel.allowed import NOTHING_ASKED
from upshot.otel.flags import EVENTS, chooses, exposures_of
from upshot.otel.otlp import Spans
from upshot.otel.reading import LONGEST_ID
from upshot.otel.steps import instant_or_none, kind_of
from upshot.otel.vocabulary import AROUND
from upshot.schemas.runs import Run
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import MAX_EVENT_BYTES

#: Attribute of a span or its resource with the run's id, if not the trace's.
RUN_ID = "upshot.run_id"
#: Fact of the run with the trace's id: the id by which its root goes.
KNOWN_AS = "upshot.known_as"
#: Why a log record is left out that is no event of ours.
NO_EVALUATION = "that are no evaluations of feature flags"


class MappedSpans(NamedTuple):
    """The events made of spans, the number of spans left out, and the reasons."""

    events: list[OutgoingEvent]
    rejected: int
    why: str
    #: The left out log records of other programs: no fault of anybody's.
    foreign: int = 0


def events_of(
    found: Spans, prices: Prices, *, with_content: bool, asked: RequestedAttributes = NOTHING_ASKED
) -> MappedSpans:
    """Every span as a step of its run, every agent's span as a run event, and the id by which a trace goes.

    Evaluations of feature flags among the events of a span are exposures of its run.

    The run's id is the attribute `upshot.run_id` of the span or its resource, else the trace id, so that a
    span is the same step in any batch. The attribute of a root holds for the whole trace: the views show the
    steps under this id. Of several agents in a trace the outermost ends last, and the last end counts. Steps
    hold the facts of their spans; the views decide from all steps of a run whose usage counts.
    """
    events: list[OutgoingEvent] = []
    large = 0
    for span in found.spans:
        for event in _of_span(span, prices, with_content, asked):
            if len(event.value) > MAX_EVENT_BYTES:
                large += event.topic == "steps"
            else:
                events.append(event)
    return MappedSpans(events, sum(found.left_out.values()) + large, _why(found.left_out, large))


def exposures_of_logs(found: Spans) -> MappedSpans:
    """Evaluations of feature flags in log records as exposures; all other records are left out, and counted.

    The run's id is the attribute `upshot.run_id` of the record or its resource, else the trace id.
    """
    events: list[OutgoingEvent] = []
    left_out = Counter(found.left_out)
    for record in found.spans:
        run_id = _run_id(record)
        if not any(event.name in EVENTS for event in record.events):
            left_out[NO_EVALUATION] += 1
        elif not run_id:
            left_out["without a run: neither a trace id nor the attribute upshot.run_id"] += 1
        elif any(map(chooses, record.events)):
            exposures = list(exposures_of(record, run_id))
            left_out["without a usable feature_flag.key or variant"] += not exposures
            events += [
                OutgoingEvent("exposures", run_id, _encoded(exposure), (), exposure.identity)
                for exposure in exposures
            ]
    left_out = +left_out
    return MappedSpans(events, sum(left_out.values()), _why(left_out, 0), left_out[NO_EVALUATION])


def _run_id(span: SpanRecord) -> str:
    stated = span.attributes.get(RUN_ID) or span.resource.get(RUN_ID)
    return stated if isinstance(stated, str) and len(stated) <= LONGEST_ID else span.trace_id


def _of_span(
    span: SpanRecord, prices: Prices, with_content: bool, asked: RequestedAttributes
) -> Iterator[OutgoingEvent]:
    run_id = _run_id(span)
    step = step_of(span, run_id, prices=prices, with_content=with_content, asked=asked)
    yield OutgoingEvent("steps", run_id, _encoded(step), (), step.step_id)
    for exposure in exposures_of(span, run_id):
        yield OutgoingEvent("exposures", run_id, _encoded(exposure), (), exposure.identity)
    if _is_agent(span):
        run = run_of(span, with_content=with_content, asked=asked).model_copy(update={"run_id": run_id})
        yield OutgoingEvent("runs", run_id, _encoded(run), (), run_id)
    if span.parent_span_id is None and RUN_ID in span.attributes and run_id != span.trace_id:
        alias = Run(
            run_id=span.trace_id,
            occurred_at=instant_or_none(span.end_ns),
            attributes={KNOWN_AS: run_id},
        )
        yield OutgoingEvent("runs", span.trace_id, _encoded(alias), (), span.trace_id)


def _is_agent(span: SpanRecord) -> bool:
    """Whether a span is an agent, or the root of a trace and a workflow or a chain: a run in that trace."""
    kind = kind_of(span)
    return kind == "agent" or (kind in AROUND and span.parent_span_id is None)


def _encoded(event: BaseModel) -> bytes:
    return event.model_dump_json(exclude_defaults=True, by_alias=True).encode("utf-8", "replace")


def _why(left_out: Mapping[str, int], large: int) -> str:
    reasons = [f"{count} {reason}" for reason, count in left_out.items()]
    if large:
        reasons.append(f"{large} larger than {MAX_EVENT_BYTES} bytes")
    return ", ".join(reasons)


__all__ = ["KNOWN_AS", "NO_EVALUATION", "RUN_ID", "MappedSpans", "events_of", "exposures_of_logs"]
