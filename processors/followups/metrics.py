"""The metrics of the role of follow-ups, read from counts kept anyway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from upshot.processors.followups.execution import Executor
from upshot.processors.followups.facts import EventKind
from upshot.processors.followups.undeployed import Undeployed
from upshot.streams.events.instants import Micros
from upshot.streams.metrics.instruments import Instruments, Measured, watch_dead_letters


def watch_followups(
    instruments: Instruments,
    counts: Counter[str],
    dead_letters: Counter[str],
    undeployed: Undeployed,
    executor: Executor,
    now: Callable[[], Micros],
) -> None:
    """Measure follow-ups from now on."""

    def oldest() -> float:
        return max([(now() - since) / 1e6 for _, since in executor.running()], default=0.0)

    def missing() -> Iterable[Measured]:
        return [(count, *code) for code, count in undeployed.counts().items()]

    instruments.watch("upshot.followups.events", lambda: _events(counts))
    instruments.watch_value("upshot.followups.running", lambda: len(executor.running()))
    instruments.watch_value("upshot.followups.running.oldest", oldest)
    instruments.watch("upshot.followups.undeployed", missing)
    watch_dead_letters(instruments, dead_letters)


def _events(counts: Mapping[str, int]) -> Iterable[Measured]:
    """All kinds of events, from the beginning: the first event of a kind would else be no increase."""
    return [(counts.get(name, 0), name) for name in (*get_args(EventKind), "forwarded")]


__all__ = ["watch_followups"]
