"""Deferrals: work on a run that code does later, once outcomes are known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from upshot.schemas.exposures import Assignment
from upshot.schemas.fields import Attributes, Count, Event, Id, Instant, Items, Name
from upshot.schemas.ids import fact_id


class Deferral(Event):
    """Run `run_id` leaves work to the code `scorer`: a follow-up.

    A worker with the code runs the follow-up, each time that news of its waits arrives. Of two deferrals with
    one id the earlier counts. A deferral with `cancelled_at` is a cancellation: all statements of
    `deferred_by` about the follow-up up to that `revision` are withdrawn. A follow-up no longer wanted by
    anybody gives no scores.
    """

    followup_id: Id | None = Field(
        None, description="Made from run, step, scorer, version and key where absent; the record's key."
    )
    run_id: Id = Field(description="The run that the follow-up is about.")
    step_id: Id | None = Field(
        None, description="The step that the follow-up is about, if not the whole run."
    )
    scorer: Name = Field(description="The code, by its registered name.")
    version: Name = Field("1", description="The version of that code.")
    data: Any = Field(None, description="The data given to the code, as JSON.")
    deferred_at: Instant | None = Field(
        None, description="When the work was deferred; the record's timestamp where absent."
    )
    since: Instant | None = Field(
        None,
        description="From when awaited events count, such as the run's start; `deferred_at` where absent.",
    )
    key: Id | None = Field(
        None,
        description="Tells apart deferrals of one scorer on one run; repeats with one key are one follow-up.",
    )
    deferred_by: Id | None = Field(
        None, description="The follow-up whose code defers the work; absent where another program does."
    )
    revision: Count = Field(
        0,
        description="One more each time that `deferred_by` changes its deferral of this follow-up: the "
        "highest counts, and of two equal ones the cancellation.",
    )
    cancelled_at: Instant | None = Field(
        None, description="Set in a cancellation: since when the follow-up isn't wanted any more."
    )
    agent: Name | None = Field(None, description="The run's agent; scores inherit it.")
    exposures: Items[Assignment] = Field(
        default_factory=list, description="The experiments that the run takes part in; scores inherit them."
    )
    attributes: Attributes = Field(default_factory=dict, description="Facts inherited by scores.")

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
    """The id of a follow-up deferred without an id."""
    return fact_id("followup", run_id, step_id or "", scorer, version, key or "")


__all__ = ["Deferral", "deferral_id"]
