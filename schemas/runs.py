"""Runs: one execution of an agent each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from upshot.schemas.fields import Attributes, Event, Id, Instant, Name, Text

RunStatus = Literal["running", "completed", "failed", "cancelled"]
Origin = Literal["live", "replay"]


class Run(Event):
    """The known facts of a run so far. Several events about one run merge, in any order.

    For each field the event with the latest `occurred_at` counts, attributes one by one; a final status is
    never overwritten by `running`.
    """

    run_id: Id = Field(description="The run's id; the record's key.")
    agent: Name | None = Field(None, description="The agent's name.")
    version: Name | None = Field(None, description="The agent's version.")
    status: RunStatus | None = Field(None, description="The run's status.")
    started_at: Instant | None = Field(None, description="When the run started.")
    ended_at: Instant | None = Field(None, description="When the run ended.")
    occurred_at: Instant | None = Field(
        None,
        description="When this fact came about; `ended_at`, `started_at` or the record's timestamp where "
        "absent.",
    )
    session_id: Id | None = Field(None, description="The run's conversation or session.")
    parent_run_id: Id | None = Field(None, description="The run that started this one.")
    origin: Origin = Field("live", description="`replay` keeps a run out of production statistics.")
    error: Text | None = Field(None, description="The error, where the status is `failed`.")
    input: Text | None = Field(None, description="The agent's input; opt-in.")
    output: Text | None = Field(None, description="The agent's output; opt-in.")
    attributes: Attributes = Field(default_factory=dict, description="Free facts, such as the language.")

    @property
    def stated_origin(self) -> Origin | None:
        """The origin, if stated by the event: `live` is also the default of an unstated origin."""
        return self.origin if "origin" in self.model_fields_set else None


__all__ = ["Origin", "Run", "RunStatus"]
