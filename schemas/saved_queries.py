"""Saved queries: SQL with a name, for people to come back to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr

from upshot.schemas.fields import Event, Instant, Items, Name, Text

#: Characters of a saved query.
LONGEST_SQL = 100_000


class SavedQuery(Event):
    """SQL with a name; the latest record of a name counts, one without a value removes the name."""

    name: Name = Field(description="The query; the record's key.")
    sql: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_SQL)] = Field(
        description="Its SQL, with parameters as `{name:Type}`."
    )
    about: Text = Field("", description="The question that it answers.")
    x: Text = Field("", description="The column along the chart's axis; the likeliest where empty.")
    y: Items[Text] = Field(
        default_factory=list, description="Columns of the chart's heights; the likeliest where absent."
    )
    saved_at: Instant = Field(description="When it was saved.")


__all__ = ["LONGEST_SQL", "SavedQuery"]
