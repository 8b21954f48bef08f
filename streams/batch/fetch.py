"""Records as aiokafka fetches them, made in one step each: its own take two calls and eleven fields."""

from __future__ import annotations

from typing import Any

import msgspec
from aiokafka.consumer.fetcher import PartitionRecords


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """A record of a topic, as `upshot.streams.codec.Record` asks for it; the timestamp in milliseconds.

    A header that has null for its value has an empty one here.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class QuickRecords(PartitionRecords):  # type: ignore[misc]
    """The records of one fetch. Offsets, checksums and aborted transactions are seen to as before."""

    def __iter__(self) -> Any:
        """The iterator itself, not through `__next__`, which only clears it in the end."""
        return self._records_iterator

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
        )


def hasten(fetcher: Any) -> None:
    """Have what `fetcher` brings from now on be read so. For a consumer without deserializers."""
    process = fetcher._proc_fetch_request

    async def proc_fetch_request(*request: Any) -> Any:
        found = await process(*request)
        for result in fetcher._records.values():
            records = getattr(result, "_partition_records", None)
            if type(records) is PartitionRecords:
                records.__class__ = QuickRecords
        return found

    fetcher._proc_fetch_request = proc_fetch_request


__all__ = ["Fetched", "hasten"]
