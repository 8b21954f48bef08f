"""Alerts: a bad outcome of which somebody wants to know at once."""

from __future__ import annotations

from pydantic import Field

from upshot.schemas.fields import Count, Event, Id, Instant, Name, Text, Value


class Alert(Event):
    """A score crossed a line."""

    alert_id: Id = Field(description="Made from the alert's name and the score's revision.")
    name: Name = Field(description="The line that was crossed.")
    run_id: Id = Field(description="The run that the alert is about; the record's key.")
    score_id: Id = Field(description="The score that crossed the line.")
    revision: Count = Field(1, description="The revision of the score.")
    value: Value = Field(description="The score's value.")
    message: Text = Field("", description="The message for people.")
    raised_at: Instant = Field(description="When the score crossed the line.")


__all__ = ["Alert"]
