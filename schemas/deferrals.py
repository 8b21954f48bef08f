"""Deferrals: work on a run that code does later, once it knows what happened next."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from upshot.schemas.exposures import Assignment
from upshot.schemas.fields import Attributes, Count, Event, Id, Instant, Items, Name
from upshot.schemas.ids import fact_id


class Deferral(Event):
    """Run `run_id` leaves work to the code `scorer`: a follow-up.

    A worker that has the code runs it, each time that something new is known of what it waits for. Of two
    deferrals with one id the one deferred first counts. With `cancelled_at` the deferral is taken back: it withdraws
    what `deferred_by` said up to that `revision`. A follow-up that nobody wants any more gives no scores.
    """

    followup_id: Id | None = Field(
        None, description="Made from run, step, scorer, version and key where absent; the record's key."
    )
    run_id: Id = Field(description="The run that it's about.")
    step_id: Id | None = Field(None, description="The step that it's about, if not the whole run.")
    scorer: Name = Field(description="The code, by the name that it's registered under.")
    version: Name = Field("1", description="Which version of that code.")
    data: Any = Field(None, description="What the code is given, as JSON.")
    deferred_at: Instant | None = Field(None, description="When; the record's timestamp where absent.")
    since: Instant | None = Field(
        None,
        description="From when events count that the code waits for, such as the run's start; `deferred_at` "
        "where absent.",
    )
    key: Id | None = Field(
        None,
        description="Tells apart deferrals of one scorer on one run; repeats with one key are one follow-up.",
    )
    deferred_by: Id | None = Field(
        None, description="The follow-up whose code defers it; absent where another program does."
    )
    revision: Count = Field(
        0,
        description="One more each time that `deferred_by` says something else about this follow-up: of each the "
        "highest counts, and of two equal ones the one that cancels.",
    )
    cancelled_at: Instant | None = Field(
        None, description="Set where the deferral is taken back: since when it isn't wanted any more."
    )
    agent: Name | None = Field(None, description="The run's agent; scores inherit it.")
    exposures: Items[Assignment] = Field(
        default_factory=list, description="The experiments that the run takes part in; scores inherit them."
    )
    attributes: Attributes = Field(default_factory=dict, description="Facts that scores inherit.")

    @property
    def identity(self) -> str:
        """The id of this follow-up."""
        made = deferral_id(self.run_id, self.step_id, self.scorer, self.version, self.key)
        return self.followup_id or made

    def identified(self, recorded_at: datetime) -> Deferral:
        """This deferral with its id and its times filled in."""
        deferred_at = self.deferred_at or recorded_at
        filled = {
            "followup_id": self.identity,
            "deferred_at": deferred_at,
            "since": self.since or deferred_at,
        }
        return self.model_copy(update=filled)


def deferral_id(run_id: str, step_id: str | None, scorer: str, version: str, key: str | None) -> str:
    """The id of a follow-up that was deferred without one."""
    return fact_id("followup", run_id, step_id or "", scorer, version, key or "")


__all__ = ["Deferral", "deferral_id"]
