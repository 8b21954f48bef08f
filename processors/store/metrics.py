"""The metrics of the role `store`, read from the handler's own counts."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from upshot.streams.metrics.instruments import Instruments, watch_dead_letters


class Storing(Protocol):
    """The part of the store read by the metrics."""

    counts: Counter[str]
    #: By reason.
    dead_letters: Counter[str]


def watch_store(instruments: Instruments, store: Storing) -> None:
    """Measure the store from now on; its sink measures itself."""
    watch_dead_letters(instruments, store.dead_letters)
    instruments.watch_value("upshot.store.rejected", lambda: store.counts["rejected"])
    instruments.watch_value("upshot.store.skipped", lambda: store.counts["skipped"])


__all__ = ["watch_store"]
