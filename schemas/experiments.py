"""The registry of experiments: variants and their weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from upshot.schemas.fields import Event, Instant, Name, Named, Text

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Strategy = Literal["fixed", "weighted", "bucket", "custom", "adaptive"]


class Experiment(Event):
    """An experiment in its present state; the latest record of a key counts."""

    experiment: Name = Field(description="The experiment; the record's key.")
    phase: Name = Field("1", description="A change of weights opens a new phase.")
    strategy: Strategy = Field("weighted", description="How a run gets its variant.")
    variants: Named[Weight] = Field(min_length=1, description="Variants and their weights.")
    reason: Text = Field("", description="Why it was changed.")
    changed_at: Instant = Field(description="When it was changed.")


__all__ = ["Experiment"]
