"""Events per second from Kafka through the join and the store to rows in ClickHouse, and what each part
costs.

    python -m benchmarks.whole_path --runs 100000      (from the root of the repository)

Writes runs, waits and outcomes to Kafka while no worker runs, then starts one worker (both roles, a process
each) and waits until every event and every score is a row. `sustained` counts what wasn't stored yet when the
first rows were found, from then on: without the start. The CPU is that of each part from the first row on, by
Linux's /proc, per event that was written: the join writes a score for every third one besides, which the
store reads too. The peer, measured before it in the same run: one plain aiokafka consumer that reads the same
events and decodes their JSON, no more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer
from clickhouse_connect.driver.client import Client
from pydantic import SecretStr

from benchmarks.join.usage import cpu_seconds
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.producer import event_producer

TOPICS = ("runs", "waits", "outcomes")
RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
POLL = 0.1

Message = tuple[str, str, bytes]


class Parts(NamedTuple):
    """Kafka and ClickHouse, ready, and the folder of them all."""

    settings: Settings
    folder: Path
    pids: dict[str, int]


@contextmanager
def stack() -> Iterator[Parts]:
    """The real parts in a temporary folder, with topics and tables."""
    with tempfile.TemporaryDirectory(prefix="upshot-bench-") as name, ExitStack() as cleanup:
        folder = Path(name)
        kafka, clickhouse = KafkaServer(folder, report=print), ClickHouseServer(folder)
        for part in (kafka, clickhouse):
            part.start()
            cleanup.callback(part.stop)
            part.wait_ready(120)
        settings = Settings(
            kafka_url=kafka.bootstrap, clickhouse_url=SecretStr(clickhouse.url), data_dir=folder
        )
        asyncio.run(ensure_topics(settings))
        migrate(settings)
        yield Parts(settings, folder, {"Kafka": kafka.pid, "ClickHouse": clickhouse.pid})


@contextmanager
def worker(parts: Parts) -> Iterator[dict[str, int]]:
    """Both roles, a process each; the pids of all parts."""
    with ExitStack() as cleanup:
        pids = {}
        for role in ("correlate", "store"):
            part = ProcessPart(role, role_command(role), parts.folder, role_environment(parts.settings))
            part.start()
            cleanup.callback(part.stop)
            pids[role] = part.pid
        yield pids | parts.pids


def begun(number: int, now: str) -> list[Message]:
    """A run and its wait."""
    run_id, subject = f"run-{number}", f"pr:acme/web#{number}"
    run = {"run_id": run_id, "agent": "coder", "status": "completed", "started_at": now, "ended_at": now}
    wait = {"run_id": run_id, "name": "merged", "subject": subject, "opened_at": now, "rule": RULE}
    return [("runs", run_id, msgspec.json.encode(run)), ("waits", subject, msgspec.json.encode(wait))]


def closed(number: int) -> Message:
    """What happened next."""
    subject = f"pr:acme/web#{number}"
    event = {
        "id": str(number),
        "source": "git",
        "type": "pr.closed",
        "subject": subject,
        "data": {"merged": True},
    }
    return "outcomes", subject, msgspec.json.encode(event)


async def fill(settings: Settings, runs: int) -> None:
    """All events of so many runs."""
    now = datetime.now(UTC).isoformat()
    async with event_producer(settings) as producer:
        for number in range(runs):
            for topic, key, value in (*begun(number, now), closed(number)):
                await producer.send(topic, value, key=key)


async def _read(settings: Settings, events: int) -> float:
    topics = [settings.topic(topic) for topic in TOPICS]
    async with AIOKafkaConsumer(
        *topics, bootstrap_servers=settings.kafka_url, auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        began, read = time.perf_counter(), 0
        while read < events:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    msgspec.json.decode(record.value)
                read += len(records)
        return time.perf_counter() - began


class Drained(NamedTuple):
    """Events per second with and without the start, and CPU seconds of each part."""

    whole: float
    sustained: float
    cpu: dict[str, float]


def drain(parts: Parts, runs: int) -> Drained:
    """Let a new worker work through the events of so many runs."""
    client = connect(parts.settings)
    events = len(TOPICS) * runs
    began = time.perf_counter()
    with worker(parts) as pids:
        while not (stored := _stored(client)):
            time.sleep(POLL)
        first, before = time.perf_counter(), {name: cpu_seconds(pid) for name, pid in pids.items()}
        while _stored(client) < events or _rows(client, "raw_scores") < runs:
            time.sleep(POLL)
        ended = time.perf_counter()
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    shown = client.query("SELECT count(), sum(value) FROM current_scores").first_row
    client.close()
    if tuple(shown) != (runs, float(runs)):
        raise SystemExit(f"{shown} scores and successes are shown, {runs} of each expected")
    return Drained(events / (ended - began), (events - stored) / (ended - first), cpu)


def _stored(client: Client) -> int:
    """Events that are rows; scores apart."""
    return sum(_rows(client, f"raw_{topic}") for topic in TOPICS)


def _rows(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table}").first_row[0])


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50_000, help="runs; three events each (default 50,000)")
    arguments = parser.parse_args()
    events = len(TOPICS) * arguments.runs
    with stack() as parts:
        asyncio.run(fill(parts.settings, arguments.runs))
        peer = events / asyncio.run(_read(parts.settings, events))
        found = drain(parts, arguments.runs)
    print(f"{events} events, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"whole path {found.whole:,.0f}/s with its start, {found.sustained:,.0f}/s sustained")
    print(f"plain aiokafka, read and decode alone: {peer:,.0f}/s; ratio {found.sustained / peer:.2f}")
    shares = ", ".join(f"{name} {seconds / events * 1e6:.0f}" for name, seconds in found.cpu.items())
    print(f"CPU us per event: {shares}; together {sum(found.cpu.values()) / events * 1e6:.0f}")


if __name__ == "__main__":
    main()
