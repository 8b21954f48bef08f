"""Follow-ups: what became of deferred work."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from upshot.schemas.fields import Count, Event, Id, Instant, Items, Name, Text

#: `running`: its code runs, or will as soon as there's room, or when it's tried again. `waiting`: it waits for
#: events or for a time. `done`: its code has ended; a late event can still make it run again. `failed`: its code
#: raised, and isn't tried again by itself. `undeployed`: no worker has that code in that version. `withdrawn`: who
#: deferred it doesn't any more, and its scores and waits are withdrawn.
Standing = Literal["running", "waiting", "done", "failed", "undeployed", "withdrawn"]


class Awaited(BaseModel):
    """What a follow-up waits for: events about a subject, or, without one, a time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: Id | None = Field(None, description="What the events are about; null where it sleeps.")
    types: Items[Name] = Field(default_factory=list, description="The types of event, any of them.")
    deadline: Instant = Field(description="Until when they count; when it wakes up.")


class FollowupStatus(Event):
    """How a follow-up stands, each time that this changes."""

    followup_id: Id = Field(description="The follow-up; the record's key.")
    run_id: Id = Field(description="The run that it's about.")
    step_id: Id | None = Field(None, description="The step that it's about, if not the whole run.")
    scorer: Name = Field(description="Its code.")
    version: Name = Field("1", description="The version of that code.")
    agent: Name | None = Field(None, description="The run's agent.")
    status: Standing = Field(
        description="`running`: its code runs or soon will. `waiting`: for events or a time. `done`: its code has "
        "ended. `failed`: its code raised and isn't tried again by itself. `undeployed`: no worker has that code. "
        "`withdrawn`: who deferred it doesn't any more, its scores and waits are withdrawn."
    )
    attempts: Count = Field(0, description="How often its code has failed since it last went well.")
    error: Text | None = Field(None, description="What it failed with last.")
    waiting_for: Items[Awaited] = Field(default_factory=list, description="What it waits for.")
    deferred_at: Instant = Field(description="When it was deferred.")
    changed_at: Instant = Field(description="Since when it stands so; the latest counts.")
    revision: Count = Field(1, description="From 1, one more for each change.")


__all__ = ["Awaited", "FollowupStatus", "Standing"]
