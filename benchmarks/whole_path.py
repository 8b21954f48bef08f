"""Events per second from Kafka through the join and the store to rows in ClickHouse, on this machine.

    python benchmarks/whole_path.py --runs 50000

Writes runs, waits and outcomes to Kafka while no worker runs, then starts one worker (both roles) and waits
until every score is a row. The peer, measured before it in the same run: one plain aiokafka consumer that
reads the same events and decodes their JSON, no more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import clickhouse_connect
import msgspec
from aiokafka import AIOKafkaConsumer
from pydantic import SecretStr

from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.admin import ensure_topics
from upshot.streams.producer import event_producer

TOPICS = ("runs", "waits", "outcomes")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50_000, help="runs; three events each (default 50,000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="upshot-whole-path-") as folder, ExitStack() as cleanup:
        settings = _stack(Path(folder), cleanup)
        asyncio.run(_fill(settings, arguments.runs))
        events = len(TOPICS) * arguments.runs
        peer = events / asyncio.run(_read(settings, events))
        ours = events / _process(settings, Path(folder), arguments.runs, cleanup)
    print(f"{events} events: whole path {ours:,.0f}/s, plain aiokafka read and decode {peer:,.0f}/s")
    print(f"ratio {ours / peer:.2f}")


def _stack(folder: Path, cleanup: ExitStack) -> Settings:
    kafka, clickhouse = KafkaServer(folder, report=print), ClickHouseServer(folder)
    for part in (kafka, clickhouse):
        part.start()
        cleanup.callback(part.stop)
        part.wait_ready(120)
    settings = Settings(kafka_url=kafka.bootstrap, clickhouse_url=SecretStr(clickhouse.url), data_dir=folder)
    asyncio.run(ensure_topics(settings))
    migrate(settings)
    return settings


async def _fill(settings: Settings, runs: int) -> None:
    now = datetime.now(UTC).isoformat()
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
    async with event_producer(settings) as producer:
        for n in range(runs):
            run_id, subject = f"run-{n}", f"pr:acme/web#{n}"
            run = {
                "run_id": run_id,
                "agent": "coder",
                "status": "completed",
                "started_at": now,
                "ended_at": now,
            }
            wait = {"run_id": run_id, "name": "merged", "subject": subject, "opened_at": now, "rule": rule}
            outcome = {
                "id": str(n),
                "source": "git",
                "type": "pr.closed",
                "subject": subject,
                "data": {"merged": True},
            }
            for topic, key, event in zip(
                TOPICS, (run_id, subject, subject), (run, wait, outcome), strict=True
            ):
                await producer.send(topic, json.dumps(event).encode(), key=key)
        await producer.flush()


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


def _process(settings: Settings, folder: Path, runs: int, cleanup: ExitStack) -> float:
    client = clickhouse_connect.get_client(dsn=settings.clickhouse_url.get_secret_value())
    cleanup.callback(client.close)
    began = time.perf_counter()
    for role in ("correlate", "store"):
        part = ProcessPart(role, role_command(role), folder, role_environment(settings))
        part.start()
        cleanup.callback(part.stop)
    _until(lambda: _rows(client, "scores") >= runs and _rows(client, "runs") >= runs)
    return time.perf_counter() - began


def _rows(client: clickhouse_connect.driver.Client, view: str) -> int:
    return int(client.query(f"SELECT count() FROM {view}").first_row[0])


def _until(done: Callable[[], bool]) -> None:
    while not done():
        time.sleep(0.2)


if __name__ == "__main__":
    main()
