"""Dead letters: input that could not be used, kept with its reason and its original bytes."""

from __future__ import annotations

from base64 import b64decode
from typing import Literal, get_args

from pydantic import Field

from upshot.schemas.fields import Count, Event, Id, Instant, Text

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
]
REASONS: tuple[Reason, ...] = get_args(Reason)


class DeadLetter(Event):
    """A record that was refused. It can be mended and sent again."""

    dead_letter_id: Id = Field(description="Made from the record's place and the reason; the record's key.")
    reason: Reason = Field(description="Why, as a stable code.")
    detail: Text = Field(description="Why, in words, and what to do.")
    topic: Id = Field(description="Where the record lay.")
    partition: Count = Field(description="Its partition.")
    offset: Count = Field(description="Its offset.")
    key: str | None = Field(None, description="Its key, base64.")
    value: str | None = Field(None, description="Its original bytes, base64.")
    headers: list[tuple[str, str]] = Field(default_factory=list, description="Its headers, values in base64.")
    recorded_at: Instant = Field(description="The record's own timestamp.")

    @property
    def payload(self) -> bytes:
        """The original bytes; empty where there were none."""
        return b64decode(self.value) if self.value else b""


__all__ = ["REASONS", "DeadLetter", "Reason"]
