"""Makes `state.tar.xz`: what a version leaves in topics, on disk and in ClickHouse while its work goes on.

Run with the interpreter and from the root of a checkout of that version (7db1d5b for the file in place):

    PYTHONPATH=. .venv/bin/python …/tests/contract/version_before/make.py …/tests/contract/version_before

Credentials aren't part of it.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings

PREFIX = "before."
ROLES = ("correlate", "store", "followups")
NOW = datetime.now(UTC)
TABLES = (
    "runs",
    "steps",
    "outcomes",
    "exposures",
    "waits",
    "scores",
    "deferrals",
    "followups",
    "dead_letters",
)
LONG = "P3600D"
BINARY = {"pr.closed": {"score": "data.merged"}}


def wait(run_id: str, subject: str, name: str = "merged", **rule: Any) -> tuple[str, str, dict[str, Any]]:
    """A wait opened now."""
    rule = {"on": BINARY, "within": LONG, **rule}
    event = {
        "run_id": run_id,
        "name": name,
        "subject": subject,
        "rule": rule,
        "opened_at": NOW.isoformat(),
    }
    return "waits", subject, event


def outcome(
    subject: str, ident: str, type: str = "pr.closed", **data: Any
) -> tuple[str, str, dict[str, Any]]:
    """An outcome of now."""
    event = {"type": type, "subject": subject, "id": ident, "source": "before", "data": data}
    return "outcomes", subject, event | {"time": (NOW + timedelta(seconds=5)).isoformat()}


def story() -> list[tuple[str, str, dict[str, Any]]]:
    """Decided, pending, counting and expiring waits, a crowded subject, an outcome of 0.4 MB less."""
    runs = [
        (
            "runs",
            f"r{n}",
            {"run_id": f"r{n}", "agent": "coder", "status": "completed", "started_at": NOW.isoformat()},
        )
        for n in range(1, 8)
    ]
    count = {"on": {"thumb.up": {"score": 1}}, "mode": "count", "else": 0}
    crowd = [wait(f"c{n:03}", "pr:crowded") for n in range(200)]
    return [
        *runs,
        wait("r1", "pr:decided"),
        outcome("pr:decided", "d1", merged=True),
        wait("r2", "pr:pending"),
        wait("r3", "pr:counted", "thumbs", **count),
        outcome("pr:counted", "t1", "thumb.up"),
        outcome("pr:counted", "t2", "thumb.up"),
        wait("r4", "pr:last", mode="last"),
        outcome("pr:last", "l1", merged=False),
        wait("r5", "pr:expiring", within="PT3M", **{"else": False}),
        outcome("pr:early", "e1", merged=True),
        *crowd,
        ("scores", "r1", {"run_id": "r1", "name": "helpful", "value": 0.5, "decided_at": NOW.isoformat()}),
    ]


@asynccontextmanager
async def opened(client: Any) -> AsyncIterator[Any]:
    """A client, closed also where its start fails: the version has no function for it yet."""
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


async def send(url: str) -> None:
    """All of the story, and a deferral; then a record that nobody can read."""
    async with opened(AIOKafkaProducer(bootstrap_servers=url)) as producer:
        for topic, key, event in story():
            await producer.send_and_wait(PREFIX + topic, json.dumps(event).encode(), key=key.encode())
        deferral = {
            "followup_id": "f1", "run_id": "r6", "scorer": "stayed_closed", "data": "7", "agent": "support",
            "deferred_at": NOW.isoformat(), "since": NOW.isoformat(),
        }  # fmt: skip
        await producer.send_and_wait(PREFIX + "deferrals", json.dumps(deferral).encode(), key=b"f1")
        await producer.send_and_wait(PREFIX + "outcomes", b"no json", key=b"pr:broken")


def spool(data_dir: Path) -> None:
    """A fact that Kafka didn't take before its process ended."""
    code = (
        "import support\nsupport.app.score(run_id='r7', name='spooled', value=0.25)\nsupport.app.close(0.1)\n"
    )
    environment = {
        "UPSHOT_KAFKA_URL": "127.0.0.1:1",
        "UPSHOT_DATA_DIR": str(data_dir),
        "UPSHOT_TOPIC_PREFIX": PREFIX,
    }
    subprocess.run([sys.executable, "-c", code], env=os.environ | environment | app_path(), check=True)


def app_path() -> dict[str, str]:
    """Where the app is found, and this version."""
    return {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.getcwd()])}


