"""Memory of the latest ended spans, for spans begun below them later."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: Ended spans remembered with their run, at least.
REMEMBERED = 10_000
#: Spans remembered without their run once there are more: their late children are counted as lost.
REMEMBERED_LOST = 50_000


class EndedSpans(Generic[T]):
    """The runs of the latest ended spans, and the ids of spans whose run is forgotten.

    Every step passes here, in the agent's thread: hence plain dicts, trimmed a tenth at a time.
    """

    def __init__(self) -> None:
        self._runs: dict[int, T] = {}
        self._forgotten: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, span_id: int, run: T) -> None:
        """A span of the run has ended."""
        self._runs[span_id] = run
        if len(self._runs) > REMEMBERED + REMEMBERED // 10:
            self._trim()

    def run_of(self, span_id: int) -> T | None:
        """The run of an ended span; None where forgotten or never known."""
        return self._runs.get(span_id)

    def forgot(self, span_id: int) -> bool:
        """Whether the span's run was known once."""
        return span_id in self._forgotten

    def add_below_forgotten(self, span_id: int) -> None:
        """A span below a span with a forgotten run: spans below this one are lost, too."""
        self._forgotten[span_id] = None
        if len(self._forgotten) > REMEMBERED_LOST + REMEMBERED_LOST // 10:
            self._trim()

    def _trim(self) -> None:
        """Without a lock, which a fork could copy locked: two threads trimming at once do no harm."""
        for span_id in _oldest(self._runs, REMEMBERED):
            self._forgotten[span_id] = None
            self._runs.pop(span_id, None)
        for span_id in _oldest(self._forgotten, REMEMBERED_LOST):
            self._forgotten.pop(span_id, None)


def _oldest(remembered: dict[int, Any], most: int) -> list[int]:
    """The oldest ids beyond the latest `most`. `list(dict)` is one step for other threads adding spans."""
    ids = list(remembered)
    return ids[: max(len(ids) - most, 0)]


__all__ = ["EndedSpans"]
