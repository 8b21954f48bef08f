"""A run's id is the id of its span; a run is made from the span of an agent."""

from __future__ import annotations

import re

from upshot.otel import vocabulary
from upshot.otel.allowed import NOTHING_ASKED, RequestedAttributes, free
from upshot.otel.content_names import INPUTS, OUTPUTS
from upshot.otel.reading import LONGEST_CONTENT, LONGEST_ID, LONGEST_NAME, content, text
from upshot.otel.span import SpanRecord
from upshot.otel.steps import LONGEST_ERROR, failure_of, instant_or_none
from upshot.schemas.runs import Run, RunStatus

_RUN_ID = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")
_STATUSES: dict[str, RunStatus] = {"ok": "completed", "error": "failed", "cancelled": "cancelled"}
_TAKEN = frozenset(
    (*vocabulary.AGENT, *vocabulary.AGENT_VERSION, *vocabulary.SESSION, "upshot.run", "upshot.run_id")
)


def run_id_of(trace_id: str, span_id: str) -> str:
    """The id of the run that a span is: `<trace id>-<span id>`, both in hexadecimal."""
    return f"{trace_id}-{span_id}"


def trace_of(run_id: str) -> tuple[str, str] | None:
    """Trace id and span id of a run with an id made by `run_id_of`; None for another id."""
    match = _RUN_ID.fullmatch(run_id)
    return (match[1], match[2]) if match else None


def run_of(
    span: SpanRecord, *, with_content: bool = False, asked: RequestedAttributes = NOTHING_ASKED
) -> Run:
    """The finished run of this span: the root span of an agent, say."""
    attributes = span.attributes
    status, error, _ = failure_of(span, LONGEST_CONTENT if with_content else LONGEST_ERROR)
    return Run(
        run_id=run_id_of(span.trace_id, span.span_id),
        agent=text(attributes, vocabulary.AGENT) or span.name[:LONGEST_NAME] or None,
        version=text(attributes, vocabulary.AGENT_VERSION) or text(span.resource, vocabulary.AGENT_VERSION),
        status=_STATUSES[status],
        started_at=instant_or_none(span.start_ns),
        ended_at=instant_or_none(span.end_ns),
        session_id=text(attributes, vocabulary.SESSION, LONGEST_ID),
        error=error,
        input=content(attributes, INPUTS) if with_content else None,
        output=content(attributes, OUTPUTS) if with_content else None,
        attributes=free(attributes, _TAKEN, with_content=with_content, asked=asked),
    )


__all__ = ["run_id_of", "run_of", "trace_of"]
