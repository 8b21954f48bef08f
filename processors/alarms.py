"""Which subject is to be looked at when: an index by time, one for each partition."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from upshot.processors.state import Micros


class Alarms:
    """At most one alarm for each subject. Lost with the process and built anew from the table."""

    def __init__(self) -> None:
        self._queues: dict[int, list[tuple[Micros, str]]] = {}
        self._alarms: dict[int, dict[str, Micros]] = {}

    def __len__(self) -> int:
        return sum(len(alarms) for alarms in self._alarms.values())

    def set(self, partition: int, key: str, when: Micros | None) -> None:
        """Move the alarm of `key` to `when`; None takes it away."""
        alarms = self._alarms.setdefault(partition, {})
        if when is None:
            alarms.pop(key, None)
        elif alarms.get(key) != when:
            alarms[key] = when
            heappush(self._queues.setdefault(partition, []), (when, key))

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self._queues.pop(partition, None)
        self._alarms.pop(partition, None)

    def nearest(self) -> Micros | None:
        """The earliest alarm of all; None where there is none."""
        heads = [queue[0][0] for partition in self._queues if (queue := self._cleaned(partition))]
        return min(heads, default=None)

    def due(self, upto: Micros, limit: int) -> Iterator[tuple[int, str]]:
        """Take out the subjects whose alarm is at or before `upto`, at most `limit` of them."""
        for partition in list(self._queues):
            queue = self._cleaned(partition)
            while queue and queue[0][0] <= upto and limit > 0:
                _, key = heappop(queue)
                del self._alarms[partition][key]
                limit -= 1
                yield partition, key
                queue = self._cleaned(partition)

    def _cleaned(self, partition: int) -> list[tuple[Micros, str]]:
        """The queue without the entries at its head that a later `set` made void."""
        queue, alarms = self._queues[partition], self._alarms.get(partition, {})
        while queue and alarms.get(queue[0][1]) != queue[0][0]:
            heappop(queue)
        return queue


__all__ = ["Alarms"]
