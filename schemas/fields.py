"""The types of the events' fields, with limits making bad input visible."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from math import inf, isfinite
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StrictInt,
    StrictStr,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

SCHEMA_VERSION = 1
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
LONGEST_WINDOW = timedelta(days=3660)
LONGEST_TOLERANCE = timedelta(days=1)
_LEAP_SECOND = re.compile(r"(.{10}[Tt ].{2}:59:)60(?=[.Zz+-])(.*)", re.ASCII)

#: Members of an object that are looked at together: all errors among them are made before the first is told.
_PIECE = 100
#: Made once: a union inside a function is made at each call, for more than the check.
_NUMBER = int | float
_TIME = str | datetime | timedelta

T = TypeVar("T")


def _text_only(value: Any) -> Any:
    if isinstance(value, _TIME):
        return value
    raise PydanticCustomError("not_text", "must be a string")


def _instant_text(value: Any) -> Any:
    if isinstance(value, str):
        return _leap_second(value) if ":60" in value else value
    return _text_only(value)


def _leap_second(value: str) -> Any:
    """`23:59:60Z` at a month's end is the next day's first second, as on clocks without a 60th second."""
    found = _LEAP_SECOND.fullmatch(value)
    if found is None:
        return value
    try:
        read = datetime.fromisoformat(f"{found[1]}59{found[2]}".upper()) + timedelta(seconds=1)
    except ValueError:
        return value
    midnight = read.astimezone(UTC) if read.tzinfo else None
    if midnight is None or (midnight.day, midnight.hour, midnight.minute, midnight.second) != (1, 0, 0, 0):
        raise PydanticCustomError(
            "no_leap_second", "has a 60th second, which only a month's last minute in UTC can have"
        )
    return read


def _sane_instant(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise PydanticCustomError("no_offset", "needs an offset, such as 2026-01-31T12:00:00Z (RFC 3339)")
    if not EARLIEST <= value < LATEST:
        raise PydanticCustomError("absurd_time", "lies outside the years 2000 to 2099")
    return value.astimezone(UTC)


def _sane_window(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= LONGEST_WINDOW:
        raise PydanticCustomError("absurd_time", "must be longer than zero and at most P3660D")
    return value


def _sane_tolerance(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= LONGEST_TOLERANCE:
        raise PydanticCustomError(
            "absurd_time", "must be from zero to P1D; set `since` for what happened before"
        )
    return value


def _plain_value(value: Any) -> bool | float:
    if isinstance(value, bool):
        return value
    if not isinstance(value, _NUMBER):
        raise PydanticCustomError("not_a_value", "must be a number or a boolean")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise PydanticCustomError("not_finite", "must be finite")
    return number


def _known_version(value: int) -> int:
    if value != SCHEMA_VERSION:
        raise PydanticCustomError(
            "unknown_version",
            "schema version {version} is not known, this release reads {known}",
            {"version": value, "known": SCHEMA_VERSION},
        )
    return value


def _in_pieces(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """A large object piece by piece: the first piece with errors ends it."""
    if not isinstance(value, dict) or len(value) <= _PIECE:
        return validate(value)
    found: dict[str, Any] = {}
    members = iter(value.items())
    while piece := dict(islice(members, _PIECE)):
        found.update(validate(piece))
    return found


Id = Annotated[StrictStr, Field(min_length=1, max_length=512)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Text = Annotated[StrictStr, Field(max_length=1_000_000)]
Count = Annotated[StrictInt, Field(ge=0, lt=2**63)]
Money = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]

#: The version of an event's shape.
SchemaVersion = Annotated[StrictInt, AfterValidator(_known_version)]

#: An instant as RFC 3339 text with an offset, between the years 2000 and 2099; held in UTC.
Instant = Annotated[datetime, BeforeValidator(_instant_text), AfterValidator(_sane_instant)]

#: A length of time as ISO 8601 text (`P14D`, `PT30S`), longer than zero and at most ten years.
Window = Annotated[timedelta, BeforeValidator(_text_only), AfterValidator(_sane_window)]

#: A length of time as ISO 8601 text by which clocks may differ: from zero to a day.
Tolerance = Annotated[timedelta, BeforeValidator(_text_only), AfterValidator(_sane_tolerance)]

#: A score's value: a boolean, or a finite number (held as a float).
Value = Annotated[bool | float, BeforeValidator(_plain_value)]

#: A list, refused for its first wrong item: half a million errors would take seconds to tell.
Items = Annotated[list[T], FailFast()]

#: An object of any names, refused for the first of its wrong values.
Named = Annotated[dict[Name, T], WrapValidator(_in_pieces)]

#: Free facts about a run or a step: any JSON under short names.
Attributes = Named[Any]


class Event(BaseModel):
    """The fields shared by all of Upshot's own events.

    Unknown fields are ignored, so that newer producers can talk to older readers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)

    schema_version: SchemaVersion = Field(
        SCHEMA_VERSION, description="Version of this event's shape; 1 where absent."
    )


__all__ = [
    "EARLIEST",
    "LATEST",
    "SCHEMA_VERSION",
    "Attributes",
    "Count",
    "Event",
    "Id",
    "Instant",
    "Items",
    "Money",
    "Name",
    "Named",
    "SchemaVersion",
    "Seconds",
    "Text",
    "Tolerance",
    "Value",
    "Window",
]
