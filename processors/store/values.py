"""How the values of events look in ClickHouse: instants, free facts, numbers, and what decides between rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from upshot.schemas.exposures import Assignment

Micros = int
Values = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Above every instant of the contract; taken away from, it makes the earlier the higher.
_END = 1 << 62
_encode = msgspec.msgpack.Encoder().encode


def micros(instant: datetime) -> Micros:
    """Microseconds since 1970, as a DateTime64(6) holds them."""
    return (instant - _EPOCH) // _MICROSECOND


def micros_or_none(instant: datetime | None) -> Micros | None:
    """The same for what may be absent."""
    return None if instant is None else micros(instant)


def text_of(value: Any) -> str:
    """A free fact as text: a string as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Free facts as a Map(String, String)."""
    return {name: text_of(value) for name, value in attributes.items()}


def assignments(exposures: Iterable[Assignment]) -> list[tuple[str, str, str, float]]:
    """The experiments that a wait or a score carries, in an order of their own."""
    return sorted((e.experiment, e.variant, e.phase, float(e.probability)) for e in exposures)


def number_of(value: bool | float | None) -> float | None:
    """A score's value as a number: false is 0, true is 1."""
    return None if value is None else float(value)


def kind_of(value: bool | float | None) -> str:
    """What the value was: a boolean or a number; empty for none."""
    return "" if value is None else "boolean" if isinstance(value, bool) else "number"


def fingerprint(values: Values) -> int:
    """64 bits that differ when the rows differ."""
    return int.from_bytes(blake2b(_encode(values), digest_size=8).digest(), "big")


def later_wins(at: Micros, values: Values, *, rank: int = 0) -> int:
    """A row version: by rank, then the later, then one of the two whatever their order."""
    return rank << 126 | at << 64 | fingerprint(values)


def earlier_wins(at: Micros, values: Values) -> int:
    """A row version: the earlier, then one of the two whatever their order."""
    return (_END - at) << 64 | fingerprint(values)


__all__ = [
    "Micros",
    "Values",
    "assignments",
    "earlier_wins",
    "fingerprint",
    "kind_of",
    "later_wins",
    "micros",
    "micros_or_none",
    "number_of",
    "text_of",
    "texts",
]
