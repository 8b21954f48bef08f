"""Which readers have something to read and don't move: seen from outside, by the groups' commits. Pure.

A worker with a hanging event loop can't say so itself, and the broker takes its heartbeats, which have a
thread of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka.structs import TopicPartition

from upshot.streams.kafka.groups import Group, Standing


class Stuck(NamedTuple):
    """A partition whose reader has stood at `offset` for so many seconds, with `lag` records before it."""

    group: str
    topic: str
    partition: int
    offset: int
    lag: int
    seconds: float
    #: Whether it stands before an open transaction, and has read all before it.
    is_held: bool = False

    @property
    def place(self) -> str:
        """The record at which the reader stands."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Standstill:
    """Notes, between looks, since when each partition hasn't moved.

    The clock of a partition begins anew when anything is committed for the partition, a sign of life
    included; when there was nothing to read; when another member has the partition, or the group is
    rebalancing; and when an open transaction begins or ends to hold back all remaining records, a separate
    case. So a moving partition is never stuck, however much is left.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[str, TopicPartition], tuple[object, float]] = {}

    def look(self, groups: Iterable[Group], now: float) -> None:
        """As the groups stand `now`, in seconds of a monotonic clock."""
        seen: dict[tuple[str, TopicPartition], tuple[object, float]] = {}
        for group in groups:
            for tp, standing in group.standings.items() if group.is_live else ():
                if standing.lag:
                    mark = (*standing[3:], standing.position, standing.is_held_back)
                    before = self._since.get((group.name, tp))
                    same = before is not None and before[0] == mark
                    seen[group.name, tp] = before if same and before else (mark, now)
        self._since = seen

    def stuck(self, groups: Iterable[Group], after: float, now: float) -> list[Stuck]:
        """Who has stood for `after` seconds, the longest first; of `groups` as they were looked at last."""
        found = [
            _stuck(group.name, tp, standing, now - self._since[group.name, tp][1])
            for group in groups
            for tp, standing in group.standings.items()
            if (group.name, tp) in self._since
        ]
        return sorted((one for one in found if one.seconds >= after), key=lambda one: -one.seconds)


def held_back(groups: Iterable[Group]) -> Mapping[TopicPartition, Standing]:
    """The partitions in which an open transaction holds back records from these groups."""
    return {
        tp: standing
        for group in groups
        for tp, standing in group.standings.items()
        if standing.stable < standing.end and standing.lag
    }


def _stuck(group: str, tp: TopicPartition, standing: Standing, seconds: float) -> Stuck:
    place = (tp.topic, tp.partition, standing.position)
    return Stuck(group, *place, standing.lag, seconds, standing.is_held_back)


__all__ = ["Standstill", "Stuck", "held_back"]
