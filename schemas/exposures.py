"""Exposures: which variant of an experiment a run was given, and with what probability."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from upshot.schemas.fields import Event, Id, Instant, Name
from upshot.schemas.ids import fact_id

Probability = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]


class Assignment(BaseModel):
    """A variant of an experiment, as waits and scores carry it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    experiment: Name = Field(description="The experiment.")
    variant: Name = Field(description="The variant given to the run.")
    phase: Name = Field("1", description="The experiment's version at that time.")
    probability: Probability | None = Field(
        None, description="How likely that choice was; null where nobody knows."
    )


class Exposure(Event):
    """A run was given a variant of an experiment."""

    exposure_id: Id | None = Field(None, description="Made from run, experiment and variant where absent.")
    run_id: Id = Field(description="The run; the record's key.")
    experiment: Name = Field(description="The experiment.")
    variant: Name = Field(description="The variant given to the run.")
    phase: Name = Field("1", description="The experiment's version at that time.")
    probability: Probability | None = Field(
        None, description="How likely that choice was; null where nobody knows."
    )
    unit: Id | None = Field(None, description="The randomised unit: a user, a ticket; the run where absent.")
    strategy: Name = Field(
        "fixed",
        description="How the choice was made: a strategy of the registry, `external` for assignments made "
        "elsewhere, or `forced` by an override, which results leave out.",
    )
    weights_from: Name | None = Field(
        None,
        description="Where the weights came from: `registry`, `cache` (its copy on disk) or `code`.",
    )
    exposed_at: Instant | None = Field(
        None, description="When the run was exposed; the record's timestamp where absent."
    )

    @property
    def identity(self) -> str:
        """The id of this exposure."""
        return self.exposure_id or exposure_id(self.run_id, self.experiment, self.variant)


def exposure_id(run_id: str, experiment: str, variant: str) -> str:
    """The id of an exposure sent without an id: two variants within one run are two exposures."""
    return fact_id("exposure", run_id, experiment, variant)


__all__ = ["Assignment", "Exposure", "exposure_id"]
