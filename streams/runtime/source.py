"""The source read by the processing loop, and the place of its commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from upshot.streams.events.handler import TP
from upshot.streams.events.records import Record


class Polled(NamedTuple):
    """Records per partition, and where reading goes on, for all partitions: offsets may have gaps."""

    records: Mapping[TP, list[Record]]
    positions: Mapping[TP, int]


class RecordSource(Protocol):
    """Where records come from and offsets go to."""

    async def poll(self, tps: frozenset[TP], timeout: float, max_records: int) -> Polled: ...

    async def commit_positions(
        self, positions: Mapping[TP, int], generation: int, notes: Mapping[TP, str]
    ) -> bool:
        """Whether they are committed, each with its note or none; not when the group has moved on."""

    async def is_member(self, generation: int, *, ask: bool = False) -> bool:
        """Whether this worker may still write the state of its partitions; `ask` the broker anew."""

    async def list_end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where the logs end now."""


__all__ = ["Polled", "RecordSource"]
