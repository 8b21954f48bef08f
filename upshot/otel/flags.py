"""Evaluations of feature flags in spans, as exposures: whoever uses OpenFeature takes part without more code.

OpenTelemetry's semantic conventions call the event `feature_flag.evaluation` (once `feature_flag`), with the
flag as `feature_flag.key`, the variant as `feature_flag.result.variant` (once `feature_flag.variant`) or the
value alone, and the unit as `feature_flag.context.id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from upshot.otel.reading import LONGEST_ID, text
from upshot.otel.span import SpanEvent, SpanRecord, instant_of
from upshot.schemas.exposures import Exposure
from upshot.schemas.fields import EARLIEST, LATEST

EVENTS = frozenset(("feature_flag.evaluation", "feature_flag"))
STRATEGY = "external"
_KEY = ("feature_flag.key",)
_VARIANT = ("feature_flag.result.variant", "feature_flag.variant")
_VALUE = ("feature_flag.result.value", "feature_flag.evaluation.value.body")
_UNIT = ("feature_flag.context.id",)
_REASON = ("feature_flag.result.reason", "feature_flag.evaluation.reason")
#: Reasons of an evaluation that chose among nothing: the flag is off, or the provider had no answer.
_NO_CHOICE = frozenset(("error", "disabled", "default", "static"))
_LONGEST_VARIANT = 200


def exposures_of(span: SpanRecord, run_id: str) -> Iterator[Exposure]:
    """The exposures in a span's events, one for each evaluation that chose among variants.

    An evaluation without a usable flag or variant gives none: the event stays visible in its span.
    """
    for event in span.events:
        if event.name in EVENTS and (found := _exposure(event, run_id)):
            yield found


def chooses(event: SpanEvent) -> bool:
    """Whether an event is an evaluation that chose among variants."""
    return event.name in EVENTS and (text(event.attributes, _REASON) or "").lower() not in _NO_CHOICE


def _exposure(event: SpanEvent, run_id: str) -> Exposure | None:
    facts = event.attributes
    key, variant = text(facts, _KEY), _variant(facts)
    if key is None or variant is None or not chooses(event):
        return None
    try:
        return Exposure(
            run_id=run_id,
            experiment=key,
            variant=variant,
            unit=text(facts, _UNIT, LONGEST_ID),
            strategy=STRATEGY,
            exposed_at=_instant(event.at_ns),
        )
    except ValidationError:
        return None


def _instant(at_ns: int) -> datetime | None:
    """When it happened; None for an absurd time: the exposure counts from when it is recorded."""
    at = instant_of(at_ns)
    return at if EARLIEST <= at < LATEST else None


def _variant(facts: Mapping[str, Any]) -> str | None:
    """The variant's name; for flags without names the value, as JSON: `true`, `"gpt-5"` as `gpt-5`."""
    named = text(facts, _VARIANT)
    if named is not None:
        return named
    value = next((facts[name] for name in _VALUE if facts.get(name) is not None), None)
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value, sort_keys=True))[:_LONGEST_VARIANT] or None


__all__ = ["EVENTS", "STRATEGY", "chooses", "exposures_of"]
