"""Alerts: a bad outcome that somebody wants to hear of at once."""

from __future__ import annotations

from pydantic import Field

from upshot.schemas.fields import Count, Event, Id, Instant, Name, Text, Value


class Alert(Event):
    """A score crossed a line."""

    alert_id: Id = Field(description="Made from the alert's name and the score's revision.")
    name: Name = Field(description="Which line was crossed.")
    run_id: Id = Field(description="The run that it's about; the record's key.")
    score_id: Id = Field(description="The score that crossed it.")
    revision: Count = Field(1, description="Which revision of it.")
    value: Value = Field(description="The score's value.")
    message: Text = Field("", description="What to tell people.")
    raised_at: Instant = Field(description="When.")


__all__ = ["Alert"]
