"""Events, read fast: typed as the schemas say, by a decoder accepting only surely valid events.

The types are derived from the schema's models, the only place of a field. Events refused here (`NeedsSchema`)
are left to the schema, which alone decides about validity and reasons. So these types may refuse events
accepted by a schema, and never the other way round: a property test compares the rows of random input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache, lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from pydantic import BaseModel, FailFast
from pydantic.fields import FieldInfo

from upshot.schemas.exposures import Assignment
from upshot.schemas.fields import EARLIEST, LATEST, SCHEMA_VERSION, Instant, Named, SchemaVersion, Value
from upshot.streams.events.instants import Micros, micros
from upshot.streams.events.records import Record, recorded_at

E = TypeVar("E", bound=BaseModel)

#: For structs written by hand; a test compares the limits with the schema's.
Id = Annotated[str, Meta(min_length=1, max_length=512)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_EARLIEST, _LATEST = micros(EARLIEST), micros(LATEST)
_DAY = 86_400_000_000

#: Types with a validator in Python. Instants stay text, read by `moment`.
_READ_AS = ((Instant, str), (Value, bool | int | float), (SchemaVersion, Literal[SCHEMA_VERSION]))
_LIMITS = frozenset({"min_length", "max_length", "ge", "gt", "le", "lt"})
#: Validators that shorten the refusal of a large value, and change nothing else.
_SHORTENING = (FailFast(), *cast(Any, Named).__metadata__)


class NeedsSchema(Exception):
    """Not surely valid: the schema has to look at the event."""


def fast(model: type[E], event: Any) -> E:
    """Parsed JSON as `fast_struct(model)`, which has the model's fields; its instants are text.

    Raises NeedsSchema. Checks of a model that look at several fields are the caller's.
    """
    try:
        found: E = msgspec.convert(event, _struct_of(model))
        return found
    except msgspec.ValidationError:
        raise NeedsSchema from None


@cache
def fast_struct(model: type[BaseModel]) -> type[Struct]:
    """The struct with the fields, defaults and properties of a schema's model; unknown fields are ignored.

    Beside a property `stated_<field>`, an absent field is UNSET, and the property None. Raises TypeError for
    a field with a validator unknown here.
    """
    properties = {
        name: value
        for kind in reversed(model.__mro__[: model.__mro__.index(BaseModel)])
        for name, value in vars(kind).items()
        if isinstance(value, property)
    }
    stated = [name for name in model.model_fields if f"stated_{name}" in properties]
    properties |= {f"stated_{name}": property(_stated(name)) for name in stated}
    members = [_member(name, info, name in stated) for name, info in model.model_fields.items()]
    return msgspec.defstruct(
        f"Fast{model.__name__}", members, namespace=properties, module=__name__, kw_only=True, gc=False
    )


#: Typed so that a struct may stand for its model.
_struct_of: Callable[[Any], Any] = fast_struct


def _stated(name: str) -> Callable[[Any], Any]:
    return lambda event: None if (value := getattr(event, name)) is UNSET else value


def _member(name: str, info: FieldInfo, stated: bool) -> tuple[str, Any] | tuple[str, Any, Any]:
    kind = fast_type(Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation)
    if stated:
        return name, kind | UnsetType, UNSET
    if info.is_required():
        return name, kind
    made: Callable[[], Any] | None = cast(Any, info.default_factory)
    return name, kind, msgspec.field(default_factory=made) if made else info.default


def fast_type(kind: Any) -> Any:
    """The type for msgspec behind a type of a schema. Raises TypeError for a validator unknown here."""
    for known, read_as in _READ_AS:
        if kind == known:
            return read_as
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        limits = dict(_limits(arguments[1:]))
        if "lt" in limits and arguments[0] is int:
            limits["le"] = limits.pop("lt") - 1
        inner = fast_type(arguments[0])
        return Annotated[inner, Meta(**limits)] if limits else inner
    if origin in (Union, UnionType):
        return Union[tuple(map(fast_type, arguments))]  # noqa: UP007 - of a number known at run time only
    if origin in (list, dict, tuple):
        return origin[tuple(map(fast_type, arguments))]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return fast_struct(kind)
    return kind


def _limits(metadata: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from _limits(tuple(one.metadata))
        elif found := [(name, getattr(one, name)) for name in _LIMITS if hasattr(one, name)]:
            yield from found
        elif not (hasattr(one, "strict") or hasattr(one, "allow_inf_nan") or one in _SHORTENING):
            raise TypeError(f"no fast decoder is known for {one}")


#: JSON of several exposures; absent fields get their defaults.
fast_assignments: Callable[[bytes | msgspec.Raw], list[Assignment]] = msgspec.json.Decoder(
    cast(Any, fast_type(list[Assignment]))
).decode


def moment(instant: str | datetime) -> Micros:
    """An event's instant. Raises NeedsSchema for text the schema may read otherwise, or refuse."""
    if isinstance(instant, datetime):
        return micros(instant)
    if instant[19:20] == "." and instant[-1] == "Z":
        digits = instant[20:-1]
        if digits.isdecimal() and digits.isascii() and len(digits) <= 6:
            return _whole_second(instant[:19]) + int(digits) * _OF_A_SECOND[len(digits)]
    return _any_moment(instant)


#: Microseconds of the last digit, by the number of digits.
_OF_A_SECOND = (1_000_000, 100_000, 10_000, 1_000, 100, 10, 1)


@lru_cache(maxsize=4096)
def _whole_second(text: str) -> Micros:
    """`2026-05-04T10:00:00` in UTC: under load, many events share a second."""
    return _any_moment(f"{text}Z")


def _any_moment(instant: str) -> Micros:
    # What is finer than a microsecond is rounded here and cut there.
    if len(instant) > 27 and (instant[-3] != ":" or len(instant) > 32):
        raise NeedsSchema
    try:
        found = msgspec.convert(instant, datetime)
    except msgspec.ValidationError:
        raise NeedsSchema from None
    if found.tzinfo is None:
        raise NeedsSchema
    at = micros(found)
    if not _EARLIEST <= at < _LATEST:
        raise NeedsSchema
    return at


def moment_or_none(instant: str | datetime | None) -> Micros | None:
    """The same for an instant possibly absent."""
    return None if instant is None else moment(instant)


def recorded_moment(record: Record) -> Micros:
    """The record's own timestamp, as `recorded_at` has it."""
    at = record.timestamp * 1000
    return at if _EARLIEST <= at < _LATEST - _DAY else micros(recorded_at(record))


__all__ = [
    "Count",
    "Id",
    "Name",
    "NeedsSchema",
    "fast",
    "fast_assignments",
    "fast_struct",
    "fast_type",
    "moment",
    "moment_or_none",
    "recorded_moment",
]
