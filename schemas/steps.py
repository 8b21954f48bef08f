"""Steps: the units inside a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from upshot.schemas.fields import Attributes, Count, Event, Id, Instant, Money, Name, Text

StepStatus = Literal["running", "ok", "error", "cancelled"]


class Step(Event):
    """One model call, tool call, retrieval or function inside a run; sent once, when it's done."""

    run_id: Id = Field(description="The run that it belongs to; the record's key.")
    step_id: Id = Field(description="The step's id, unique in its run.")
    parent_step_id: Id | None = Field(None, description="The step around it.")
    name: Name = Field(description="What it is called.")
    kind: Name = Field("function", description="`model`, `tool`, `retrieval`, `function` or another word.")
    status: StepStatus = Field("ok", description="How it ended.")
    attempt: Count = Field(1, description="Which try this is, from 1.")
    started_at: Instant | None = Field(None, description="When it started.")
    ended_at: Instant | None = Field(None, description="When it ended.")
    provider: Name | None = Field(None, description="Who serves the model.")
    model: Name | None = Field(None, description="The model that answered.")
    input_tokens: Count | None = Field(None, description="Tokens read, cached ones included.")
    output_tokens: Count | None = Field(None, description="Tokens written.")
    cached_input_tokens: Count | None = Field(None, description="Tokens read from a cache.")
    cost_usd: Money | None = Field(None, description="What it cost, in US dollars; absent where unknown.")
    error: Text | None = Field(None, description="What went wrong, where the status is `error`.")
    input: Text | None = Field(None, description="What it was given; opt-in.")
    output: Text | None = Field(None, description="What it gave; opt-in.")
    attributes: Attributes = Field(default_factory=dict, description="Free facts.")


__all__ = ["Step", "StepStatus"]
