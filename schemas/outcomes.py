"""Outcomes: events about a subject, as CloudEvents 1.0."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from upshot.schemas.fields import Id, Instant, Name

#: An outcome's place among the outcomes of its source at one time: numbers by value, texts by their
#: characters.
Sequence = int | str
_LONGEST_SEQUENCE = 200
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_LARGEST_INTEGER = 10**18


def _text_or_integer(value: Any) -> Any:
    if isinstance(value, str) and 1 <= len(value) <= _LONGEST_SEQUENCE:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_INTEGER:
        return value
    raise PydanticCustomError(
        "no_sequence",
        "must be text of 1 to {longest} characters, or an integer of at most 18 digits",
        {"longest": _LONGEST_SEQUENCE},
    )


def sequence_of(sequence: Sequence, sequencetype: str | None) -> Sequence:
    """A CloudEvent's `sequence` as compared. Raises ValueError where `sequencetype` is contradicted."""
    if isinstance(sequence, int) or sequencetype != "Integer":
        return sequence
    if not _INTEGER.fullmatch(sequence):
        raise ValueError(sequence)
    return int(sequence)


class Outcome(BaseModel):
    """An event about a subject: a CloudEvent 1.0 whose `subject` is the correlation key.

    `type` and `subject` are the least. Unlike in plain CloudEvents, `id`, `source` and `time` may be
    absent: `id` then is made from the record's topic, partition and offset, and which topic of that name it
    is, `time` from its timestamp. In binary mode the attributes are record headers (`ce_type`, `ce_subject`,
    …) and the value is the data. Two events with the same `source` and `id` about one subject are one
    outcome, at the earlier of their times. A `time` written in whole seconds, such as `05:00:00Z`, covers
    that second, one in whole milliseconds that millisecond.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = Field("1.0", description="CloudEvents version.")
    type: Name = Field(description="The type of event, such as `pr.closed`.")
    subject: Id = Field(description="The subject of the event, such as `pr:acme/web#12`; the record's key.")
    id: Id | None = Field(None, description="Unique for its source.")
    source: Annotated[StrictStr, Field(max_length=512)] = Field(
        "", description="The system reporting the event."
    )
    time: Instant | None = Field(None, description="When the event happened.")
    data: Any = Field(None, description="Facts about the event, as JSON.")
    sequence: Annotated[Sequence, BeforeValidator(_text_or_integer)] | None = Field(
        None,
        description="The event's place among the events of one time, as in CloudEvents' extension: "
        "compared as a number where `sequencetype` is `Integer`, else as text.",
    )
    sequencetype: StrictStr | None = Field(None, description="`Integer` where `sequence` is a number.")

    @model_validator(mode="after")
    def _sequence_of_its_type(self) -> Self:
        try:
            self.place_in_sequence  # noqa: B018 - raises
        except ValueError:
            raise PydanticCustomError(
                "no_sequence",
                "its sequence is no integer of at most 18 digits, though its sequencetype is Integer",
            ) from None
        return self

    @property
    def place_in_sequence(self) -> Sequence | None:
        """The `sequence` as compared."""
        return None if self.sequence is None else sequence_of(self.sequence, self.sequencetype)


__all__ = ["Outcome", "Sequence", "sequence_of"]
