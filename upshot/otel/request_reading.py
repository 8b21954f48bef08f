"""OTLP's two encodings of spans as neutral records; an unreadable span costs only itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from upshot.errors import InvalidEvent
from upshot.otel import SpanRecord
from upshot.otel.span import SpanKind, SpanStatus

#: Values, lists and objects of one request: each costs far more memory than the two bytes that it may have on
#: the wire.
MAX_VALUES = 500_000
#: Levels of lists and objects in an attribute.
MAX_LEVELS = 100
#: Spans of one record on the topic: no more real ones fit into the largest.
MAX_SPANS = 200_000

NO_SPANS = "send an ExportTraceServiceRequest, as an OpenTelemetry exporter or Collector does"
NO_ID = "without a valid trace id and span id"

KINDS: Mapping[int, SpanKind] = {2: "server", 3: "client", 4: "producer", 5: "consumer"}
STATUSES: Mapping[int, SpanStatus] = {1: "ok", 2: "error"}


class BadSpan(ValueError):
    """An unreadable span; the message describes the problem for a plural: "without a valid id"."""


class Spans(NamedTuple):
    """The spans of a request, and how many were left out for which reason."""

    spans: list[SpanRecord]
    left_out: Mapping[str, int]

    @property
    def nameless(self) -> int:
        """The number of spans left out as indistinguishable from others."""
        return self.left_out.get(NO_ID, 0)


class Reading:
    """The spans of a request read so far, and the room for more."""

    def __init__(self, most_spans: int) -> None:
        self.spans: list[SpanRecord] = []
        self.left_out: Counter[str] = Counter()
        self._most_spans = most_spans
        self._containers = 0
        self._count = 0
        self._values = 0

    def span(self, count: int = 1) -> None:
        """More spans come. Raises InvalidEvent where these are too many."""
        self._count += count
        if self._count > self._most_spans:
            raise InvalidEvent("too_large", f"more than {self._most_spans:,} spans: send fewer at a time")

    def container(self, count: int = 1) -> None:
        """More resources or scopes come. Raises InvalidEvent where these are too many."""
        self._containers += count
        if self._containers > 2 * self._most_spans:
            raise InvalidEvent(
                "too_large", f"more than {2 * self._most_spans:,} resources and scopes: send fewer at a time"
            )

    def values(self, count: int) -> None:
        """More values come. Raises InvalidEvent where these are too many."""
        self._values += count
        if self._values > MAX_VALUES:
            raise too_many_values()

    def result(self) -> Spans:
        """All spans read."""
        return Spans(self.spans, self.left_out)


def too_many_values() -> InvalidEvent:
    """The refusal of a request small on the wire and large in memory."""
    return InvalidEvent(
        "too_large", f"more than {MAX_VALUES:,} values: send fewer spans or attributes at a time"
    )


__all__ = [
    "KINDS",
    "MAX_LEVELS",
    "MAX_SPANS",
    "MAX_VALUES",
    "NO_ID",
    "NO_SPANS",
    "STATUSES",
    "BadSpan",
    "Reading",
    "Spans",
    "too_many_values",
]
