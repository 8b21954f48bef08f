"""Events on their way to the broker: gathered by partition, sent as whole batches, each with a delivery
result.

A partition has a single batch on its way; further events gather in the next. So batches are small and quick
under little load, and large under much. The cost of an event is being written into its batch: tasks and
futures are a batch's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from copy import copy
from time import time
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError
from aiokafka.structs import RecordMetadata

#: Seconds for which the first event of a batch waits for company.
LINGER = 0.005
_CLOSED = "the producer was closed before the broker had it"


class DeliveryFuture:
    """A queued event. Awaiting the future gives the event's place, once all replicas have the event, or
    raises KafkaError.
    """

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: Batch, index: int) -> None:
        self._batch = batch
        self._index = index

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        return self._place().__await__()

    async def _place(self) -> RecordMetadata:
        if not self._batch.sent.done():
            # The future is the whole batch's: who gives up waiting must not cancel it.
            await asyncio.wait({self._batch.sent})
        return self.place()

    def place(self) -> RecordMetadata:
        """Where the event was written, once known. Raises KafkaError where the event wasn't written."""
        if error := self._batch.sent.exception():
            raise copy(error)
        first = self._batch.sent.result()
        return first._replace(offset=first.offset + self._index)

    @property
    def sent(self) -> asyncio.Future[RecordMetadata]:
        """Done once the fate of the event's whole batch is known."""
        return self._batch.sent


async def settled(deliveries: Sequence[DeliveryFuture]) -> list[KafkaError | None]:
    """Wait until the result of each is known: the error of a failed event, or None where all replicas have
    the event.
    """
    sent = {delivery.sent for delivery in deliveries}
    if sent:
        await asyncio.wait(sent)
    errors = {future: _refusal(future) for future in sent}
    return [errors[delivery.sent] for delivery in deliveries]


async def delivered(deliveries: Sequence[DeliveryFuture]) -> list[RecordMetadata]:
    """Wait for all, and return where each was written.

    Raises the first KafkaError: the others may be stored.
    """
    for error in await settled(deliveries):
        if error is not None:
            raise copy(error)
    return [delivery.place() for delivery in deliveries]


def _refusal(future: asyncio.Future[RecordMetadata]) -> KafkaError | None:
    error = future.exception()
    if error is None or isinstance(error, KafkaError):
        return error
    raise error


class Batch:
    """Events of a partition sharing a result: `sent` is where the first of them was written, or why not."""

    __slots__ = ("builder", "bytes", "sent")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.bytes = 0
        self.sent: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        """None of them is known to be stored."""
        self.sent.set_exception(error)
        self.sent.exception()  # Looked at: nobody needs to wait for it.


class PartitionBatcher:
    """The batches of a partition, in sequence. `settled` is called with the bytes of each, when the batch's
    result is known.
    """

    def __init__(
        self, producer: AIOKafkaProducer, topic: str, partition: int, settled: Callable[[int], None]
    ) -> None:
        self._producer = producer
        self._place = topic, partition
        self._settled = settled
        self._open: Batch | None = None
        self._full: deque[Batch] = deque()
        self._work: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None

    def add(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        timestamp_ms: int | None,
    ) -> DeliveryFuture:
        """Write an event into the open batch."""
        stamp = int(time() * 1000) if timestamp_ms is None else timestamp_ms
        batch = self._open or self._begin()
        if batch.builder.append(timestamp=stamp, key=key, value=value, headers=headers) is None:
            self._full.append(batch)
            batch = self._begin()
            batch.builder.append(timestamp=stamp, key=key, value=value, headers=headers)
            self._start()
        batch.bytes += len(key or b"") + len(value or b"")
        return DeliveryFuture(batch, batch.builder.record_count() - 1)

    async def flush(self) -> None:
        """Send the gathered events; returns when their result is known."""
        self._start()
        if self._work is not None:
            await asyncio.wait({self._work})

    def close(self) -> None:
        """Give up unsent events."""
        if self._linger is not None:
            self._linger.cancel()
        if self._work is not None:
            self._work.cancel()
        while batch := self._next():
            batch.fail(KafkaConnectionError(_CLOSED))

    def _begin(self) -> Batch:
        self._open = Batch(self._producer.create_batch())
        if self._work is None and self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER, self._start)
        return self._open

    def _start(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._work is None and (self._full or self._open):
            self._work = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while batch := self._next():
                await self._send(batch)
        finally:
            self._work = None

    def _next(self) -> Batch | None:
        if self._full:
            return self._full.popleft()
        batch, self._open = self._open, None
        return batch

    async def _send(self, batch: Batch) -> None:
        topic, partition = self._place
        try:
            future = await self._producer.send_batch(batch.builder, topic, partition=partition)
            await asyncio.wait({future})
            batch.sent.set_result(future.result())
        except KafkaError as error:
            batch.fail(error)
        except AssertionError:
            batch.fail(UnknownTopicOrPartitionError(f"{topic} has no partition {partition}"))
        finally:
            if not batch.sent.done():
                batch.fail(KafkaConnectionError(_CLOSED))
            self._settled(batch.bytes)


__all__ = ["LINGER", "DeliveryFuture", "PartitionBatcher", "delivered", "settled"]
