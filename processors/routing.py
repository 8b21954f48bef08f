"""Records from topics sharing a key: decoded, in their right place, or kept with the reason of refusal."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Generic, TypeVar

from upshot.errors import InvalidEvent, UnitFailed
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.instants import Micros
from upshot.streams.events.records import FORWARDED_FROM, Record, place_of
from upshot.streams.kafka.partitioner import partitions_for
from upshot.streams.runtime import TP, BatchContext, Effects, Output

#: Microseconds between two lines of counts in the log.
_TELL_EVERY = 60_000_000

T = TypeVar("T")


class Router(Generic[T]):
    """Reads the records of `topics`, whose key is the field `key` of their content.

    A record on another partition than its key's goes on to the right partition, an invalid record to the dead
    letters. `counts` holds how often each event happened since the start: the processor adds its own.
    """

    def __init__(self, context: BatchContext, settings: Settings, topics: Sequence[str], key: str) -> None:
        self._context = context
        self._settings = settings
        self._short = topics
        #: Full names of the topics.
        self.topics: Sequence[str] = [settings.topic(name) for name in topics]
        self._key: Callable[[T], str] = attrgetter(key)
        self._partitions = 0
        self.counts: Counter[str] = Counter()
        #: By reason.
        self.dead_letters: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._tell_at: Micros = 0

    async def check(self) -> None:
        """The topics have at least as many partitions as the table. Raises UnitFailed: the next start adds
        them.

        A missing topic has no partitions; records of the other topics are taken.
        """
        self._partitions = self._context.units()
        counts = {topic: await self._context.partition_count(topic) for topic in self.topics}
        if few := {topic: count for topic, count in counts.items() if 0 < count < self._partitions}:
            listed = " and ".join(f"{topic} has {count} partitions" for topic, count in few.items())
            raise UnitFailed(
                f"{listed}, the table {self._partitions}: the missing ones are added at the next start"
            )

    def units(self) -> list[int]:
        """This worker's partitions of the table; records of further partitions are forwarded."""
        return sorted({tp.partition for tp in self._context.assignment() if tp.partition < self._partitions})

    def take(
        self,
        tp: TP,
        records: Sequence[Record],
        read: Callable[[Record, Micros], T],
        now: Micros,
        effects: Effects,
        strays: list[T] | None = None,
    ) -> list[T]:
        """The decoded records of this partition. Invalid records go to the dead letters; records of other
        partitions are forwarded, and added to `strays`.
        """
        try:
            valid, arrivals = records, [read(record, now) for record in records]
        except InvalidEvent:
            valid, arrivals = self._valid(records, read, now, effects)
        keys = [key.encode() for key in map(self._key, arrivals)]
        right = partitions_for(keys, self._partitions)
        if right.count(tp.partition) == len(right):
            return arrivals
        foreign = [n for n, partition in enumerate(right) if partition != tp.partition]
        self.counts["forwarded"] += len(foreign)
        if strays is not None:
            strays += [arrivals[n] for n in foreign]
        effects.outputs += [_forwarded(valid[n], keys[n], right[n]) for n in foreign]
        return [a for a, partition in zip(arrivals, right, strict=True) if partition == tp.partition]

    def _valid(
        self,
        records: Iterable[Record],
        read: Callable[[Record, Micros], T],
        now: Micros,
        effects: Effects,
    ) -> tuple[list[Record], list[T]]:
        """The valid records and their contents; the others are refused."""
        valid: list[Record] = []
        arrivals: list[T] = []
        for record in records:
            try:
                arrivals.append(read(record, now))
            except InvalidEvent as error:
                self.refuse(record, error, effects)
            else:
                valid.append(record)
        return valid, arrivals

    def refuse(self, record: Record, error: InvalidEvent, effects: Effects) -> None:
        """Keep a record as a dead letter."""
        self.counts["dead_lettered"] += 1
        self.dead_letters[error.reason] += 1
        effects.outputs.append(dead_letter(self._settings, record, error))

    def tell(self, log: logging.Logger, now: Micros) -> None:
        """Log the counts since the start, in one line now and then."""
        if now < self._tell_at or self.counts == self._reported:
            return
        self._tell_at, self._reported = now + _TELL_EVERY, self.counts.copy()
        log.info(
            "since the start: %s", ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        )


def _forwarded(record: Record, key: bytes, partition: int) -> Output:
    headers = [(name, value) for name, value in record.headers if name != FORWARDED_FROM]
    headers.append((FORWARDED_FROM, str(place_of(record)).encode()))
    return Output(record.topic, partition, key, record.value, headers, record.timestamp)


__all__ = ["Router"]
