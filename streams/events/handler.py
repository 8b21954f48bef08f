"""What a processor gives to the batch room, and what it gets from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from upshot.streams.events.effects import Effects
from upshot.streams.events.records import Record


class TP(NamedTuple):
    """A partition of a topic; equal to Faust's and aiokafka's own."""

    topic: str
    partition: int


class Unsettled(Exception):
    """A topic is gone, was made anew or has other partitions: what is read doesn't belong to it."""


class BatchHandler(Protocol):
    """One processor. No two of its methods ever run at the same time.

    Any of them may be cancelled, when partitions are taken away or the worker stops while it runs for too
    long: what it did is then not committed, and the records come again. An exception stops the worker
    before the next commit.
    """

    @property
    def topics(self) -> Sequence[str]:
        """Full names of the topics to read; each must exist, with a table all with as many partitions."""

    async def assigned(self, tps: frozenset[TP]) -> None:
        """These are ours, and the table holds their state. Called once before the first `process`."""

    async def revoked(self, tps: frozenset[TP]) -> None:
        """They are no longer ours; what was in flight is committed or dropped. `assigned` comes again."""

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Handle the next records of each partition: raw bytes, in order, none left out."""

    async def tick(self) -> Effects:
        """Look at the clock. Called about every `Timing.tick_interval`, not before `assigned`."""

    async def flush(self) -> None:
        """Make durable all that `process` took so far; offsets are committed right after. See `Pipelined`."""


@runtime_checkable
class Pipelined(Protocol):
    """A handler that makes records durable by itself while it takes more: no commit has to wait for it.

    Its `flush` is then only called before partitions go.
    """

    def durable(self) -> Mapping[TP, int] | None:
        """Up to where all that `process` took is durable, by partition; None where all of it is."""


@runtime_checkable
class Refusing(Protocol):
    """A handler that counts dead letters by reason, also those of records that were set aside before it."""

    @property
    def dead_letters(self) -> Counter[str]:
        """By reason."""


class TableView(Protocol):
    """The recovered state of the partitions that are ours. It changes by `Effects.changes` alone.

    `get` and `get_many` tell these at once; everything else once they are durable, which they always are in
    `tick`.
    """

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None where it has none; far quicker than one by one."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of `key`, or None where it has none."""

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All of a partition, by key; don't await while iterating."""

    def size(self, partition: int) -> int:
        """How many keys a partition has."""

    def waiting(self, partition: int) -> int:
        """The sum of `Change.waiting` over the keys of a partition. Callable from any thread."""

    def due(self, partition: int, upto: int, limit: int) -> list[bytes]:
        """Keys whose `Change.due` is at or before this instant, earliest first, at most `limit`.

        They are due until a change gives them a later instant, or none.
        """

    def nearest_due(self) -> int | None:
        """The earliest due instant of all partitions that are ours; None where nothing is due ever."""


class BatchContext(Protocol):
    """What a handler may ask of the room it lives in. Usable from `assigned` on."""

    @property
    def table(self) -> TableView:
        """The app's table. Raises ConfigurationError in an app without one."""

    async def end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where each partition ends now, asked from the broker.

        Raises Unsettled while one of the handler's topics isn't what its position belongs to: the partitions will
        be taken away and given anew.
        """

    def position(self, tp: TP) -> int:
        """The next offset to be processed: everything before it was. During `process`, that call's start.

        A partition was read to its end when this has reached its end offset; offsets may have gaps.
        Raises KeyError for a partition that isn't ours.
        """

    def assignment(self) -> frozenset[TP]:
        """The partitions of the handler's topics that are ours."""

    async def flush_outputs(self) -> None:
        """Wait until the broker has acknowledged every output sent so far."""

    async def partition_count(self, topic: str) -> int:
        """How many partitions `topic` has; 0 for one of the handler's that is gone."""

    def units(self) -> int:
        """How many partitions the app's table has: topics may have more. Raises ConfigurationError without a table."""


__all__ = ["TP", "BatchContext", "BatchHandler", "Pipelined", "Refusing", "TableView", "Unsettled"]
