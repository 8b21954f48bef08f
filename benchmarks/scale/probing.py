"""How long things take from outside: sent to Kafka by a client, seen in Kafka by another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, Producer, TopicPartition

from upshot.streams.kafka.partitioner import partition_for


class Tail:
    """The records written to a topic from now on: when each key was seen, how many values hold `counting`."""

    def __init__(self, url: str, topic: str, partitions: int, counting: bytes = b"\0never\0") -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": url, "group.id": "tail", "fetch.wait.max.ms": 5, "log_level": 0}
        )
        places = []
        for number in range(partitions):
            _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
            places.append(TopicPartition(topic, number, end))
        self._consumer.assign(places)
        self._counting = counting
        self.seen: dict[bytes, float] = {}
        self.counted = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._ended.is_set():
            for message in self._consumer.consume(1000, 0.02):
                if message.error() is None:
                    if self._counting in message.value():
                        self.counted += 1
                    else:
                        self.seen.setdefault(message.key(), time.monotonic())


class Steady:
    """Sends events at a steady rate, and notes the time of each."""

    def __init__(self, url: str, topic: str, partitions: int) -> None:
        self._producer = Producer({"bootstrap.servers": url, "linger.ms": 0, "acks": "all"})
        self._topic, self._partitions = topic, partitions
        self.sent: dict[bytes, float] = {}

    def send(self, numbers: range, rate: float, event: Callable[[int], tuple[bytes, bytes, bytes]]) -> None:
        """`event` gives for a number the identity of the answer, the record's key and its value."""
        began = time.monotonic()
        for index, number in enumerate(numbers):
            name, key, value = event(number)
            time.sleep(max(0.0, began + index / rate - time.monotonic()))
            self.sent[name] = time.monotonic()
            self._producer.produce(self._topic, value, key, partition_for(key, self._partitions))
            self._producer.poll(0)
        self._producer.flush()


def latencies(sent: dict[bytes, float], tail: Tail, patience: float = 120.0) -> list[float]:
    """Seconds of each, sorted. Raises SystemExit for a missing answer."""
    give_up = time.monotonic() + patience
    while missing := sent.keys() - tail.seen.keys():
        if time.monotonic() > give_up:
            raise SystemExit(f"{len(missing)} of {len(sent)} answers never came")
        time.sleep(0.05)
    return sorted(tail.seen[name] - at for name, at in sent.items())


def told(values: list[float]) -> str:
    """Median and 99th percentile in milliseconds, with the largest."""
    p50, p99 = values[len(values) // 2], values[int(len(values) * 0.99)]
    return (
        f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, max {values[-1] * 1000:.0f} ms (n = "
        f"{len(values)})"
    )


__all__ = ["Steady", "Tail", "latencies", "told"]
