"""Events per second into Kafka, and what each costs this process: our producer beside its peers.

    python benchmarks/produce.py [--events 200000] [--rounds 3] [--kafka HOST:PORT]

Same broker, same events (about 300 bytes, keys of 20,000 subjects), all acknowledged by all replicas,
idempotent; one way after another in one process, in turn in each round. `awaited` collects the fate of each
event. Needs confluent-kafka for its row.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from upshot.local.kafka import KafkaServer
from upshot.schemas.ids import fact_id
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import delivered, event_producer

TOPIC = "outcomes"
WINDOW = 5_000
Event = tuple[str, bytes]


class Cost(NamedTuple):
    """Events per second, and microseconds of this process's CPU per event."""

    rate: float
    cpu: float


def events_of(count: int) -> list[Event]:
    """Outcomes as people send them."""
    made = []
    for n in range(count):
        subject = f"pr:acme/web#{n % 20_000}"
        event = {
            "specversion": "1.0",
            "id": fact_id("outcome", str(n)),
            "source": "https://github.com/acme/web",
            "type": "pr.closed",
            "subject": subject,
            "time": "2026-01-01T00:00:00Z",
            "data": {"merged": n % 3 > 0, "by": "somebody", "labels": ["bug", "agent"]},
        }
        made.append((subject, json.dumps(event).encode()))
    return made


async def ours(settings: Settings, events: Sequence[Event]) -> None:
    """`EventProducer`, the fate of each event awaited."""
    async with event_producer(settings) as producer:
        for start in range(0, len(events), WINDOW):
            part = events[start : start + WINDOW]
            await delivered([await producer.send(TOPIC, value, key=key) for key, value in part])


async def ours_flushed(settings: Settings, events: Sequence[Event]) -> None:
    """`EventProducer`, flushed at the end."""
    async with event_producer(settings) as producer:
        for key, value in events:
            await producer.send(TOPIC, value, key=key)


async def plain_aiokafka(settings: Settings, events: Sequence[Event]) -> None:
    """`AIOKafkaProducer.send`, the fate of each event awaited."""
    topic = settings.topic(TOPIC)
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka_url,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=256 * 1024,
    ) as producer:
        for start in range(0, len(events), WINDOW):
            part = events[start : start + WINDOW]
            await asyncio.gather(
                *[await producer.send(topic, value, key=key.encode()) for key, value in part]
            )


async def confluent(settings: Settings, events: Sequence[Event]) -> None:
    """`confluent_kafka.Producer.produce`, each with a callback."""
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": settings.kafka_url,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    topic, acknowledged = settings.topic(TOPIC), 0

    def seen(error: Any, message: Any) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    for number, (key, value) in enumerate(events):
        producer.produce(topic, value, key=key.encode(), on_delivery=seen)
        if number % 1_000 == 0:
            producer.poll(0)
    producer.flush()
    if acknowledged != len(events):
        raise SystemExit(f"confluent-kafka: {acknowledged} of {len(events)} acknowledged")


Way = Callable[[Settings, Sequence[Event]], Awaitable[None]]
WAYS: dict[str, Way] = {
    "ours, awaited": ours,
    "ours, flushed": ours_flushed,
    "aiokafka, awaited": plain_aiokafka,
    "confluent-kafka": confluent,
}


async def measured(way: Way, settings: Settings, events: Sequence[Event]) -> Cost:
    """One way, once."""
    began, cpu = time.perf_counter(), time.process_time()
    await way(settings, events)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Cost(len(events) / seconds, cpu / len(events) * 1e6)


async def measure(settings: Settings, count: int, rounds: int) -> None:
    """All ways in turn, and the medians."""
    await ensure_topics(settings)
    events = events_of(count)
    costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            costs[name].append(await measured(way, settings, events))
    peer = median(cost.rate for cost in costs["aiokafka, awaited"])
    for name, found in costs.items():
        rate = median(cost.rate for cost in found)
        cpu = median(cost.cpu for cost in found)
        print(f"{name:20} {rate:>9,.0f}/s   CPU {cpu:5.1f} us per event   {rate / peer:.2f} of aiokafka")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kafka", help="an existing broker; otherwise one is started")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="upshot-produce-") as folder:
        server = None if options.kafka else KafkaServer(Path(folder))
        if server is not None:
            server.start()
            server.wait_ready(120)
        try:
            url = options.kafka or (server.bootstrap if server else "")
            asyncio.run(measure(Settings(kafka_url=url), options.events, options.rounds))
        finally:
            if server is not None:
                server.stop()


if __name__ == "__main__":
    main()