async def dump(url: str, into: Path) -> None:
    """Every record and every group's offsets, as JSON lines."""
    admin = AIOKafkaAdminClient(bootstrap_servers=url)
    try:
        await admin.start()
        topics = sorted(name for name in await admin.list_topics() if name.startswith("before"))
        described = {
            topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(topics)
        }
        with (into / "records.jsonl").open("w") as lines:
            for topic in topics:
                for number in range(described[topic]):
                    for record in await read(url, TopicPartition(topic, number)):
                        lines.write(json.dumps(record) + "\n")
        with (into / "offsets.jsonl").open("w") as lines:
            for role in ROLES:
                group = f"before-{role}"
                for tp, at in (await admin.list_consumer_group_offsets(group)).items():
                    lines.write(json.dumps([group, tp.topic, tp.partition, at.offset, at.metadata]) + "\n")
        (into / "topics.json").write_text(json.dumps(described))
    finally:
        await admin.close()


async def read(url: str, tp: TopicPartition) -> list[list[Any]]:
    """All records of a partition."""
    found: list[list[Any]] = []
    reader = AIOKafkaConsumer(bootstrap_servers=url, enable_auto_commit=False, auto_offset_reset="earliest")
    async with opened(reader) as consumer:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        while len(found) < end:
            for record in (await consumer.getmany(tp, timeout_ms=1000)).get(tp, []):
                assert record.offset == len(found), "no gap may be in what is sent again"
                headers = [[name, _text(value)] for name, value in record.headers]
                texts = [_text(record.key), _text(record.value)]
                found.append([tp.topic, tp.partition, record.offset, record.timestamp, *texts, headers])
    return found


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def rows(url: str, sql: str) -> bytes:
    """The answer of ClickHouse."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    request = urllib.request.Request(f"http://{parts.hostname}:{parts.port}/", data=sql.encode())
    login = f"{parts.username or 'default'}:{parts.password or ''}".encode()
    request.add_header("Authorization", "Basic " + base64.b64encode(login).decode())
    request.add_header("X-ClickHouse-Database", parts.path.strip("/") or "default")
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def main(folder: Path) -> None:
    """See above."""
    with tempfile.TemporaryDirectory() as made:
        data_dir, into = Path(made) / "data", Path(made) / "state"
        into.mkdir()
        kafka, clickhouse = KafkaServer(Path(made) / "stack", 0), ClickHouseServer(Path(made) / "stack", 0)
        children: list[subprocess.Popen[bytes]] = []
        for part in (kafka, clickhouse):
            part.start()
            part.wait_ready(180)
        try:
            settings = Settings(kafka_url=kafka.bootstrap, clickhouse_url=SecretStr(clickhouse.url))
            environment = {
                "UPSHOT_KAFKA_URL": kafka.bootstrap,
                "UPSHOT_CLICKHOUSE_URL": settings.clickhouse_url.get_secret_value(),
                "UPSHOT_DATA_DIR": str(data_dir),
                "UPSHOT_TOPIC_PREFIX": PREFIX,
                "UPSHOT_PARTITIONS": "2",
                **app_path(),
            }
            for role in ROLES:
                app = ["--app", "support:app"] if role == "followups" else []
                command = [sys.executable, "-m", "upshot.cli", "worker", "--role", role, *app]
                children.append(subprocess.Popen(command, env=os.environ | environment))
            time.sleep(20)
            asyncio.run(send(kafka.bootstrap))
            spool(data_dir)
            time.sleep(20)
            for child in children:
                child.send_signal(signal.SIGTERM)
            assert not any([child.wait(60) for child in children]), "a role failed"
            asyncio.run(dump(kafka.bootstrap, into))
            for table in TABLES:
                (into / f"raw_{table}.native").write_bytes(
                    rows(clickhouse.url, f"SELECT * FROM raw_{table} FORMAT Native")
                )
        finally:
            for child in children:
                child.kill()
            clickhouse.stop()
            kafka.stop()
        with tarfile.open(folder / "state.tar.xz", "w:xz") as tar:
            for path in sorted(into.iterdir()):
                tar.addfile(info(path.name, path.stat().st_size), io.BytesIO(path.read_bytes()))
            for path in sorted(p for p in data_dir.rglob("*") if p.is_file()):
                name = f"data/{path.relative_to(data_dir)}"
                if path.relative_to(data_dir).parts[0] in ("tables", "spool") and path.name != "LOG":
                    tar.addfile(info(name, path.stat().st_size), io.BytesIO(path.read_bytes()))


def info(name: str, size: int) -> tarfile.TarInfo:
    """An entry of the archive, without the maker's name and time."""
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
