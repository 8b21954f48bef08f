"""A span as a step: pure, driven by the tables of `vocabulary`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from upshot.schemas.fields import EARLIEST, LATEST
from upshot.schemas.steps import CostSource, Step, StepStatus
from upshot.traces import vocabulary
from upshot.traces.prices import Prices, Usage, unpriced
from upshot.traces.reading import (
    LONGEST_CONTENT,
    LONGEST_NAME,
    as_amount,
    as_count,
    as_text,
    as_texts,
    content,
    fields_of,
    free,
    index_of,
    text,
)
from upshot.traces.span import SpanRecord, instant_of

_TEXTS = index_of(vocabulary.TEXTS)
_COUNTS = index_of(vocabulary.COUNTS)
_AMOUNTS = index_of(vocabulary.AMOUNTS)
_LISTS = index_of(vocabulary.LISTS)
#: What stays an attribute where usage isn't counted.
_USAGE_NAMES = frozenset((*_COUNTS, *vocabulary.AMOUNTS["given"], *vocabulary.AMOUNTS["span"]))
_TAKEN = frozenset(
    (
        *_TEXTS,
        *_COUNTS,
        *_AMOUNTS,
        *_LISTS,
        *vocabulary.KINDS,
        "upshot.attempt",
        "llm.usage.total_tokens",
        "llm.token_count.total",
        "gen_ai.usage.total_tokens",
    )
)
_TAKEN_BUT_USAGE = _TAKEN - _USAGE_NAMES
_CANCELLED = ("CancelledError", "asyncio.CancelledError", "asyncio.exceptions.CancelledError", "cancelled")


def steps_of(
    spans: Sequence[SpanRecord],
    run_id: str,
    *,
    root: str | None = None,
    prices: Prices = unpriced,
    with_content: bool = False,
) -> list[Step]:
    """The steps of some spans of one run; `root` is the span that the run itself is, and no step.

    Usage that a span repeats from spans below it, among these, is counted below alone. These needn't be all:
    a batch of an exporter may hold a span whose children came before.
    """
    repeated = repeated_usage(spans)
    return [
        step_of(
            span,
            run_id,
            root=root,
            repeats=span.span_id in repeated or None,
            prices=prices,
            with_content=with_content,
        )
        for span in spans
        if span.span_id != root
    ]


def step_of(
    span: SpanRecord,
    run_id: str,
    *,
    root: str | None = None,
    repeats: bool | None = None,
    prices: Prices = unpriced,
    with_content: bool = False,
) -> Step:
    """The step that a span is. Never raises for what the span says: what isn't usable is left out.

    `root` is the span id of the run itself: a step right below it has no parent step. `repeats` tells whether a
    span below says its usage, too; None where that isn't known, then the kind decides. Tokens and cost that are
    repeated don't count: they stay among the attributes. `with_content` keeps input and output, which may hold
    personal data.
    """
    said = span.attributes
    texts: dict[str, str | None] = {**fields_of(said, _TEXTS, as_text)}
    usage = usage_of(span)
    kind = kind_of(span)
    counts = not (_around(span, kind) if repeats is None else repeats)
    status, error, texts["error_type"] = failure_of(span)
    cost = _cost(span, usage, texts, prices) if counts else _NO_COST
    return Step(
        run_id=run_id,
        step_id=span.span_id,
        parent_step_id=None if span.parent_span_id == root else span.parent_span_id,
        name=span.name[:LONGEST_NAME] or "span",
        kind=kind,
        status=status,
        attempt=as_count(said.get("upshot.attempt")) or 1,
        started_at=instant_or_none(span.start_ns),
        ended_at=instant_or_none(span.end_ns),
        **texts,
        **(usage._asdict() if counts else {}),
        **fields_of(said, _LISTS, as_texts),
        first_chunk_seconds=_first_chunk(span),
        cost_usd=cost.usd,
        cost_source=cost.source,
        error=error,
        input=content(said, vocabulary.INPUTS) if with_content else None,
        output=content(said, vocabulary.OUTPUTS) if with_content else None,
        attributes=free(said, _TAKEN if counts else _TAKEN_BUT_USAGE),
    )


def repeated_usage(spans: Iterable[SpanRecord]) -> frozenset[str]:
    """The ids of the spans above a span that says its usage: what they say themselves would count it twice."""
    spans = list(spans)
    parents = {span.span_id: span.parent_span_id for span in spans}
    above: set[str] = set()
    for span in spans:
        parent = span.parent_span_id if says_usage(span) else None
        while parent is not None and parent not in above:
            above.add(parent)
            parent = parents.get(parent)
    return frozenset(above)


def says_usage(span: SpanRecord) -> bool:
    """Whether a span says what it used, of its own or again."""
    return usage_of(span) != _NOTHING or _said_cost(span) is not _NO_COST


def usage_of(span: SpanRecord) -> Usage:
    """The tokens that a span names."""
    return Usage(**fields_of(span.attributes, _COUNTS, as_count))


def kind_of(span: SpanRecord) -> str:
    """Our word for what a span is; `function` where nothing says it."""
    said = span.attributes
    for name, words in vocabulary.KINDS.items():
        word = text(said, (name,))
        kind = words.get(word, word.lower()) if word else ""
        if kind:
            return kind
    if text(said, vocabulary.TEXTS["tool_name"]):
        return "tool"
    if text(said, vocabulary.TEXTS["model"]) and usage_of(span) != _NOTHING:
        return "model"
    return "agent" if text(said, vocabulary.AGENT) else "function"


def failure_of(span: SpanRecord) -> tuple[StepStatus, str | None, str | None]:
    """How a span ended, what went wrong in words, and the type of the error."""
    if span.status != "error":
        return "ok", None, None
    exception: dict[str, Any] = {}
    for event in span.events:
        if event.name == "exception":
            exception = dict(event.attributes)
    error_type = text(span.attributes, ("error.type",)) or text(exception, ("exception.type",))
    error = (
        span.status_message or text(exception, ("exception.message",), LONGEST_CONTENT) or error_type or ""
    )
    cancelled = error_type in _CANCELLED
    return "cancelled" if cancelled else "error", error[:LONGEST_CONTENT], error_type


def instant_or_none(nanoseconds: int) -> datetime | None:
    """When it was; None where the contract doesn't know such an instant."""
    instant = instant_of(nanoseconds)
    return instant if EARLIEST <= instant < LATEST else None


