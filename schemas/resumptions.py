"""Resumptions: what a follow-up is told, so that its code goes on."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.fields import Count, Event, Id, Instant, Name

#: `answer`: a wait was answered, by an event or because its time ran out. `reopened`: what had answered it
#: turned out otherwise and doesn't count any more. `retry`: somebody wants a failed follow-up to be tried again.
Kind = Literal["answer", "reopened", "retry"]


class AnsweringEvent(BaseModel):
    """The event that answered a wait."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Id = Field(description="Unique for its source.")
    type: Name = Field(description="What happened.")
    subject: Id = Field(description="What it happened to.")
    time: Instant = Field(description="When it happened.")
    source: Annotated[StrictStr, Field(max_length=512)] = Field("", description="Who tells it.")
    data: Any = Field(None, description="Facts about it, as JSON.")
    sequence: StrictInt | StrictStr | None = Field(
        None, description="Its place among the events of one time, where its source says so."
    )
    recorded_at: Instant | None = Field(
        None, description="The least timestamp of the records that told it; decides after `sequence`."
    )


class Resumption(Event):
    """News for the follow-up `followup_id`. Of the answers to one wait that with the highest revision counts."""

    followup_id: Id = Field(description="Who is told; the record's key.")
    kind: Kind = Field(
        "answer",
        description="`answer`: a wait was answered. `reopened`: what had answered it doesn't count any more. "
        "`retry`: a failed follow-up is to be tried again.",
    )
    wait_id: Id | None = Field(None, description="The wait that it answers; none for `retry`.")
    revision: Count = Field(1, description="From 1, one more for each other answer to that wait.")
    event: AnsweringEvent | None = Field(None, description="What came; null where the time ran out.")
    at: Instant | None = Field(
        None,
        description="When what decided it happened: the event's time or the deadline; needed for `answer`.",
    )
    late: bool = Field(False, description="Whether the event arrived after the deadline was judged.")

    @model_validator(mode="after")
    def _answers_a_wait(self) -> Self:
        if self.kind != "retry" and self.wait_id is None:
            raise PydanticCustomError("missing", "needs the wait_id that it's about")
        if self.kind == "answer" and self.at is None:
            raise PydanticCustomError("missing", "an answer needs at: the event's time, or the deadline")
        return self


__all__ = ["AnsweringEvent", "Kind", "Resumption"]
