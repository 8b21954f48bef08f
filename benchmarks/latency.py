"""How long an outcome takes to become a score in Kafka, and a row in ClickHouse, under a steady load.

    python -m benchmarks.latency [--rate EVENTS_PER_SECOND] [--seconds 20]      (from the root of the repository)

Starts the real parts and one worker. Without `--rate` it first measures how much they sustain, and takes half of
that. Three events make a case: a run, its wait, and a second later the outcome. Time counts from handing the
outcome to the producer until a consumer has its score, and until a query finds its row (asked every 25 ms, of one
case in twenty). The first seconds don't count. Load, measuring and all parts share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from aiokafka import AIOKafkaConsumer

from benchmarks.whole_path import TOPICS, Parts, begun, closed, drain, fill, stack, worker
from upshot.processors.store.connection import connect
from upshot.settings import Settings
from upshot.streams.producer import event_producer

PROBE_RUNS = 50_000
WARM_UP = 3.0
TICK = 0.01
POLL = 0.025
#: Looking must not take both cores from what is looked at.
ONE_THREAD = {"max_threads": 1}
SAMPLED = 20
PATIENCE = 60.0

Times = dict[int, float]


async def send(settings: Settings, first: int, cases: int, rate: float, sent: Times) -> None:
    """Cases from `first` on at `rate` a second, each outcome a second after its wait."""
    async with event_producer(settings) as producer:
        began, opened, told = time.perf_counter(), 0, 0
        while told < cases:
            due = (time.perf_counter() - began) * rate
            now = datetime.now(UTC).isoformat()
            while opened < min(cases, due):
                for topic, key, value in begun(first + opened, now):
                    await producer.send(topic, value, key=key)
                opened += 1
            while told < min(cases, due - rate):
                topic, key, value = closed(first + told)
                sent[first + told] = time.perf_counter()
                await producer.send(topic, value, key=key)
                told += 1
            await asyncio.sleep(TICK)


async def read(consumer: AIOKafkaConsumer, first: int, cases: int, seen: Times) -> None:
    """Note when each score comes."""
    while len(seen) < cases:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            now = time.perf_counter()
            for record in records:
                number = int(msgspec.json.decode(record.value)["run_id"].removeprefix("run-"))
                if number >= first:
                    seen.setdefault(number, now)


async def query(settings: Settings, sampled: Sequence[int], sent: Times, seen: Times) -> None:
    """Note when a query finds each sampled score."""
    client = connect(settings)
    while len(seen) < len(sampled):
        waiting = [number for number in sampled if number in sent and number not in seen][:500]
        if waiting:
            listed = ", ".join(f"'run-{number}'" for number in waiting)
            sql = f"SELECT run_id FROM raw_scores WHERE run_id IN ({listed})"
            rows = (await asyncio.to_thread(client.query, sql, settings=ONE_THREAD)).result_rows
            now = time.perf_counter()
            seen.update((int(run_id.removeprefix("run-")), now) for (run_id,) in rows)
        await asyncio.sleep(POLL)
    client.close()


async def load(parts: Parts, first: int, rate: float, seconds: float) -> tuple[Times, Times, Times]:
    """When each outcome was sent, when its score came, and when its row was found."""
    cases = int(rate * seconds)
    sent, scored, stored = Times(), Times(), Times()
    async with AIOKafkaConsumer(
        parts.settings.topic("scores"), bootstrap_servers=parts.settings.kafka_url
    ) as consumer:
        await consumer.seek_to_end()
        # The first case tells when the worker works.
        await send(parts.settings, first, 1, 1.0, {})
        await asyncio.wait_for(read(consumer, first, 1, {}), PATIENCE)
        first += 1
        async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as tasks:
            tasks.create_task(send(parts.settings, first, cases, rate, sent))
            tasks.create_task(read(consumer, first, cases, scored))
            tasks.create_task(query(parts.settings, range(first, first + cases, SAMPLED), sent, stored))
    return sent, scored, stored


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
    with stack() as parts:
        rate, first = arguments.rate, 0
        if rate is None:
            asyncio.run(fill(parts.settings, PROBE_RUNS))
            most = drain(parts, PROBE_RUNS).sustained
            rate, first = most / 2, PROBE_RUNS
            print(f"sustained: {most:,.0f} events/s")
        with worker(parts):
            sent, scored, stored = asyncio.run(
                load(parts, first, rate / len(TOPICS), arguments.seconds + WARM_UP)
            )
    print(f"{rate:,.0f} events/s on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    show("outcome to score in Kafka", sent, scored)
    show("outcome to row in ClickHouse", sent, stored)


if __name__ == "__main__":
    main()
