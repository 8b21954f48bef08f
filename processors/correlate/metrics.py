"""The metrics of the role `correlate`, read from the join's own counts.

Collecting reads the counts from another thread: each read is of one whole object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, get_args

from upshot.processors.correlate.facts import EventKind
from upshot.streams.events.instants import Micros
from upshot.streams.metrics.instruments import Instruments, Measured, watch_dead_letters
from upshot.streams.runtime import TP


class Joining(Protocol):
    """The part of the join read by the metrics."""

    counts: Counter[str]
    #: By reason.
    dead_letters: Counter[str]
    #: When the next subject needs a look, as of the last tick.
    next_deadline: Micros | None

    def open_waits(self) -> Mapping[int, int]:
        """Waits without an answer, their deadline still to be evaluated, by partition."""

    def unread(self) -> Mapping[TP, int]:
        """Records to be read before due deadlines can be evaluated."""


def watch_join(instruments: Instruments, join: Joining, now: Callable[[], Micros]) -> None:
    """Measure the join from now on."""

    def next_deadline() -> float | None:
        due = join.next_deadline
        return None if due is None else (due - now()) / 1e6

    def unread() -> Iterable[Measured]:
        return [(count, topic, str(partition)) for (topic, partition), count in join.unread().items()]

    def open_waits() -> Iterable[Measured]:
        return [(count, str(partition)) for partition, count in join.open_waits().items()]

    instruments.watch("upshot.join.events", lambda: _events(join.counts))
    instruments.watch("upshot.join.waits.open", open_waits)
    watch_dead_letters(instruments, join.dead_letters)
    instruments.watch_value("upshot.join.deadline.next", next_deadline)
    instruments.watch("upshot.join.unread", unread)


def _events(counts: Mapping[str, int]) -> Iterable[Measured]:
    """All event kinds, from the beginning: the first event of a kind would else be no increase."""
    return [(counts.get(name, 0), name) for name in (*get_args(EventKind), "forwarded")]


__all__ = ["watch_join"]
