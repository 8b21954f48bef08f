"""Requests for a variant over HTTP, and their answers."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.exposures import Probability
from upshot.schemas.fields import Attributes, Event, Id, Instant, Items, Name


class AssignmentRequest(Event):
    """Which variant does a run get?"""

    experiment: Name = Field(description="The experiment, as registered.")
    run_id: Id | None = Field(None, description="The run; may be absent with `peek` alone.")
    unit: Id | None = Field(
        None,
        description="The randomised unit: a user, a ticket. The run where the experiment's unit is `run`.",
    )
    arms: Items[Name] = Field(
        default_factory=list, description="The variants that the caller can serve; all where absent."
    )
    attributes: Attributes = Field(default_factory=dict, description="Facts of the run, for the audience.")
    agent: Name | None = Field(None, description="The run's agent, for the audience.")
    version: Name | None = Field(None, description="The agent's version, for the audience.")
    override: Name | None = Field(
        None, description="A variant asked for, for tests: strategy `forced`, which results leave out."
    )
    peek: StrictBool = Field(False, description="Look without recording an exposure.")
    exposed_at: Instant | None = Field(None, description="When the run is exposed; now where absent.")

    @model_validator(mode="after")
    def _has_a_run(self) -> Self:
        if self.run_id is None and not self.peek:
            raise PydanticCustomError(
                "no_run",
                "run_id is missing: an exposure belongs to a run; with peek: true nothing is recorded",
            )
        return self

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that an audience reads."""
        return {"attributes": self.attributes, "agent": self.agent, "version": self.version}


class AssignmentAnswer(BaseModel):
    """The variant of a request, with its reason."""

    model_config = ConfigDict(frozen=True)

    experiment: Name = Field(description="The experiment.")
    variant: Name = Field(description="The variant to serve.")
    exposed: StrictBool = Field(description="Whether the unit takes part; else the variant is the control.")
    because: Name | None = Field(
        None, description="Why the unit takes no part: `audience`, `traffic`, `no_unit` …"
    )
    unit: Id | None = Field(None, description="The unit, as hashed.")
    phase: Name | None = Field(None, description="The phase of the experiment.")
    probability: Probability | None = Field(None, description="How likely the choice was.")
    strategy: Name | None = Field(None, description="How the choice was made.")
    weights_from: Literal["registry", "cache"] = Field(
        description="`registry`, or `cache`: the registry as this server last read it."
    )
    exposure_id: Id | None = Field(None, description="The recorded exposure; null where none was recorded.")


__all__ = ["AssignmentAnswer", "AssignmentRequest"]
