"""Scores written again, and scores of the past: no receiver may get a message.

    python -m benchmarks.alerts.replays [--scores 1000000] [--fresh 500]

Starts the real Kafka, the roles `alerts` and `notifications`, and a receiver over HTTP in this process. Fresh
bad scores are sent, and each must come once. Then as many bad scores as asked for are written: of the last
month, as a backfill does; every hundredth is one of the fresh scores again, as a replay does. Messages that
come from then on are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.alerts.kills import RULE, Fleet, Receiver
from benchmarks.broker import broker_with_topics
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.producer import EventProducer, delivered, event_producer

#: Events on their way at a time; seconds of quiet at the end.
WINDOW, QUIET = 5_000, 10.0
#: Seconds for the fresh scores, and without an alert more.
PATIENCE = 120.0


def score(name: str, at: datetime) -> bytes:
    """A bad score."""
    event = {"score_id": name, "run_id": name, "name": "merged", "value": False, "revision": 1}
    times = {"occurred_at": at.isoformat(), "decided_at": at.isoformat()}
    return json.dumps(event | {"reason": "outcome"} | times).encode()


async def write(producer: EventProducer, names: list[str], at: datetime) -> None:
    """Write these scores."""
    for start in range(0, len(names), WINDOW):
        part = names[start : start + WINDOW]
        await delivered([await producer.send("scores", score(name, at), key=name) for name in part])


async def alerts(settings: Settings) -> int:
    """The number of records in the topic of alerts."""
    topic = settings.topic("alerts")
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka_url) as consumer:
        cluster = await consumer._client.fetch_all_metadata()
        tps = [TopicPartition(topic, number) for number in cluster.partitions_for_topic(topic) or ()]
        return sum((await consumer.end_offsets(tps)).values())


async def judged(settings: Settings, wanted: int) -> int:
    """Wait until so many alerts are there, or no more come; how many there are."""
    found, since = 0, time.monotonic()
    while found < wanted and time.monotonic() - since < PATIENCE:
        await asyncio.sleep(1)
        if (now := await alerts(settings)) > found:
            found, since = now, time.monotonic()
    return found


async def trial(settings: Settings, kafka: KafkaServer, arguments: argparse.Namespace) -> int:
    """The whole run, printed; the number of messages too many, or missing."""
    receiver = Receiver()
    await receiver.start()
    now = datetime.now(UTC)
    rule = {"name": RULE, "kind": "score", "score": "merged", "equals": False, "cap": 2**31 - 1}
    rule |= {"notify": ["one"], "changed_at": now.isoformat()}
    fleet = Fleet(settings, kafka, {"one": receiver})
    fresh = [f"fresh{number}" for number in range(arguments.fresh)]
    names = [
        fresh[number // 100 % len(fresh)] if number % 100 == 0 else f"old{number}"
        for number in range(arguments.scores)
    ]
    async with event_producer(settings) as producer:
        await delivered([await producer.send("alert-rules", json.dumps(rule).encode(), key=RULE)])
        fleet.start()
        try:
            await write(producer, fresh, now)
            await receiver.has(len(fresh), PATIENCE)
            before, began = receiver.posts, time.monotonic()
            print(f"{len(fresh):,} fresh bad scores: {before:,} messages", flush=True)
            old = [name for name in names if name.startswith("old")]
            again = [name for name in names if not name.startswith("old")]
            await write(producer, old, now - timedelta(days=30))
            await write(producer, again, now)
            found = await judged(settings, len(fresh) + len(names))
            took = time.monotonic() - began
            await asyncio.sleep(QUIET)
        finally:
            await asyncio.to_thread(fleet.stop)
            await receiver.stop()
    missing = len(fresh) + len(names) - found
    print(
        f"{len(old):,} bad scores of the past and {len(again):,} repetitions in {took:.0f} s: "
        f"{receiver.posts - before:,} messages, {missing:,} alerts missing"
    )
    return receiver.posts - before + missing + abs(before - len(fresh))


def main() -> int:
    """Parse, run; 1 where a message came too often, or not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=int, default=1_000_000, help="scores replayed (default 1,000,000)")
    parser.add_argument("--fresh", type=int, default=500, help="fresh bad scores before (default 500)")
    arguments = parser.parse_args()
    with broker_with_topics() as (settings, kafka):
        return int(asyncio.run(trial(settings, kafka, arguments)) > 0)


if __name__ == "__main__":
    sys.exit(main())
