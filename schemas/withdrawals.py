"""Withdrawals: events on topic `waits` about waits no longer needed, or to be forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.fields import Count, Event, Id, Instant, Name
from upshot.schemas.ids import fact_id


class WaitCancellation(Event):
    """A wait isn't needed any more: the wait ends at `cancelled_at`.

    Where nothing had decided by then, there is no score; a decision by outcomes of up to `cancelled_at`
    stays, for modes `first` and `all`. A wait whose window had ended by then stays unchanged. The
    cancellation may come before the wait or after the wait, or twice. The wait is named by `wait_id`, or,
    where opened without an id, by the parts of its id.
    """

    subject: Id = Field(description="The subject of the wait; the record's key.")
    wait_id: Id | None = Field(
        None, description="The wait; made from run, step, name and subject where absent."
    )
    run_id: Id | None = Field(
        None, description="The run that opened the wait; needed where there is no `wait_id`."
    )
    step_id: Id | None = Field(None, description="The step that opened the wait, if any.")
    name: Name | None = Field(None, description="The name of the score; needed where there is no `wait_id`.")
    cancelled_at: Instant = Field(description="Since when the wait isn't needed any more.")
    revision: Count = Field(
        0, description="Cancels a wait opened with this `revision` or a lower one: see Wait."
    )
    reply_to: Id | None = Field(
        None,
        description="The follow-up that opened the wait; a follow-up's waits are cancelled by itself alone.",
    )

    @model_validator(mode="after")
    def _names_a_wait(self) -> Self:
        if self.wait_id is None and (self.run_id is None or self.name is None):
            raise PydanticCustomError("missing", "needs wait_id, or run_id and name that the id is made from")
        return self

    @property
    def identity(self) -> str:
        """The wait's id."""
        made = fact_id("wait", self.run_id or "", self.step_id or "", self.name or "", self.subject)
        return self.wait_id or made


class Erasure(Event):
    """A run's waits about a subject up to `erased_at` are to be forgotten: no more events follow from them.

    Scores already given are not revised. A null record whose key is the subject has the whole subject
    forgotten: its waits and its outcomes of up to the record's timestamp.
    """

    subject: Id = Field(description="The subject of the waits; the record's key.")
    run_id: Id = Field(description="The run that opened the waits.")
    erased_at: Instant = Field(description="Waits opened by then are forgotten.")


def withdrawal_at(event: WaitCancellation | Erasure) -> tuple[str, datetime]:
    """The name of the event's time field, and its value."""
    if isinstance(event, Erasure):
        return "erased_at", event.erased_at
    return "cancelled_at", event.cancelled_at


__all__ = ["Erasure", "WaitCancellation", "withdrawal_at"]
