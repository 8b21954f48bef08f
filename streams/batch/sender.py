"""Sending whole batches per partition, and knowing when the broker has them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, time
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError, KafkaTimeoutError

from upshot.errors import KafkaUnavailable, UnitFailed
from upshot.streams.batch.effects import Output
from upshot.streams.partitions import partition_for

#: Below a topic's default `max.message.bytes`. A single larger record makes a batch of its own.
BATCH_BYTES = 512 * 1024

_NO_HEADERS: list[tuple[str, bytes]] = []  # aiokafka takes a list, and does not change it


class Entry(NamedTuple):
    """One record of a batch."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes]] = _NO_HEADERS


class Ack(NamedTuple):
    """The broker has so many records from `offset` on; -1 where it could not say from where."""

    offset: int
    records: int


class Sender:
    """Batches out through Faust's own producer (idempotent, acks=all).

    The producer retries by itself. What the broker has refused, or has not acknowledged for `away` seconds,
    raises: the caller must not commit after that.
    """

    def __init__(self, producer: Callable[[], Any], away: float) -> None:
        self._producer = producer
        self._away = away
        self._outstanding: list[asyncio.Future[Any]] = []
        self._turn = 0

    async def changes(
        self, topic: str, changes: Mapping[int, Mapping[bytes, bytes | None]]
    ) -> dict[int, list[Ack]]:
        """Send one changelog batch per partition and wait for all; acknowledgements by partition, in order."""
        now = int(time() * 1000)
        entries = {
            (topic, partition): [Entry(key, value, now) for key, value in values.items()]
            for partition, values in changes.items()
        }
        sent = await self._send(entries)
        await self._acknowledged([future for futures in sent.values() for future, _ in futures])
        return {
            partition: [Ack(future.result().offset, count) for future, count in futures]
            for (_, partition), futures in sent.items()
        }

    async def outputs(self, outputs: Iterable[Output]) -> None:
        """Hand the outputs to the producer; `flush` waits until the broker has them."""
        entries: dict[tuple[str, int], list[Entry]] = defaultdict(list)
        now = int(time() * 1000)
        counts: dict[str, int] = {}
        self._turn += 1
        for topic, partition, key, value, headers, timestamp_ms in outputs:
            if partition is None:
                if topic not in counts:
                    counts[topic] = await self.partition_count(topic)
                partition = self._turn % counts[topic] if key is None else partition_for(key, counts[topic])
            stamp = now if timestamp_ms is None else timestamp_ms
            entries[topic, partition].append(
                Entry(key, value, stamp, list(headers) if headers else _NO_HEADERS)
            )
        self._outstanding = [future for future in self._outstanding if not _delivered(future)]
        for futures in (await self._send(entries)).values():
            self._outstanding += [future for future, _ in futures]

    async def flush(self) -> None:
        """Return once the broker has every output handed over so far. Raises UnitFailed for one it refused."""
        outstanding = self._outstanding
        await self._acknowledged(outstanding)
        self._outstanding = [future for future in self._outstanding if not _delivered(future)]

    def forget(self) -> None:
        """Stop waiting for what is on its way; its records were dropped and come again."""
        self._outstanding = []

    async def partition_count(self, topic: str) -> int:
        """How many partitions `topic` has. Raises UnitFailed where it doesn't exist."""
        try:
            return len(await self._producer().partitions_for(topic))
        except KafkaError as error:
            raise UnitFailed(f"topic {topic} can't be found: {_said(error)}") from error

    async def _send(
        self, entries: Mapping[tuple[str, int], Sequence[Entry]]
    ) -> dict[tuple[str, int], list[tuple[asyncio.Future[Any], int]]]:
        batches = {place: self._batches(records) for place, records in entries.items()}
        sent: dict[tuple[str, int], list[tuple[asyncio.Future[Any], int]]] = {place: [] for place in batches}

        async def queue(place: tuple[str, int]) -> None:
            for batch in batches[place]:
                sent[place].append((await self._queue(batch, *place), batch.record_count()))

        if any(len(parts) > 1 for parts in batches.values()):
            # The second batch of a partition waits for the first to leave: nobody else should.
            await asyncio.gather(*map(queue, batches))
        else:
            for place in batches:
                await queue(place)
        return sent

    def _batches(self, entries: Sequence[Entry]) -> list[Any]:
        create = self._producer().create_batch
        batch = create()
        batches = [batch]
        for key, value, stamp, headers in entries:
            if batch.append(timestamp=stamp, key=key, value=value, headers=headers) is None:
                batch = create()
                batches.append(batch)
                batch.append(timestamp=stamp, key=key, value=value, headers=headers)
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
                raise UnitFailed(f"{topic}/{partition} can't be written: {_said(error)}") from error
            else:
                future.add_done_callback(_seen)
                return future

    async def _acknowledged(self, futures: Sequence[asyncio.Future[Any]]) -> None:
        if futures and (await asyncio.wait(futures, timeout=self._away))[1]:
            raise self._unavailable()
        for future in futures:
            if error := future.exception():
                raise UnitFailed(f"the broker refused a batch: {_said(error)}") from error

    def _unavailable(self) -> KafkaUnavailable:
        return KafkaUnavailable(f"Kafka has acknowledged nothing for {self._away:.0f} s")


def _delivered(future: asyncio.Future[Any]) -> bool:
    return future.done() and future.exception() is None


def _seen(future: asyncio.Future[Any]) -> None:
    """A failure is raised where it's waited for; a dropped unit waits for none."""
    if not future.cancelled():
        future.exception()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


__all__ = ["BATCH_BYTES", "Ack", "Sender"]
