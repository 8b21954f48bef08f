"""Withdrawals: what is said on topic `waits` of waits that nobody needs any more, or that must be forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.fields import Count, Event, Id, Instant, Name
from upshot.schemas.ids import fact_id


class WaitCancellation(Event):
    """A wait that isn't needed any more: it ends at `cancelled_at`, without a score where nothing had decided by then.

    What outcomes of up to `cancelled_at` had decided stays: for modes `first` and `all`. A wait whose window had ended
    by then stays as it is. It doesn't matter whether the cancellation comes before the wait or after it, or twice.
    The wait is named by `wait_id`, or by what its id is made from where it was opened without one.
    """

    subject: Id = Field(description="What the wait is about; the record's key.")
    wait_id: Id | None = Field(
        None, description="The wait; made from run, step, name and subject where absent."
    )
    run_id: Id | None = Field(None, description="The run that asked; needed where there is no `wait_id`.")
    step_id: Id | None = Field(None, description="The step that asked, where one did.")
    name: Name | None = Field(None, description="The name of the score; needed where there is no `wait_id`.")
    cancelled_at: Instant = Field(description="Since when the wait isn't needed any more.")
    revision: Count = Field(
        0, description="Cancels what was opened with this `revision` or a lower one: see Wait."
    )
    reply_to: Id | None = Field(
        None, description="The follow-up that asked; a follow-up's waits are cancelled by itself alone."
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
    """What a run asked about a subject up to `erased_at` is to be forgotten: nothing is told of it any more.

    The scores that it gave are not revised. A null record whose key is the subject has all of a subject forgotten:
    its waits and its outcomes of up to the record's timestamp.
    """

    subject: Id = Field(description="What the waits are about; the record's key.")
    run_id: Id = Field(description="The run that asked.")
    erased_at: Instant = Field(description="Waits that were opened by then are forgotten.")


def withdrawal_at(event: WaitCancellation | Erasure) -> tuple[str, datetime]:
    """The time that it says, and the name of that field."""
    if isinstance(event, Erasure):
        return "erased_at", event.erased_at
    return "cancelled_at", event.cancelled_at


__all__ = ["Erasure", "WaitCancellation", "withdrawal_at"]
