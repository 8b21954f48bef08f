"""Evaluations of feature flags in spans, as exposures: whoever uses OpenFeature takes part without more code.

OpenTelemetry's semantic conventions call the event `feature_flag.evaluation` (once `feature_flag`), with the
flag as `feature_flag.key`, the variant as `feature_flag.result.variant` (once `feature_flag.variant`) or the
value alone, and the unit as `feature_flag.context.id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from upshot.otel.reading import LONGEST_ID, text
from upshot.otel.span import SpanEvent, SpanRecord, instant_of
from upshot.schemas.exposures import Exposure

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


def _exposure(event: SpanEvent, run_id: str) -> Exposure | None:
    facts = event.attributes
    key, variant = text(facts, _KEY), _variant(facts)
    reason = text(facts, _REASON)
    if key is None or variant is None or (reason or "").lower() in _NO_CHOICE:
        return None
    try:
        return Exposure(
            run_id=run_id,
            experiment=key,
            variant=variant,
            unit=text(facts, _UNIT, LONGEST_ID),
            strategy=STRATEGY,
            exposed_at=instant_of(event.at_ns) if event.at_ns else None,
        )
    except ValidationError:
        return None


def _variant(facts: Mapping[str, Any]) -> str | None:
    """The variant's name; for flags without names the value, as JSON: `true`, `"gpt-5"` as `gpt-5`."""
    named = text(facts, _VARIANT)
    if named is not None:
        return named
    value = next((facts[name] for name in _VALUE if facts.get(name) is not None), None)
    if value is None:
        return None
    return (value if isinstance(value, str) else json.dumps(value, sort_keys=True))[:_LONGEST_VARIANT] or None


__all__ = ["EVENTS", "STRATEGY", "exposures_of"]
