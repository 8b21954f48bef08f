"""Resumptions: answers to a follow-up, so that its code goes on."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.fields import Count, Event, Id, Instant, Name

#: `answer`: a wait was answered, by an event or by the end of its time. `reopened`: the earlier answer turned
#: out otherwise and doesn't count any more. `retry`: somebody wants a failed follow-up to be tried again.
Kind = Literal["answer", "reopened", "retry"]


class AnsweringEvent(BaseModel):
    """The event that answered a wait."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Id = Field(description="Unique for its source.")
    type: Name = Field(description="The type of event.")
    subject: Id = Field(description="The subject of the event.")
    time: Instant = Field(description="When the event happened.")
    source: Annotated[StrictStr, Field(max_length=512)] = Field(
        "", description="The system reporting the event."
    )
    data: Any = Field(None, description="Facts about the event, as JSON.")
    sequence: StrictInt | StrictStr | None = Field(
        None, description="The event's place among the events of one time, where its source states the place."
    )
    recorded_at: Instant | None = Field(
        None, description="The least timestamp of the event's records; decides after `sequence`."
    )


class Resumption(Event):
    """News for the follow-up `followup_id`. Of the answers to one wait the highest revision counts."""

    followup_id: Id = Field(description="The follow-up to resume; the record's key.")
    kind: Kind = Field(
        "answer",
        description="`answer`: a wait was answered. `reopened`: the earlier answer doesn't count any "
        "more. `retry`: a failed follow-up is to be tried again.",
    )
    wait_id: Id | None = Field(None, description="The answered wait; none for `retry`.")
    revision: Count = Field(1, description="From 1, one more for each other answer to that wait.")
    event: AnsweringEvent | None = Field(
        None, description="The answering event; null where the time ran out."
    )
    at: Instant | None = Field(
        None,
        description="The time of the deciding event, or the deadline; needed for `answer`.",
    )
    late: bool = Field(False, description="Whether the event arrived after the deadline was evaluated.")

    @model_validator(mode="after")
    def _answers_a_wait(self) -> Self:
        if self.kind != "retry" and self.wait_id is None:
            raise PydanticCustomError("missing", "needs the wait_id that it's about")
        if self.kind == "answer" and self.at is None:
            raise PydanticCustomError("missing", "an answer needs at: the event's time, or the deadline")
        return self


__all__ = ["AnsweringEvent", "Kind", "Resumption"]
