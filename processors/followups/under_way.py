"""The executions that were started and whose end isn't applied yet."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from upshot.processors.followups.execution import Execution, Executor, Snapshot
from upshot.streams.events.instants import Micros

#: Seconds between two looks for ends: a tenth of what the youngest execution has taken, within these bounds.
_SOONEST, _LATEST = 0.005, 0.25


class Started(NamedTuple):
    """An execution: of a follow-up in which partition, and which of its memories it was given."""

    partition: int
    known: int


class Ended(NamedTuple):
    """What came of an execution."""

    followup_id: str
    started: Started
    execution: Execution


class UnderWay:
    """Keeps count of executions: one of a follow-up at the most, from its start until its end is applied."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._started: dict[str, Started] = {}
        self._held: list[Ended] = []
        self._by_partition: Counter[int] = Counter()
        self._last_start: Micros = 0

    def __contains__(self, followup_id: str) -> bool:
        return followup_id in self._started

    def count(self, partition: int) -> int:
        """How many are of this partition."""
        return self._by_partition[partition]

    def start(self, partition: int, known: int, memory: Snapshot, now: Micros) -> None:
        """Run a follow-up's code."""
        self._started[memory.origin.followup_id] = Started(partition, known)
        self._by_partition[partition] += 1
        self._last_start = now
        self._executor.start(memory)

    def ended(self) -> dict[int, list[Ended]]:
        """What has come of them, by partition: those that were held, and those that ended since the last call."""
        found, self._held = self._held, []
        for followup_id, execution in self._executor.finished():
            if started := self._started.get(followup_id):
                found.append(Ended(followup_id, started, execution))
        by_partition: dict[int, list[Ended]] = {}
        for one in found:
            by_partition.setdefault(one.started.partition, []).append(one)
        return by_partition

    def hold(self, ended: Ended) -> None:
        """Give this one again next time: something of it has to be durable first."""
        self._held.append(ended)

    def applied(self, ended: Ended) -> None:
        """It's over: the follow-up may be run again."""
        del self._started[ended.followup_id]
        self._by_partition[ended.started.partition] -= 1

    def forget(self) -> None:
        """They are somebody else's now."""
        for followup_id in self._started:
            self._executor.forget(followup_id)
        self._started, self._held, self._by_partition = {}, [], Counter()

    def patience(self, now: Micros) -> float | None:
        """Seconds until ends should be looked for; None where nothing is under way."""
        if not self._started:
            return None
        return min(max((now - self._last_start) / 10e6, _SOONEST), _LATEST)


__all__ = ["Ended", "Started", "UnderWay"]
