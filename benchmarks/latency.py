"""How long an outcome takes to become a score in Kafka, and a row in ClickHouse, under a steady load.

    python -m benchmarks.latency [--rate EVENTS_PER_SECOND] [--seconds 20]

Starts the real parts and one worker. Without `--rate` it first measures how much they sustain, and takes half
of that, with parts started anew. Three events make a case: a run, its wait, and a second later the outcome.
Time counts from handing the outcome to the producer until a consumer has its score, and until a query finds
its row (asked ten times a second, of one case in twenty). The first twenty seconds don't count: the broker's
Java compiles itself meanwhile. Load, measuring and all parts share the machine; so that they take little of
it, the load and the consumer are librdkafka's (confluent-kafka), and a query has one thread.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event, Timer

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from benchmarks.join.usage import cpu_seconds
from benchmarks.whole_path import TOPICS, Message, Parts, begun, closed, drain, fill, stack, worker
from upshot.processors.store.connection import connect
from upshot.settings import Settings

PROBE_RUNS = 100_000
WARM_UP = 20.0
TICK = 0.005
POLL = 0.1
SAMPLED = 20
PATIENCE = 60.0
#: Looking must not take both cores from what is looked at.
ONE_THREAD = {"max_threads": 1}
PREFIX = b'"run_id":"run-'
OURSELVES = "load and measuring"

Times = dict[int, float]
Cpu = dict[str, float]


class Load:
    """Cases from `first` on, `rate` a second, each outcome a second after its wait.

    Everything runs in threads.
    """

    def __init__(self, settings: Settings, first: int, cases: int, rate: float) -> None:
        self._settings, self._rate = settings, rate
        self._cases = range(first, first + cases)
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka_url,
                "linger.ms": 10,
                "log_level": 0,
                "acks": "all",
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._over = Event()
        self.sent, self.scored, self.stored = Times(), Times(), Times()

    def run(self) -> None:
        """Until everything was seen. Raises TimeoutError where something is missing."""
        consumer = self._tail()
        give_up = len(self._cases) / self._rate + PATIENCE
        with ThreadPoolExecutor() as threads:
            tasks = [
                threads.submit(self._read, consumer),
                threads.submit(self._query),
                threads.submit(self._send),
            ]
            try:
                for task in tasks:
                    task.result(give_up)
            finally:
                self._over.set()

    def _send(self) -> None:
        began, opened, told = time.perf_counter(), 0, 0
        while told < len(self._cases) and not self._over.is_set():
            due = (time.perf_counter() - began) * self._rate
            now = datetime.now(UTC).isoformat()
            while opened < min(len(self._cases), due):
                for message in begun(self._cases[opened], now):
                    self._produce(message)
                opened += 1
            while told < min(len(self._cases), due - self._rate):
                case = self._cases[told]
                message = closed(case)
                self.sent[case] = time.perf_counter()
                self._produce(message)
                told += 1
            self._producer.poll(0)
            time.sleep(TICK)
        self._producer.flush()

    def _produce(self, message: Message) -> None:
        topic, key, value = message
        self._producer.produce(self._settings.topic(topic), value, key)

    def _tail(self) -> Consumer:
        """A consumer at the end of the scores."""
        topic = self._settings.topic("scores")
        consumer = Consumer(
            {"bootstrap.servers": self._settings.kafka_url, "group.id": "tail", "log_level": 0}
        )
        places = []
        for number in range(self._settings.partitions):
            places.append(TopicPartition(topic, number, _end(consumer, TopicPartition(topic, number))))
        consumer.assign(places)
        return consumer

    def _read(self, consumer: Consumer) -> None:
        """Note when each score comes."""
        while len(self.scored) < len(self._cases) and not self._over.is_set():
            messages = consumer.consume(1000, 0.005)
            now = time.perf_counter()
            for message in messages:
                self.scored.setdefault(_case_of(message.value()), now)
        consumer.close()

    def _query(self) -> None:
        """Note when a query finds each sampled score."""
        client = connect(self._settings)
        sampled = self._cases[::SAMPLED]
        while len(self.stored) < len(sampled) and not self._over.is_set():
            waiting = [case for case in sampled if case in self.sent and case not in self.stored][:500]
            if waiting:
                listed = ", ".join(f"'run-{case}'" for case in waiting)
                sql = f"SELECT run_id FROM raw_scores WHERE run_id IN ({listed})"
                rows = client.query(sql, settings=ONE_THREAD).result_rows
                now = time.perf_counter()
                self.stored.update((int(run_id.removeprefix("run-")), now) for (run_id,) in rows)
            time.sleep(POLL)
        client.close()


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """Where a partition ends; one that was just created has no leader for a moment."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            _, end = consumer.get_watermark_offsets(place, timeout=PATIENCE)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > give_up:
                raise
            time.sleep(POLL)
        else:
            return int(end)


def _case_of(score: bytes) -> int:
    start = score.index(PREFIX) + len(PREFIX)
    return int(score[start : score.index(b'"', start)])


def sustained() -> float:
    """Events a second that a worker drains from a backlog."""
    with stack() as parts:
        asyncio.run(fill(parts.settings, PROBE_RUNS))
        most = drain(parts, PROBE_RUNS).sustained
    print(f"sustained: {most:,.0f} events/s")
    return most


def load(parts: Parts, rate: float, seconds: float, pids: dict[str, int]) -> tuple[Load, Cpu]:
    """What happened under a load of `rate` cases a second, once the worker works.

    And the share of a core that each of `pids` took meanwhile, without the first seconds.
    """
    Load(parts.settings, 0, 1, 1.0).run()
    measured = Load(parts.settings, 1, int(rate * seconds), rate)
    before: Cpu = {}
    began = Timer(WARM_UP, lambda: before.update({name: cpu_seconds(pid) for name, pid in pids.items()}))
    began.start()
    measured.run()
    spent = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    # The parts are this process's own children.
    spent[OURSELVES] -= sum(cpu for name, cpu in spent.items() if name != OURSELVES)
    return measured, {name: cpu / (seconds - WARM_UP) for name, cpu in spent.items()}


def show(title: str, sent: Times, seen: Times) -> None:
    """The distribution of what was sent after the first seconds."""
    start = min(sent.values()) + WARM_UP
    found = sorted(1000 * (at - sent[number]) for number, at in seen.items() if sent[number] >= start)
    p50, p99, p999 = (found[min(len(found) - 1, int(len(found) * q))] for q in (0.5, 0.99, 0.999))
    print(f"{title:28} p50 {p50:6.0f} ms   p99 {p99:6.0f} ms   p99.9 {p999:6.0f} ms   ({len(found):,} cases)")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, help="events a second; half of what is sustained where absent")
    parser.add_argument("--seconds", type=float, default=20.0, help="of load that count (default 20)")
    arguments = parser.parse_args()
    rate = arguments.rate or sustained() / 2
    with stack() as parts, worker(parts) as pids:
        whole = arguments.seconds + WARM_UP
        measured, cores = load(parts, rate / len(TOPICS), whole, {**pids, OURSELVES: os.getpid()})
    print(f"{rate:,.0f} events/s on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("cores in use: " + ", ".join(f"{name} {share:.2f}" for name, share in cores.items()))
    show("outcome to score in Kafka", measured.sent, measured.scored)
    show("outcome to row in ClickHouse", measured.sent, measured.stored)


if __name__ == "__main__":
    main()
