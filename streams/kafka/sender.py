"""Sending whole batches per partition, and knowing when the broker has them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import repeat
from time import monotonic, time
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError, KafkaTimeoutError

from upshot.errors import KafkaUnavailable, UnitFailed
from upshot.streams.events.effects import Output
from upshot.streams.kafka.partitioner import partitions_for

#: Below a topic's default `max.message.bytes`. A single larger record makes a batch of its own.
BATCH_BYTES = 512 * 1024

#: Milliseconds that a record may be ahead of the broker's clock, by the default of
#: `message.timestamp.after.max.ms`.
MOST_AHEAD = 3_600_000

_NO_HEADERS: list[tuple[str, bytes]] = []  # aiokafka takes a list, and does not change it


#: One record of a batch: key, value, timestamp in milliseconds, headers.
Entry = tuple[bytes | None, bytes | None, int, list[tuple[str, bytes]]]

#: What was handed to the producer, by topic and partition: each batch's future, and how many records it has.
Sent = Mapping[tuple[str, int], Sequence[tuple[asyncio.Future[Any], int]]]


class Ack(NamedTuple):
    """The broker has so many records from `offset` on; -1 where the broker could not say from where."""

    offset: int
    records: int


class BatchSender:
    """Batches out through Faust's own producer (idempotent, acks=all).

    The producer retries by itself. A record refused by the broker, or not acknowledged for `away` seconds,
    raises: the caller must not commit afterwards. `written` counts the records by topic.
    """

    def __init__(self, producer: Callable[[], Any], away: float, written: Counter[str] | None = None) -> None:
        self._producer = producer
        self._written = Counter() if written is None else written
        self._away = away
        self._outstanding: list[asyncio.Future[Any]] = []
        self._turn = 0
        #: Asked before each batch of changes is given away; raises where they aren't ours to write any more.
        self.guard: Callable[[], Awaitable[None]] | None = None

    async def changes(self, topic: str, changes: Mapping[int, Mapping[bytes, bytes | None]]) -> Sent:
        """Send a changelog batch for each partition; `acknowledged` waits until the broker has them."""
        now = int(time() * 1000)
        entries = {
            (topic, partition): zip(values, values.values(), repeat(now), repeat(_NO_HEADERS))
            for partition, values in changes.items()
        }
        return await self._send(entries, self.guard)

    async def acknowledged(self, sent: Sent) -> dict[int, list[Ack]]:
        """Wait for all batches sent; acknowledgements by partition, in order. Raises UnitFailed."""
        await self._acknowledged([future for futures in sent.values() for future, _ in futures])
        return {
            partition: [Ack(future.result().offset, count) for future, count in futures]
            for (_, partition), futures in sent.items()
        }

    async def outputs(self, outputs: Iterable[Output]) -> None:
        """Hand the outputs to the producer; `flush` waits until the broker has them."""
        self._turn += 1
        by_topic: dict[str, list[Output]] = defaultdict(list)
        for output in outputs:
            by_topic[output.topic].append(output)
        entries: dict[tuple[str, int], list[Entry]] = {}
        now = int(time() * 1000)
        for topic, theirs in by_topic.items():
            lanes: dict[int, list[Entry]] = defaultdict(list)
            for output, partition in zip(theirs, await self._partitions_of(topic, theirs), strict=True):
                stamp = now if output.timestamp_ms is None else _taken(output.timestamp_ms, now)
                headers = list(output.headers) if output.headers else _NO_HEADERS
                lanes[partition].append((output.key, output.value, stamp, headers))
            entries |= {(topic, partition): batcher for partition, batcher in lanes.items()}
        self._outstanding = [future for future in self._outstanding if not _delivered(future)]
        for futures in (await self._send(entries)).values():
            self._outstanding += [future for future, _ in futures]

    async def _partitions_of(self, topic: str, outputs: Sequence[Output]) -> list[int]:
        """Where each of the topic's outputs goes: to its stated partition, by its key, or to the next
        partition in rotation.
        """
        chosen = [output.partition for output in outputs if output.partition is not None]
        if len(chosen) == len(outputs):
            return chosen
        count = await self.partition_count(topic)
        keys = [output.key or b"" for output in outputs]
        found = partitions_for(keys, count)
        if chosen or b"" in keys:
            for number, output in enumerate(outputs):
                if output.partition is not None:
                    found[number] = output.partition
                elif output.key is None:
                    found[number] = self._turn % count
        return found

    async def flush(self) -> None:
        """Return once the broker has every output handed over so far.

        Raises UnitFailed for a refused output.
        """
        outstanding = self._outstanding
        await self._acknowledged(outstanding)
        self._outstanding = [future for future in self._outstanding if not _delivered(future)]

    def forget(self) -> None:
        """Stop waiting for batches on their way; their records were dropped and come again."""
        self._outstanding = []

    async def partition_count(self, topic: str) -> int:
        """How many partitions `topic` has. Raises UnitFailed where the topic doesn't exist."""
        try:
            return len(await self._producer().partitions_for(topic))
        except KafkaError as error:
            raise UnitFailed(f"topic {topic} can't be found: {_stated(error)}") from error

    async def _send(
        self,
        entries: Mapping[tuple[str, int], Iterable[Entry]],
        guard: Callable[[], Awaitable[None]] | None = None,
    ) -> dict[tuple[str, int], list[tuple[asyncio.Future[Any], int]]]:
        batches = {place: self._batches(records) for place, records in entries.items()}
        for (topic, _), filled in batches.items():
            self._written[topic] += sum(batch.record_count() for batch in filled)
        sent: dict[tuple[str, int], list[tuple[asyncio.Future[Any], int]]] = {place: [] for place in batches}

        async def queue(place: tuple[str, int]) -> None:
            for batch in batches[place]:
                if guard is not None:
                    await guard()
                sent[place].append((await self._queue(batch, *place), batch.record_count()))

        if any(len(parts) > 1 for parts in batches.values()):
            # The second batch of a partition waits for the first to leave: nobody else should.
            await asyncio.gather(*map(queue, batches))
        else:
            for place in batches:
                await queue(place)
        return sent

    def _batches(self, entries: Iterable[Entry]) -> list[Any]:
        """aiokafka's batches, filled without its call in between for each record."""
        create = self._producer().create_batch
        batch, count = create(), 0
        batches, append = [batch], batch._builder.append
        for key, value, stamp, headers in entries:
            if append(count, stamp, key, value, headers) is None:
                batch._relative_offset = count
                batch, count = create(), 0
                batches.append(batch)
                append = batch._builder.append
                append(count, stamp, key, value, headers)
            count += 1
        batch._relative_offset = count
        return batches

    async def _queue(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        deadline = monotonic() + self._away
        while True:
            try:
                future: asyncio.Future[Any] = await self._producer().send_batch(
                    batch, topic, partition=partition
                )
            except KafkaTimeoutError:
                # The batch before it has not left yet: the broker is away. This one isn't queued.
                if monotonic() > deadline:
                    raise self._unavailable() from None
            except (KafkaError, AssertionError) as error:
                raise UnitFailed(f"{topic}/{partition} can't be written: {_stated(error)}") from error
            else:
                future.add_done_callback(_seen)
                return future

    async def _acknowledged(self, futures: Sequence[asyncio.Future[Any]]) -> None:
        if futures and (await asyncio.wait(futures, timeout=self._away))[1]:
            raise self._unavailable()
        for future in futures:
            if error := future.exception():
                raise UnitFailed(f"the broker refused a batch: {_stated(error)}") from error

    def _unavailable(self) -> KafkaUnavailable:
        return KafkaUnavailable(f"Kafka has acknowledged nothing for {self._away:.0f} s")


def _taken(stamp: int, now: int) -> int:
    """A record's timestamp as accepted by the broker: timestamps far ahead are refused, whatever their
    source.
    """
    return now if stamp > now + MOST_AHEAD else stamp


def _delivered(future: asyncio.Future[Any]) -> bool:
    return future.done() and future.exception() is None


def _seen(future: asyncio.Future[Any]) -> None:
    """A failure is raised in the waiting code; a dropped unit waits for no failure."""
    if not future.cancelled():
        future.exception()


def _stated(error: BaseException) -> str:
    return str(error) or type(error).__name__


__all__ = ["BATCH_BYTES", "Ack", "BatchSender", "Sent"]
