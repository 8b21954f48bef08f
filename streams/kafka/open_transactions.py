"""Saying when a producer's open transaction holds records back, and with them the deadlines."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

from upshot.streams.events.handler import TP

log = logging.getLogger(__name__)


class Reach(NamedTuple):
    """Offsets of a partition: read so far, readable as of the last fetch, and written by then."""

    position: int
    stable: int
    written: int


class OpenTransactions:
    """Notes since when records are held back; a line in the log after `patience` seconds, another when the
    records came.

    Kafka gives out no record behind an open transaction, of any writer. The producer ends the transaction, or
    the broker does after the producer's time limit (15 minutes at the most by default).
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[TP, float] = {}
        self._stated: set[TP] = set()

    def held(self) -> Mapping[TP, float]:
        """Since when records of each partition are held back. Callable from any thread."""
        return self._since.copy()

    def look(self, partitions: Mapping[TP, Reach], now: float) -> None:
        """Called now and then; `now` in seconds of a monotonic clock."""
        held = {tp: reach for tp, reach in partitions.items() if reach.stable < reach.written}
        for tp in set(self._since) - set(held):
            del self._since[tp]
            if tp in self._stated:
                self._stated.remove(tp)
                log.warning("the transaction on %s/%d has ended: reading on", *tp)
        for tp, reach in held.items():
            lasts = now - self._since.setdefault(tp, now)
            if lasts >= self._patience and tp not in self._stated and reach.position >= reach.stable:
                self._stated.add(tp)
                log.warning(
                    "an open transaction has held back %d offsets of %s/%d for %.0f s: they, and the "
                    "deadlines that they may answer, wait until its producer or the broker ends it",
                    reach.written - reach.stable,
                    *tp,
                    lasts,
                )


__all__ = ["OpenTransactions", "Reach"]
