"""Writing many records fast; the figures are about who reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from confluent_kafka import Producer

from upshot.streams.kafka.partitioner import partitions_for

_CHUNK = 20_000


def fill(url: str, topic: str, partitions: int, records: Iterator[tuple[bytes, bytes]]) -> int:
    """Write keys and values to their keys' partitions; returns how many once all are acknowledged."""
    options = {
        "bootstrap.servers": url,
        "linger.ms": 20,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": 200_000,
        "message.timeout.ms": 300_000,
        "acks": "all",
    }
    producer, failures, count = Producer(options), [], 0

    def noted(error: object, _: object) -> None:
        if error is not None:
            failures.append(error)

    for chunk in _chunks(records):
        keys = [key for key, _ in chunk]
        for (key, value), partition in zip(chunk, partitions_for(keys, partitions), strict=True):
            while True:
                try:
                    producer.produce(topic, value, key, partition, on_delivery=noted)
                except BufferError:
                    producer.poll(0.05)
                else:
                    break
        producer.poll(0)
        count += len(chunk)
    producer.flush()
    if failures:
        raise SystemExit(f"{len(failures)} records of {topic} were not taken: {failures[0]}")
    return count


def _chunks(records: Iterator[tuple[bytes, bytes]]) -> Iterator[Sequence[tuple[bytes, bytes]]]:
    chunk = []
    for record in records:
        chunk.append(record)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


__all__ = ["fill"]
