"""Follow-ups per second, from the deferral through a wait to the score, and what each costs.

    python -m benchmarks.followups --followups 20000      (from the root of the repository)

Writes deferrals, and the events that answer their waits, to Kafka while no worker runs. Then the roles
correlate and followups start, a process each, and work until each follow-up has its score: its code runs, its
wait goes to the join and the answer comes back, its code runs again. `sustained` is without the start: from
the first status that was written to the last score. The CPU is that of each part in that time, by Linux's
/proc, per follow-up.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, TopicPartition

from benchmarks.broker import broker_with_topics
from benchmarks.join.usage import cpu_seconds
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.settings import Settings
from upshot.streams.kafka.producer import event_producer

APP = "benchmarks.followups_app:app"
POLL = 0.1


async def fill(settings: Settings, followups: int) -> None:
    """Deferrals of a while ago, and the events that happened since."""
    deferred = datetime.now(UTC) - timedelta(hours=1)
    at, then = deferred.isoformat(), (deferred + timedelta(minutes=5)).isoformat()
    async with event_producer(settings) as producer:
        for number in range(followups):
            key, subject = f"f{number}", f"ticket:{number}"
            deferral = {
                "followup_id": key,
                "run_id": f"run-{number}",
                "scorer": "stayed_closed",
                "data": number,
                "deferred_at": at,
                "agent": "support",
            }
            event = {
                "id": str(number),
                "source": "desk",
                "type": "ticket.reopened",
                "subject": subject,
                "time": then,
                "data": {"by": "customer"},
            }
            await producer.send("deferrals", msgspec.json.encode(deferral), key=key)
            await producer.send("outcomes", msgspec.json.encode(event), key=subject)


@contextmanager
def workers(settings: Settings, folder: Path) -> Iterator[dict[str, int]]:
    """The join and the follow-ups; their process ids."""
    with ExitStack() as cleanup:
        pids = {}
        for role, app in (("correlate", None), ("followups", APP)):
            part = ProcessPart(role, role_command(role, app), folder, role_environment(settings))
            part.start()
            cleanup.callback(part.stop)
            pids[role] = part.pid
        yield pids


def written(consumer: Consumer, settings: Settings, topic: str) -> int:
    """Records of a topic so far."""
    name = settings.topic(topic)
    parts = (TopicPartition(name, number) for number in range(settings.partitions))
    return sum(consumer.get_watermark_offsets(part, timeout=10)[1] for part in parts)


def measure(settings: Settings, folder: Path, kafka: int, followups: int) -> None:
    """Work them all off, and print what it took."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_url, "group.id": "bench", "log_level": 0})
    began = time.perf_counter()
    with workers(settings, folder) as pids:
        pids["Kafka"] = kafka
        while not written(consumer, settings, "followups"):
            time.sleep(POLL)
        first, before = time.perf_counter(), {name: cpu_seconds(pid) for name, pid in pids.items()}
        while (scored := written(consumer, settings, "scores")) < followups:
            time.sleep(POLL)
        ended = time.perf_counter()
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        told = written(consumer, settings, "followups")
    consumer.close()
    print(f"{followups} follow-ups with a wait each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(
        f"{followups / (ended - began):,.0f}/s with the start, {followups / (ended - first):,.0f}/s sustained"
    )
    shares = ", ".join(f"{name} {seconds / followups * 1e6:,.0f}" for name, seconds in cpu.items())
    print(f"CPU us per follow-up: {shares}; together {sum(cpu.values()) / followups * 1e6:,.0f}")
    print(f"{scored} scores and {told} changes of status were written")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--followups", type=int, default=20_000, metavar="N", help="how many (default 20,000)"
    )
    arguments = parser.parse_args()
    with broker_with_topics() as (settings, kafka):
        asyncio.run(fill(settings, arguments.followups))
        measure(settings, settings.data_dir, kafka.pid, arguments.followups)


if __name__ == "__main__":
    main()
