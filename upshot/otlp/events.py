"""Spans as events of the contract: a trace is a run, each of its spans a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from upshot.door.checking import Checked
from upshot.otlp.spans import Spans
from upshot.streams.topics import MAX_EVENT_BYTES
from upshot.traces import Prices, SpanRecord, run_of, steps_of
from upshot.traces.steps import kind_of
from upshot.traces.vocabulary import AROUND

#: Where a span or its resource says which run it belongs to, if not the trace's.
RUN_ID = "upshot.run_id"


class Mapped(NamedTuple):
    """The events that some spans are, how many spans are none, and why."""

    events: list[Checked]
    rejected: int
    why: str


def events_of(found: Spans, prices: Prices, *, with_content: bool) -> Mapped:
    """Every span as a step of its run, and every agent's span as news of the run itself.

    The run's id is the attribute `upshot.run_id` of the span or its resource, else the trace id: so each batch
    of an exporter is complete by itself, whatever comes in another. Of several agents in a trace the outermost
    ends last, and what ended last counts.
    """
    by_run: dict[str, list[SpanRecord]] = defaultdict(list)
    for span in found.spans:
        by_run[_run_id(span)].append(span)
    events: list[Checked] = []
    large = 0
    for run_id, spans in by_run.items():
        for event in _of_run(run_id, spans, prices, with_content):
            if len(event.value) > MAX_EVENT_BYTES:
                large += event.topic == "steps"
            else:
                events.append(event)
    return Mapped(events, sum(found.left_out.values()) + large, _why(found.left_out, large))


def _run_id(span: SpanRecord) -> str:
    said = span.attributes.get(RUN_ID) or span.resource.get(RUN_ID)
    return said if isinstance(said, str) and len(said) <= 512 else span.trace_id


def _of_run(run_id: str, spans: Sequence[SpanRecord], prices: Prices, with_content: bool) -> list[Checked]:
    steps = steps_of(spans, run_id, prices=prices, with_content=with_content)
    events = [Checked("steps", run_id, _encoded(step), (), step.step_id) for step in steps]
    for span in spans:
        if _is_agent(span):
            run = run_of(span, with_content=with_content).model_copy(update={"run_id": run_id})
            events.append(Checked("runs", run_id, _encoded(run), (), run_id))
    return events


def _is_agent(span: SpanRecord) -> bool:
    """An agent, or the root of a trace that is a workflow or a chain: what a run is there."""
    kind = kind_of(span)
    return kind == "agent" or (kind in AROUND and span.parent_span_id is None)


def _encoded(event: BaseModel) -> bytes:
    return event.model_dump_json(exclude_defaults=True, by_alias=True).encode("utf-8", "replace")


def _why(left_out: Mapping[str, int], large: int) -> str:
    reasons = [f"{count} {reason}" for reason, count in left_out.items()]
    if large:
        reasons.append(f"{large} larger than {MAX_EVENT_BYTES} bytes")
    return ", ".join(reasons)


__all__ = ["RUN_ID", "Mapped", "events_of"]
