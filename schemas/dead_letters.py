"""Dead letters: unusable input, kept with its reason and its original bytes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from pydantic import Field

from upshot.schemas.fields import Count, Event, Id, Instant, Items, Text

Reason = Literal[
    "empty",
    "too_large",
    "not_json",
    "not_an_object",
    "not_finite",
    "no_subject",
    "missing_field",
    "wrong_type",
    "invalid_value",
    "invalid_rule",
    "absurd_time",
    "unknown_version",
    "unusable_outcome",
    "not_otlp",
    "unmapped",
    "followup_failed",
    "notice_failed",
    "kind_clash",
    "poison_record",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

#: The meaning of each reason, and the remedy.
MEANINGS: Mapping[Reason, str] = MappingProxyType(
    {
        "empty": "The record has no value. Send the event as the value, not as the key.",
        "too_large": (
            "The event is too long, or everything kept about its subject would be too long with this "
            "event. Keep long content elsewhere and send a link; use smaller things as subjects."
        ),
        "not_json": "The bytes are no JSON in UTF-8. Look at the producer's serializer.",
        "not_an_object": "JSON, but no object: a list, a number or a text. Send one record for each event.",
        "not_finite": (
            "The event holds NaN, Infinity or a number beyond a double's range. Send null or leave "
            "the field out."
        ),
        "no_subject": "The outcome names no subject. Add `subject` (in binary mode the header `ce_subject`).",
        "missing_field": "A required field is absent. Add the field.",
        "wrong_type": "A field has another JSON type than the contract's, such as text for a number.",
        "invalid_value": "A field has the right type but breaks a limit: empty, too long, not one of the "
        "choices, nested deeper than 200 levels.",
        "invalid_rule": "The wait's rule contradicts itself, or a path does not parse.",
        "absurd_time": "An instant or a window lies outside all sense: before 2000, after 2099, over a day "
        "after the record was written, longer than ten years. Look at the producer's clock and units.",
        "unknown_version": (
            "This release does not read the event's `schema_version` or `specversion`. Upgrade the "
            "worker and send the record again."
        ),
        "unusable_outcome": "The outcome should decide a wait, but the rule's path gives no number or "
        "boolean. Mend the rule or the data; the wait stays open.",
        "not_otlp": "The bytes are no spans in OpenTelemetry's encoding, or some spans have no valid ids. "
        "Set the exporter's encoding to otlp_proto or otlp_json.",
        "unmapped": (
            "The code of a source could not make an outcome of the record. Mend the code, or the program "
            "sending the record."
        ),
        "followup_failed": (
            "The code of a follow-up raised, again and again, or differs from the code at the "
            "follow-up's beginning. Mend and deploy the code, then: `upshot followups retry`. Results of "
            "its steps are kept."
        ),
        "notice_failed": (
            "A receiver refused a notice of an alert, or did not take it at any try over three days. The "
            "alert is stored all the same: `upshot alerts notices --failed`. Mend the receiver's settings, "
            "then try it: `upshot alerts ping RECEIVER`."
        ),
        "kind_clash": (
            "A score's name is a number or a boolean, as its first score was, and this score has the "
            "other kind. Send the first kind, or give the score a name of its own."
        ),
        "poison_record": (
            "A worker ended, or lost its session, each time it handled this record, also alone. Look "
            "into the worker's log, report the record, and send the record again once the fault is "
            "mended."
        ),
    }
)


class DeadLetter(Event):
    """A refused record. The record can be mended and sent again."""

    dead_letter_id: Id = Field(description="Made from the record's place and the reason; the record's key.")
    reason: Reason = Field(description="Why, as a stable code.")
    detail: Text = Field(description="Why, in words, and what to do.")
    topic: Id = Field(description="Where the record lay.")
    partition: Count = Field(description="Its partition.")
    offset: Count = Field(description="Its offset.")
    key: str | None = Field(None, description="Its key, base64.")
    value: str | None = Field(None, description="Its original bytes, base64.")
    headers: Items[tuple[str, str]] = Field(
        default_factory=list, description="Its headers, values in base64."
    )
    recorded_at: Instant = Field(description="The record's own timestamp.")


__all__ = ["MEANINGS", "REASONS", "DeadLetter", "Reason"]
