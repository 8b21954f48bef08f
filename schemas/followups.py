"""Follow-ups: the standing of deferred work."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from upshot.schemas.fields import Count, Event, Id, Instant, Items, Name, Text

#: `running`: the code runs, or will as soon as there's room, or at the next try. `waiting`: the code waits
#: for events or for a time. `done`: the code has ended; a late event can still make the code run again.
#: `failed`: the code raised, and isn't tried again by itself. `undeployed`: no worker has the code in that
#: version. `withdrawn`: the deferral was cancelled by its sender, and the scores and waits are withdrawn.
Standing = Literal["running", "waiting", "done", "failed", "undeployed", "withdrawn"]


class Awaited(BaseModel):
    """A follow-up's open wait: for events about a subject, or, without a subject, for a time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: Id | None = Field(None, description="What the events are about; null where it sleeps.")
    types: Items[Name] = Field(default_factory=list, description="The types of event, any of them.")
    deadline: Instant = Field(description="Until when they count; when it wakes up.")


class FollowupStatus(Event):
    """The standing of a follow-up, sent with each change."""

    followup_id: Id = Field(description="The follow-up; the record's key.")
    run_id: Id = Field(description="The run that the follow-up is about.")
    step_id: Id | None = Field(
        None, description="The step that the follow-up is about, if not the whole run."
    )
    scorer: Name = Field(description="The follow-up's code.")
    version: Name = Field("1", description="The version of that code.")
    agent: Name | None = Field(None, description="The run's agent.")
    status: Standing = Field(
        description="`running`: the code runs or soon will. `waiting`: for events or a time. `done`: the "
        "code has ended. `failed`: the code raised and isn't tried again by itself. "
        "`undeployed`: no worker has the code. `withdrawn`: the deferral was cancelled by its "
        "sender, the scores and waits are withdrawn."
    )
    attempts: Count = Field(0, description="How often its code has failed since it last went well.")
    error: Text | None = Field(None, description="What it failed with last.")
    waiting_for: Items[Awaited] = Field(default_factory=list, description="What it waits for.")
    deferred_at: Instant = Field(description="When it was deferred.")
    changed_at: Instant = Field(description="Since when it stands so; the latest counts.")
    revision: Count = Field(1, description="From 1, one more for each change.")


__all__ = ["Awaited", "FollowupStatus", "Standing"]
