"""The batch engine's own measurements: a few numbers for each batch, nothing for each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, time
from typing import Literal

from upshot.streams.events.handler import TP
from upshot.streams.events.records import Record
from upshot.streams.kafka.topic_watch import TopicWatch
from upshot.streams.metrics.instruments import Instruments, Measured

#: See metric `upshot.processing_loop.duration`.
Part = Literal["process", "tick", "changelog", "flush", "commit"]


class EngineMetrics:
    """Records events of the engine.

    Collecting reads from another thread, so each read is of a whole object.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._ages = instruments.histogram("upshot.consumer.age")
        self._batches = instruments.histogram("upshot.consumer.batch.size")
        self._durations = instruments.histogram("upshot.cycle.duration")
        self._positions: Callable[[], Mapping[TP, int]] = dict
        self._away_since: float | None = None
        self._rebalances = 0
        self._to_recover = 0
        #: Records of the changelog that were read to recover the table.
        self.recovered = 0
        #: Records of the changelog that a copy has not taken over yet, by partition.
        self.standing_by: dict[int, int] = {}
        #: Records by topic.
        self.processed: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        #: Records that were removed before they were read, by topic.
        self.lost: Counter[str] = Counter()
        #: Since when an open transaction holds back records of a partition.
        self.held_since: Mapping[TP, float] = {}
        #: Where each partition stands, and since when; of those that have something to read.
        self._standing: dict[TP, tuple[int, float]] = {}
        #: Where partitions end, as of the last fetch or look.
        self.ends: dict[TP, int] = {}
        instruments.watch_counts("upshot.consumer.records", self.processed)
        instruments.watch_counts("upshot.producer.records", self.written)
        instruments.watch_counts("upshot.consumer.lost", self.lost)
        instruments.watch("upshot.consumer.lag", self._lags)
        instruments.watch("upshot.consumer.stalled", self._stalled)
        instruments.watch("upshot.consumer.held_back", self._held_back)
        instruments.watch("upshot.consumer.position", self._where)
        instruments.watch_value("upshot.consumer.partitions", lambda: len(self._positions()))
        instruments.watch_value("upshot.consumer.rebalances", lambda: self._rebalances)
        self._instruments = instruments
        instruments.watch_value("upshot.kafka.away", self._away)

    def follow(self, positions: Callable[[], Mapping[TP, int]]) -> None:
        """Where our partitions stand; called from another thread."""
        self._positions = positions

    def follow_topics(self, watch: TopicWatch) -> None:
        """The changes of the topics; called from another thread."""
        self._instruments.watch("upshot.topic.unsettled", lambda: [(s, t) for t, s in watch.away().items()])
        self._instruments.watch(
            "upshot.topic.changes",
            lambda: [(count, topic, change) for (topic, change), count in watch.happened.copy().items()],
        )

    def follow_table(self, size: Callable[[int], int]) -> None:
        """The keys of a partition of the table; called from another thread."""
        self._instruments.watch("upshot.table.keys", lambda: self._keys(size))
        self._instruments.watch_value("upshot.recovery.remaining", lambda: self._to_recover)
        self._instruments.watch_value("upshot.recovery.records", lambda: self.recovered)
        self._instruments.watch("upshot.standby.lag", self._standby_lag)

    def assigned(self) -> None:
        """Partitions are ours, and recovered."""
        self._rebalances += 1
        self._to_recover = 0

    def recovering(self, missing: int) -> int:
        """So many records of the changelog are to be read; returns this number."""
        self._to_recover = missing
        return missing

    def recovery_sign(self) -> str:
        """How far a recovery is, as a word or two differing while the recovery goes on; filing the records
        read has no measure.
        """
        return f"recovering {self._to_recover}" if self._to_recover else f"recovering {time():.0f}"

    def took(self, batches: Mapping[TP, Sequence[Record]]) -> None:
        """These are about to be processed."""
        for tp, records in batches.items():
            self.processed[tp.topic] += len(records)
        self._batches.record(sum(map(len, batches.values())))
        oldest = min(records[0].timestamp for records in batches.values())
        self._ages.record(max(0.0, time() - oldest / 1000))

    @contextmanager
    def timing(self, part: Part) -> Iterator[None]:
        """Time a part of the unit of work; a failing part is not counted."""
        began = monotonic()
        yield
        self._durations.record(monotonic() - began, part)

    def look(self) -> None:
        """Note which partitions move.

        Called every second, from a thread going on where the event loop hangs.
        """
        now, positions = monotonic(), self._positions()
        standing = {}
        for tp, lag in self.lag().items():
            position = positions.get(tp)
            if lag and position is not None and tp not in self.held_since:
                before = self._standing.get(tp)
                standing[tp] = before if before and before[0] == position else (position, now)
        self._standing = standing

    def _stalled(self) -> Iterable[Measured]:
        now, standing = monotonic(), self._standing
        return [
            (now - standing[tp][1] if tp in standing else 0.0, tp.topic, str(tp.partition))
            for tp in self._positions()
        ]

    def _held_back(self) -> Iterable[Measured]:
        now, held = monotonic(), self.held_since
        return [
            (now - held[tp] if tp in held else 0.0, tp.topic, str(tp.partition)) for tp in self._positions()
        ]

    def _where(self) -> Iterable[Measured]:
        return [(position, tp.topic, str(tp.partition)) for tp, position in self._positions().items()]

    def kafka_answers(self, answers: bool) -> None:
        """Whether a broker answers at present."""
        if answers:
            self._away_since = None
        elif self._away_since is None:
            self._away_since = monotonic()

    def _away(self) -> float:
        since = self._away_since
        return 0.0 if since is None else monotonic() - since

    def _standby_lag(self) -> Iterable[Measured]:
        return [(count, str(partition)) for partition, count in self.standing_by.items()]

    def _keys(self, size: Callable[[int], int]) -> Iterable[Measured]:
        for partition in {tp.partition for tp in self._positions()}:
            yield size(partition), str(partition)

    def lag(self) -> dict[TP, int]:
        """Records written and not processed, of each of our partitions."""
        positions = self._positions()
        ends = {tp: end for tp, end in list(self.ends.items()) if tp in positions}
        return {tp: max(0, end - positions[tp]) for tp, end in ends.items()}

    def _lags(self) -> Iterable[Measured]:
        return [(count, topic, str(partition)) for (topic, partition), count in self.lag().items()]


__all__ = ["EngineMetrics", "Part"]
