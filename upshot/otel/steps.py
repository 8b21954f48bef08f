"""A span as a step: pure, driven by the tables of `vocabulary`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from upshot.otel import vocabulary
from upshot.otel.allowed import NOTHING_ASKED, RequestedAttributes, free
from upshot.otel.calls import Call, repeats_of, response_id_of, stops_in_answer
from upshot.otel.content_names import INPUTS, OUTPUTS
from upshot.otel.names import kind_of_operation, model_of, provider_of, stop_of
from upshot.otel.prices import Prices, Usage, price_of, unpriced
from upshot.otel.reading import (
    LONGEST_CONTENT,
    LONGEST_NAME,
    Attributes,
    as_amount,
    as_count,
    as_text,
    as_texts,
    content,
    fields_of,
    index_of,
    text,
)
from upshot.otel.span import SpanRecord, instant_of
from upshot.otel.usage import NOTHING, spread, usage_in
from upshot.schemas.fields import EARLIEST, LATEST
from upshot.schemas.steps import CostSource, Step, StepStatus

#: Which instrumentation a step's span is of.
INSTRUMENTATION = "otel.scope.name"
#: On a step with uncounted usage: the step that reports the same call.
REPEATS = "upshot.repeats"
#: Characters of an error kept while content is off: the error may repeat the request.
LONGEST_ERROR = 1000
_TEXTS = index_of(vocabulary.TEXTS)
_COUNTS = index_of(vocabulary.COUNTS)
_AMOUNTS = index_of(vocabulary.AMOUNTS)
_LISTS = index_of(vocabulary.LISTS)
_PROVIDER = index_of({"provider": vocabulary.PROVIDERS})
#: What stays an attribute where usage isn't counted.
_USAGE_NAMES = frozenset((*_COUNTS, *vocabulary.AMOUNTS["given"], *vocabulary.AMOUNTS["span"]))
#: Names whose values the step may spell differently: then the raw value stays an attribute.
_RESPELLED = (*_PROVIDER, *vocabulary.MODELS, *_LISTS)
_OPERATION_IN_NAME = ("chat", "text_completion", "generate_content", "embeddings")
_TAKEN = frozenset(
    (
        *_TEXTS,
        *_COUNTS,
        *_AMOUNTS,
        *_LISTS,
        *_PROVIDER,
        *vocabulary.KINDS,
        *vocabulary.TOTALS,
        *vocabulary.RESPONSE_IDS,
        "upshot.attempt",
        REPEATS,
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
    """The steps of all spans of a run; `root` is the run's own span, which is no step.

    Usage stated by several spans, see `calls`, is on a single step of theirs.
    """
    repeated = repeated_usage(spans)
    return [
        step_of(
            span,
            run_id,
            root=root,
            repeats=span.span_id in repeated,
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
    repeats: bool = False,
    prices: Prices = unpriced,
    with_content: bool = False,
    asked: RequestedAttributes = NOTHING_ASKED,
) -> Step:
    """The step of a span. Never raises because of the span's content: unusable values are left out.

    `root` is the span id of the run itself: a step right below has no parent step. `repeats`: another span
    states the same usage; tokens and cost don't count then and stay among the attributes. `with_content`
    keeps input and output, which may hold personal data; without content, attributes are facts alone, and the
    names in `asked`.
    """
    span_attributes = spread(span.attributes)
    kind = kind_of(span)
    texts = _texts(span, span_attributes, kind)
    lists = _stops(span_attributes, kind)
    usage = usage_in(span_attributes)
    status, error, texts["error_type"] = failure_of(span, LONGEST_CONTENT if with_content else LONGEST_ERROR)
    cost = _NO_COST if repeats else _cost(span, span_attributes, usage, texts, prices)
    spelled = {*filter(None, texts.values()), *lists.get("finish_reasons", ())}
    taken = (_TAKEN_BUT_USAGE if repeats else _TAKEN) - set(_respelled(span.attributes, spelled))
    attributes = free(span.attributes, taken, with_content=with_content, asked=asked)
    return Step(
        run_id=run_id,
        step_id=span.span_id,
        parent_step_id=None if span.parent_span_id == root else span.parent_span_id,
        name=span.name[:LONGEST_NAME] or "span",
        kind=kind,
        status=status,
        attempt=as_count(span_attributes.get("upshot.attempt")) or 1,
        started_at=instant_or_none(span.start_ns),
        ended_at=instant_or_none(span.end_ns),
        **texts,
        **({} if repeats or usage is NOTHING else usage._asdict()),
        **lists,
        first_chunk_seconds=_first_chunk(span),
        cost_usd=cost.usd,
        cost_source=cost.source,
        response_id=response_id_of(span_attributes),
        error=error,
        input=content(span.attributes, INPUTS) if with_content else None,
        output=content(span.attributes, OUTPUTS) if with_content else None,
        attributes={**attributes, INSTRUMENTATION: span.scope[:LONGEST_NAME]} if span.scope else attributes,
    )


def repeated_usage(spans: Iterable[SpanRecord]) -> dict[str, str]:
    """The ids of the spans with uncounted usage, each with the span of the counted usage."""
    spans = list(spans)
    parents = {span.span_id: span.parent_span_id for span in spans}
    return repeats_of([call_of(span) for span in spans if says_usage(span)], parents)


def call_of(span: SpanRecord, priced: bool = False) -> Call:
    """The facts distinguishing the call of a span from others."""
    span_attributes = spread(span.attributes)
    usage, texts = usage_in(span_attributes), _texts(span, span_attributes, "")
    return Call(
        step=span.span_id,
        parent=span.parent_span_id,
        instrumentation=span.scope,
        name=span.name,
        response_id=response_id_of(span_attributes) or "",
        model=texts.get("model") or "",
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        started=span.start_ns // 1000,
        ended=span.end_ns // 1000,
        priced=priced or _stated_cost(span_attributes) is not _NO_COST,
    )


def says_usage(span: SpanRecord) -> bool:
    """Whether a span states usage, its own or repeated."""
    span_attributes = spread(span.attributes)
    return usage_in(span_attributes) != NOTHING or _stated_cost(span_attributes) is not _NO_COST


def usage_of(span: SpanRecord) -> Usage:
    """The tokens named by a span."""
    return usage_in(spread(span.attributes))


def kind_of(span: SpanRecord) -> str:
    """Our word for the kind of a span; `function` where the span doesn't state a kind."""
    span_attributes = span.attributes
    for name, words in vocabulary.KINDS.items():
        if name not in span_attributes:
            continue
        word = text(span_attributes, (name,))
        word = word.strip('"') if word else None
        if word and word not in words and name in vocabulary.OPERATIONS:
            kind = kind_of_operation(word) or word.lower()
        else:
            kind = words.get(word, word.lower()) if word else ""
        if kind:
            return kind
    if text(span_attributes, vocabulary.TEXTS["tool_name"]):
        return "tool"
    spread_out = spread(span_attributes)
    if text(spread_out, vocabulary.TEXTS["model"]) and usage_in(spread_out) != NOTHING:
        return "model"
    return "agent" if text(span_attributes, vocabulary.AGENT) else "function"


