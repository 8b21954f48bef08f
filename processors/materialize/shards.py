"""The role over a cluster: the rows of each shard's runs are written from the facts of that shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from upshot.processors.materialize.handler import Materialize
from upshot.settings import Settings
from upshot.streams.events.records import Record
from upshot.streams.runtime import TP, BatchContext, Effects


class MaterializeShards:
    """Owns, on every shard, the runs of its partitions of topic `runs`."""

    def __init__(self, settings: Settings, context: BatchContext) -> None:
        self._shards = [Materialize(shard, context) for shard in settings.shards]

    @property
    def topics(self) -> Sequence[str]:
        """The topic whose partitions say which runs are ours."""
        return self._shards[0].topics

    @property
    def counts(self) -> Counter[str]:
        """Those of all shards together."""
        return sum((shard.counts for shard in self._shards), Counter())

    def lag(self) -> float:
        """That of the shard that is the furthest behind."""
        return max(shard.lag() for shard in self._shards)

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Begin to write the rows of our runs."""
        for shard in self._shards:
            await shard.assigned(tps)

    async def revoked(self, tps: frozenset[TP]) -> None:
        """End."""
        for shard in self._shards:
            await shard.revoked(tps)

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Nothing: the store writes the facts."""
        return Effects()

    async def tick(self) -> Effects:
        """Nothing."""
        return Effects()

    async def flush(self) -> None:
        """Nothing."""


__all__ = ["MaterializeShards"]
