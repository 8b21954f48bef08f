"""The executions started, until their ends are applied."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from upshot.processors.followups.execution import Execution, Executor, Snapshot
from upshot.streams.events.instants import Micros

#: Seconds between two looks for ends: a tenth of the youngest execution's time so far, within these bounds.
_SOONEST, _LATEST = 0.005, 0.25


class Started(NamedTuple):
    """An execution: the follow-up's partition, and the number of the snapshot given."""

    partition: int
    known: int


class Ended(NamedTuple):
    """An ended execution."""

    followup_id: str
    started: Started
    execution: Execution


class UnderWay:
    """Keeps count of executions: at most one of a follow-up, from its start until its end is applied."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._started: dict[str, Started] = {}
        self._held: list[Ended] = []
        self._by_partition: Counter[int] = Counter()
        self._last_start: Micros = 0

    def __contains__(self, followup_id: str) -> bool:
        return followup_id in self._started

    def count(self, partition: int) -> int:
        """The number of executions of this partition."""
        return self._by_partition[partition]

    def start(self, partition: int, known: int, memory: Snapshot, now: Micros) -> None:
        """Run a follow-up's code."""
        self._started[memory.origin.followup_id] = Started(partition, known)
        self._by_partition[partition] += 1
        self._last_start = now
        self._executor.start(memory)

    def ended(self) -> dict[int, list[Ended]]:
        """The ended executions by partition: those held before, and those ended since the last call."""
        found, self._held = self._held, []
        for followup_id, execution in self._executor.finished():
            if started := self._started.get(followup_id):
                found.append(Ended(followup_id, started, execution))
        by_partition: dict[int, list[Ended]] = {}
        for one in found:
            by_partition.setdefault(one.started.partition, []).append(one)
        return by_partition

    def hold(self, ended: Ended) -> None:
        """Give this execution again next time: a part of its results has to be durable first."""
        self._held.append(ended)

    def applied(self, ended: Ended) -> None:
        """The execution is over: the follow-up may be run again."""
        del self._started[ended.followup_id]
        self._by_partition[ended.started.partition] -= 1

    def forget(self) -> None:
        """The executions belong to another worker now."""
        for followup_id in self._started:
            self._executor.forget(followup_id)
        self._started, self._held, self._by_partition = {}, [], Counter()

    def patience(self, now: Micros) -> float | None:
        """Seconds until the next look for ends; None where nothing is under way."""
        if not self._started:
            return None
        return min(max((now - self._last_start) / 10e6, _SOONEST), _LATEST)


__all__ = ["Ended", "Started", "UnderWay"]
