"""Notices: what receivers are sent about alerts, and what became of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt

from upshot.schemas.alerts import Alert, AlertState
from upshot.schemas.fields import Count, Event, Id, Instant, Items, Name, Text

#: `pending`: it waits for its turn, its digest, or the end of a cooldown. `sent`: the receiver has it.
#: `retrying`: a try failed, another follows. `dropped`: nothing is sent, since the alert's state changed
#: before, or its rule was muted. `failed`: given up; a dead letter has the original.
NoticeStatus = Literal["pending", "sent", "retrying", "dropped", "failed"]
ReceiverKind = Literal["webhook", "slack", "pagerduty", "alertmanager", "email", "unknown"]


class Notice(Event):
    """How a notice stands: one alert's state for one receiver, or a digest of several. The latest counts."""

    notice_id: Id = Field(
        description="Made from the alert, its state and the receiver; from its members for a digest. A "
        "receiver gets it with every try: `webhook-id`."
    )
    alert_id: Id = Field(description="The alert; the record's key. Of a digest, its first alert.")
    name: Name = Field(description="The alert's rule.")
    receiver: Name = Field(description="The receiver's name.")
    receiver_kind: ReceiverKind = Field("unknown", description="The receiver's kind.")
    state: AlertState = Field(description="The alert's state.")
    status: NoticeStatus = Field(
        description="`pending`: waits for its turn, its digest or the end of a cooldown. `sent`: the "
        "receiver has it. `retrying`: a try failed, another follows. `dropped`: nothing is sent, since the "
        "alert's state changed before, or its rule was muted. `failed`: given up, a dead letter has the "
        "original."
    )
    attempts: Count = Field(0, description="Tries so far.")
    last_status: Annotated[StrictInt, Field(ge=0, lt=2**31)] | None = Field(
        None, description="The receiver's last status code, if it answered."
    )
    error: Text = Field("", description="Why the last try failed, or why nothing is sent.")
    next_attempt_at: Instant | None = Field(None, description="When it is tried next, or at the earliest.")
    digest_id: Id | None = Field(None, description="The digest with this notice.")
    digest_of: Items[Id] = Field(default_factory=list, description="Of a digest: its alerts.")
    raised_at: Instant = Field(description="When the alert's state began.")
    sent_at: Instant | None = Field(None, description="When the receiver took it.")
    changed_at: Instant = Field(description="Since when it stands so.")
    revision: Count = Field(1, description="Orders the records of one notice: the highest counts.")


class NoticeRequest(Event):
    """An alert on its way to one receiver: the role `notifications` sends it to itself."""

    receiver: Name = Field(description="The receiver; the record's key.")
    alert: Alert = Field(description="The alert's state.")
    retry: Id | None = Field(
        None, description="The failed notice that somebody wants to be tried again, under its id."
    )


__all__ = ["Notice", "NoticeRequest", "NoticeStatus", "ReceiverKind"]
