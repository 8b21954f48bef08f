"""A finished span as plain data: the input of the mapping, free of any OpenTelemetry library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
SpanStatus = Literal["unset", "ok", "error"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """An event at an instant of a span; `at_ns` is nanoseconds since 1970."""

    name: str
    at_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """An ended span.

    `trace_id` is 32 and `span_id` 16 lower-case hexadecimal digits; `parent_span_id` is None for the root of
    a trace. Times are nanoseconds since 1970. Attribute values are JSON: strings, numbers, booleans, lists,
    objects. `scope` is the name of the instrumentation scope; `resource` holds the attributes of the
    resource.
    """

    trace_id: str
    span_id: str
    name: str
    start_ns: int
    end_ns: int
    parent_span_id: str | None = None
    kind: SpanKind = "internal"
    status: SpanStatus = "unset"
    status_message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()
    scope: str = ""
    resource: Mapping[str, Any] = field(default_factory=dict)


def instant_of(nanoseconds: int) -> datetime:
    """Nanoseconds since 1970 as an instant in UTC, cut to microseconds."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


__all__ = ["SpanEvent", "SpanKind", "SpanRecord", "SpanStatus", "instant_of"]
