"""The interface between a processor and the batch engine, in both directions."""

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
    """A topic is gone, was made anew or has other partitions: the data read doesn't belong to the topic."""


class BatchHandler(Protocol):
    """A processor. No two of its methods ever run at the same time.

    Any method may be cancelled, when partitions are taken away or the worker stops while the method runs for
    too long: the method's work is then not committed, and the records come again. An exception stops the
    worker before the next commit.
    """

    @property
    def topics(self) -> Sequence[str]:
        """Full names of the topics to read; each must exist, with a table all with as many partitions."""

    async def assigned(self, tps: frozenset[TP]) -> None:
        """These are ours, and the table holds their state. Called once before the first `process`."""

    async def revoked(self, tps: frozenset[TP]) -> None:
        """They are no longer ours; work in flight is committed or dropped. `assigned` comes again."""

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Handle the next records of each partition: raw bytes, in order, none left out."""

    async def tick(self) -> Effects:
        """Look at the clock. Called about every `Timing.tick_interval`, not before `assigned`."""

    async def flush(self) -> None:
        """Make durable all records taken by `process` so far; offsets are committed right after. See
        `Pipelined`.
        """


@runtime_checkable
class Pipelined(Protocol):
    """A handler making records durable by itself while taking more: no commit has to wait for the handler.

    Its `flush` is then only called before partitions go.
    """

    def durable(self) -> Mapping[TP, int] | None:
        """Up to where the records taken by `process` are durable, by partition.

        None where all records are.
        """


@runtime_checkable
class Refusing(Protocol):
    """A handler counting dead letters by reason, including dead letters of records set aside before reaching
    the handler.
    """

    @property
    def dead_letters(self) -> Counter[str]:
        """By reason."""


@runtime_checkable
class Resuming(Protocol):
    """A handler announcing again what may have been announced and not remembered."""

    async def resume(self) -> Effects:
        """Called once after `assigned`, before the first `process`."""


class TableView(Protocol):
    """The recovered state of our partitions. The state changes by `Effects.changes` alone.

    `get` and `get_many` return these changes at once; everything else once the changes are durable, which
    they always are in `tick`.
    """

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None for a key without a value; far quicker than single calls."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of `key`, or None for a key without a value."""

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
        """The earliest due instant of all our partitions; None where nothing is due ever."""


class BatchContext(Protocol):
    """The services of the batch engine for a handler. Usable from `assigned` on."""

    @property
    def table(self) -> TableView:
        """The app's table. Raises ConfigurationError in an app without a table."""

    async def end_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where each partition ends now, asked from the broker.

        Raises Unsettled while any of the handler's topics isn't the topic of its position: the partitions
        will be taken away and given anew.
        """

    def position(self, tp: TP) -> int:
        """The next offset to be processed: all earlier offsets were. During `process`, the call's start.

        A partition was read to its end when this has reached its end offset; offsets may have gaps. Raises
        KeyError for a partition not ours.
        """

    def assignment(self) -> frozenset[TP]:
        """Our partitions of the handler's topics."""

    async def flush_outputs(self) -> None:
        """Wait until the broker has acknowledged every output sent so far."""

    async def partition_count(self, topic: str) -> int:
        """How many partitions `topic` has; 0 for an absent topic of the handler."""

    def units(self) -> int:
        """How many partitions the app's table has: topics may have more. Raises ConfigurationError without a
        table.
        """


__all__ = [
    "TP",
    "BatchContext",
    "BatchHandler",
    "Pipelined",
    "Refusing",
    "Resuming",
    "TableView",
    "Unsettled",
]
