"""Records as aiokafka fetches them, made in a single step each: aiokafka's own take two calls and eleven
fields.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from upshot.streams.kafka.fetch_by_id import Answered, Fetching

#: Seconds until a fetch is tried again that nobody has said where to begin for.
_NOT_YET = 0.02


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """A record of a topic, as required by `upshot.streams.events.records.Record`; the timestamp in
    milliseconds.

    A header with null for its value has an empty value here.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    #: Tells the topic from those of its name before it; see `upshot.streams.kafka.incarnations`.
    made: str = ""


class FastRecords(PartitionRecords):  # type: ignore[misc]
    """The records of a fetch. Offsets, checksums and aborted transactions are handled as before.

    The name of a header is any bytes: bytes invalid in UTF-8 are replaced, where aiokafka never gets past the
    header.
    """

    #: What the broker answered: the batches as they are on the wire.
    answered: bytes
    made: str = ""

    def __iter__(self) -> Any:
        """The iterator itself, not through `__next__`, which only clears the iterator in the end."""
        return self._records_iterator

    def read_again(self, answered: bytes, made: str = "") -> None:
        """Begin to read so, of the topic with the incarnation `made`. Nothing may have been read yet."""
        self.answered = answered
        self.made = made
        self._records_iterator = self._unpack_records()

    def _unpack_records(self) -> Iterator[Fetched]:
        try:
            yield from super()._unpack_records()
        except UnicodeDecodeError:
            self._records = _OddlyNamed(self.answered, self.next_fetch_offset)
            yield from super()._unpack_records()

    def _consumer_record(self, tp: Any, record: Any) -> Fetched:
        headers = record.headers
        return Fetched(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            tuple([(name, value or b"") for name, value in headers]) if headers else (),
            self.made,
        )


class _OddlyNamed(_MemoryRecordsPy):  # type: ignore[misc]
    """The batches from the batch with `offset` on, read slowly, with names of headers possibly invalid in
    UTF-8.
    """

    def __init__(self, batches: bytes, offset: int) -> None:
        super().__init__(batches)
        self._offset = offset

    def next_batch(self) -> Any:
        """See aiokafka's. Records before the offset were read already."""
        while True:
            found = self._next_slice
            self._cache_next()
            batch = _OddBatch(found)
            if batch.next_offset > self._offset:
                return batch


class _OddBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    """A batch of the only format with headers."""

    _buffer: bytearray

    def __iter__(self) -> Any:
        super().__iter__()
        self._buffer = _Replacing(self._buffer)
        return self


class _Replacing(bytearray):
    """Bytes whose parts are decoded whatever they hold."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Replacing(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        """As text, with U+FFFD for undecodable bytes."""
        return super().decode(encoding, "replace")


class _Client:
    """A fetcher's client keeping the broker's last answer at hand."""

    def __init__(self, client: Any, fetching: Fetching) -> None:
        self._client = client
        self._fetching = fetching
        self.answer: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: Any, request: Any, **options: Any) -> Any:
        """See AIOKafkaClient."""
        self.answer = None
        if not isinstance(request, FetchRequest):
            return await self._client.send(node, request, **options)
        asked = self._fetching.asked(request)
        if asked is None:
            await asyncio.sleep(_NOT_YET)
            return Answered(())
        answer = await self._client.send(node, asked, **options)
        self.answer = self._fetching.answered(asked, answer)
        return self.answer


def install_fast_records(
    fetcher: Any, fetching: Fetching | None = None, made: Callable[[str], str] = lambda topic: ""
) -> None:
    """Have all further data of `fetcher` be read so. For a consumer without deserializers.

    Without `fetching`, fetches go by names. `made` returns the incarnation of a fetched topic; called when an
    answer has come.
    """
    if fetching is None:
        fetching = Fetching()
        fetching.by_name = True
    process = fetcher._proc_fetch_request
    client = fetcher._client = _Client(fetcher._client, fetching)

    async def proc_fetch_request(*request: Any) -> Any:
        found = await process(*request)
        # What is fetched is in `_records` at once: no other answer came in between.
        for topic, partitions in client.answer.topics if found and client.answer else ():
            for number, *_, batches in partitions:
                result = fetcher._records.get(TopicPartition(topic, number))
                records: Any = getattr(result, "_partition_records", None)
                if type(records) is PartitionRecords:
                    records.__class__ = FastRecords
                    records.read_again(batches, made(topic))
        return found

    fetcher._proc_fetch_request = proc_fetch_request


__all__ = ["FastRecords", "Fetched", "install_fast_records"]