class _Cost(NamedTuple):
    usd: float | None
    source: CostSource | None


_NO_COST = _Cost(None, None)
_NOTHING = Usage()


def _cost(span: SpanRecord, usage: Usage, texts: Mapping[str, str | None], prices: Prices) -> _Cost:
    """What somebody said on purpose, else what the span says, else the table, for a usage that makes sense."""
    said = _said_cost(span)
    if said is not _NO_COST:
        return said
    model = texts.get("model")
    if model is None or usage.uncached is None or usage.uncached < 0:
        return _NO_COST
    usd = prices(texts.get("provider"), model, usage, instant_of(span.start_ns))
    return _NO_COST if usd is None else _Cost(usd, "table")


def _said_cost(span: SpanRecord) -> _Cost:
    said = fields_of(span.attributes, _AMOUNTS, as_amount)
    if "given" in said:
        return _Cost(said["given"], "given")
    return _Cost(said["span"], "span") if "span" in said else _NO_COST


def _around(span: SpanRecord, kind: str) -> bool:
    """Whether usage is that of steps below. Not of a client span: the agent runs elsewhere, nothing is below."""
    return kind in vocabulary.AROUND and span.kind != "client"


def _first_chunk(span: SpanRecord) -> float | None:
    said = fields_of(span.attributes, _AMOUNTS, as_amount)
    if "first_chunk_seconds" in said:
        return said["first_chunk_seconds"]
    first = [event.at_ns for event in span.events if event.name in vocabulary.FIRST_CHUNK_EVENTS]
    return max(min(first) - span.start_ns, 0) / 1e9 if first else None


__all__ = [
    "failure_of",
    "instant_or_none",
    "kind_of",
    "repeated_usage",
    "says_usage",
    "step_of",
    "steps_of",
    "usage_of",
]