def failure_of(span: SpanRecord, longest: int = LONGEST_CONTENT) -> tuple[StepStatus, str | None, str | None]:
    """How a span ended, the failure in at most `longest` characters, and the type of the error."""
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
    return "cancelled" if cancelled else "error", error[:longest], error_type


def instant_or_none(nanoseconds: int) -> datetime | None:
    """The instant; None for an instant outside the contract."""
    instant = instant_of(nanoseconds)
    return instant if EARLIEST <= instant < LATEST else None


class _Cost(NamedTuple):
    usd: float | None
    source: CostSource | None


_NO_COST = _Cost(None, None)


def _texts(span: SpanRecord, span_attributes: Attributes, kind: str) -> dict[str, str | None]:
    """The texts of a step by field, each in a single spelling."""
    texts: dict[str, str | None] = {**fields_of(span_attributes, _TEXTS, as_text)}
    texts |= fields_of(span_attributes, _PROVIDER, _as_provider)
    operation, _, rest = span.name.partition(" ")
    if kind in ("model", "embedding") and not texts.get("model") and operation in _OPERATION_IN_NAME and rest:
        texts["model"] = texts["request_model"] = rest[
            :LONGEST_NAME
        ]  # a call that failed may say it there alone
    for field in ("request_model", "model"):
        if model := texts.get(field):
            texts[field], provider = model_of(model)
            texts.setdefault("provider", provider)
    return texts


def _as_provider(value: object) -> str | None:
    word = as_text(value)
    return provider_of(word) if word else None


def _stops(span_attributes: Attributes, kind: str) -> dict[str, list[str]]:
    lists = fields_of(span_attributes, _LISTS, as_texts)
    if not lists and kind == "model" and (inside := stops_in_answer(span_attributes)):
        lists = {"finish_reasons": inside}
    return {field: [stop_of(word) for word in words] for field, words in lists.items()}


def _respelled(span_attributes: Attributes, spelled: set[str]) -> Iterable[str]:
    """The attributes whose values the step spells differently: these stay beside."""
    for name in _RESPELLED:
        if name in span_attributes and not spelled.issuperset(as_texts(span_attributes[name]) or ()):
            yield name


def _cost(
    span: SpanRecord, attributes: Attributes, usage: Usage, texts: Mapping[str, str | None], prices: Prices
) -> _Cost:
    """The cost stated on purpose, else the span's cost, else the table's."""
    span_attributes = _stated_cost(attributes)
    if span_attributes is not _NO_COST:
        return span_attributes
    raw = fields_of(attributes, _TEXTS, as_text).get("model")
    models = dict.fromkeys(filter(None, (raw, texts.get("model"))))
    if not models:
        return _NO_COST
    usd = price_of(prices, texts.get("provider"), models, usage, instant_of(span.start_ns))
    return _NO_COST if usd is None else _Cost(usd, "table")


def _stated_cost(attributes: Attributes) -> _Cost:
    span_attributes = fields_of(attributes, _AMOUNTS, as_amount)
    if "given" in span_attributes:
        return _Cost(span_attributes["given"], "given")
    return _Cost(span_attributes["span"], "span") if "span" in span_attributes else _NO_COST


def _first_chunk(span: SpanRecord) -> float | None:
    amounts = fields_of(span.attributes, _AMOUNTS, as_amount)
    if "first_chunk_seconds" in amounts:
        return amounts["first_chunk_seconds"]
    if "first_chunk_milliseconds" in amounts:
        return amounts["first_chunk_milliseconds"] / 1000
    first = [event.at_ns for event in span.events if event.name in vocabulary.FIRST_CHUNK_EVENTS]
    return max(min(first) - span.start_ns, 0) / 1e9 if first else None


__all__ = [
    "INSTRUMENTATION",
    "LONGEST_ERROR",
    "REPEATS",
    "call_of",
    "failure_of",
    "instant_or_none",
    "kind_of",
    "repeated_usage",
    "says_usage",
    "step_of",
    "steps_of",
    "usage_of",
]
