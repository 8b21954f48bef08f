"""Outcomes: what happened next, as CloudEvents 1.0."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from upshot.schemas.fields import Id, Instant, Name


class Outcome(BaseModel):
    """An event in the world: a CloudEvent 1.0 whose `subject` is the correlation key.

    `type` and `subject` are the least. Unlike in plain CloudEvents, `id`, `source` and `time` may be
    absent: `id` then is made from the record's topic, partition and offset, and which topic of that name it
    is, `time` from its timestamp. In binary mode the attributes are record headers (`ce_type`, `ce_subject`, …) and the value is the data.
    Two events with the same `source` and `id` about one subject are one outcome, at the earlier of their
    times.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = Field("1.0", description="CloudEvents version.")
    type: Name = Field(description="What happened, such as `pr.closed`.")
    subject: Id = Field(description="What it happened to, such as `pr:acme/web#12`; the record's key.")
    id: Id | None = Field(None, description="Unique for its source.")
    source: Annotated[StrictStr, Field(max_length=512)] = Field("", description="Who tells it.")
    time: Instant | None = Field(None, description="When it happened.")
    data: Any = Field(None, description="Facts about it, as JSON.")


__all__ = ["Outcome"]
