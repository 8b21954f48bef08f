"""Processes that end, die and fork: what they had said arrives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.parts import running
from upshot import App
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.testing import capture

PATIENCE = 60.0
"""Seconds until what must happen counts as never happening."""

TO_A_FILE = """
import os, sys, upshot
from upshot.sdk.transport import ACKNOWLEDGED
from upshot.settings import Settings
from pathlib import Path

class ToAFile:
    async def start(self): ...
    async def stop(self): ...
    async def send(self, messages):
        file = os.open("taken.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, b"".join(message.value + b"\\n" for message in messages))
        os.close(file)
        return [ACKNOWLEDGED] * len(messages)

app = upshot.App("support", settings=Settings(data_dir=Path("data")), transport=ToAFile)
"""
AWAY = """
import os, signal, sys, upshot
from upshot.settings import Settings
from pathlib import Path
app = upshot.App("support", settings=Settings(data_dir=Path("data"), kafka_url="127.0.0.1:1"))
"""


def run(
    code: str, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=folder,
        env={**os.environ, **(environment or {})},
    )


def left_in(folder: Path) -> list[float]:
    """The scores that the next process sends."""
    app = App("next", settings=Settings(data_dir=folder / "data"))
    spool = app.delivery
    with capture(app) as sent:
        app.delivery = spool.__class__(lambda: sent.transport, spool._spool)
        app.delivery.resume()
        assert app.flush(PATIENCE)
        app.delivery.close(PATIENCE)
    return [json.loads(message.value)["value"] for message in sent.transport.messages]


def test_the_end_of_a_process_delivers(tmp_path: Path) -> None:
    ran = run(TO_A_FILE + 'app.score("r1", "helpful", 1.0)', tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [json.loads(line)["value"] for line in (tmp_path / "taken.jsonl").read_text().splitlines()] == [
        1.0
    ]
    assert list((tmp_path / "data" / "spool").iterdir()) == []


def test_a_process_without_kafka_ends_and_leaves_its_facts(tmp_path: Path) -> None:
    ran = run(AWAY + 'app.score("r1", "helpful", 1.0)', tmp_path)
    assert ran.returncode == 0
    assert "facts that Kafka doesn't have: 1, in" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert left_in(tmp_path) == [1.0]
    assert left_in(tmp_path) == []


def test_a_killed_process_loses_no_fact_that_it_was_told_is_safe(tmp_path: Path) -> None:
    code = (
        AWAY
        + """
for number in range(100_000):
    app.score("r1", "helpful", float(number))
    print(number, flush=True)
"""
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        text=True,
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    kept = left_in(tmp_path)
    safe = len([line for line in said if line.endswith("\n")])
    assert kept[:safe] == [float(number) for number in range(safe)]
    assert len(kept) - safe in (0, 1)


def test_many_kills_lose_nothing(tmp_path: Path) -> None:
    """Each process sends what the one before left, and is killed while it sends."""
    said: list[float] = []
    for number in range(10):
        code = f"""{TO_A_FILE}
import itertools
for number in itertools.count({number} * 1_000_000):
    app.score("r1", "helpful", float(number))
    print(number, flush=True)
"""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
            text=True,
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(50 * (number + 1))]
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        process.stdout.close()
        said += [float(line) for line in lines if line.endswith("\n")]
    ran = run(TO_A_FILE + "app.delivery.resume(); assert app.flush(60)", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    taken = {json.loads(line)["value"] for line in (tmp_path / "taken.jsonl").read_text().splitlines()}
    assert set(said) <= taken
    assert len(taken) - len(said) <= 10
    assert list((tmp_path / "data" / "spool").glob("*.db")) == []


def test_a_fork_begins_anew(tmp_path: Path) -> None:
    code = (
        TO_A_FILE
        + """
app.score("parent", "before", 1)
assert app.flush(60)
app.score("parent", "waiting at the fork", 1)
child = os.fork()
with app.run("helper", run_id="child" if child == 0 else "parent") as run, run.step("draft"):
    run.score("after", True)
assert app.flush(60)
assert app.delivered.facts == (2 if child == 0 else 4), app.delivered
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    )
    ran = run(code, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    events = [json.loads(line) for line in (tmp_path / "taken.jsonl").read_text().splitlines()]
    told = sorted((event["run_id"], event["name"]) for event in events if "name" in event)
    assert told == [
        ("child", "after"),
        ("child", "draft"),
        ("parent", "after"),
        ("parent", "before"),
        ("parent", "draft"),
        ("parent", "waiting at the fork"),
    ]
    assert list((tmp_path / "data" / "spool").iterdir()) == []


@pytest.fixture
async def settings(kafka: KafkaServer) -> Settings:
    return await prepared(kafka)


async def prepared(kafka: KafkaServer) -> Settings:
    settings = Settings(kafka_url=kafka.bootstrap, topic_prefix=f"t{uuid4().hex[:8]}.", partitions=1)
    while await ensure_topics(settings):
        """Until every answer knows them."""
    return settings


async def values(settings: Settings) -> list[float]:
    """The scores that Kafka has."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_url, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        tp = TopicPartition(settings.topic("scores"), 0)
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        found: list[float] = []
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [json.loads(record.value)["value"] for record in records]
        return found
    finally:
        await consumer.stop()


@pytest.mark.stack
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_process_that_is_over_at_once_delivers_to_kafka(
    settings: Settings, tmp_path: Path, host: str
) -> None:
    """Also where the broker's name must be looked up while the process ends."""
    environment = {
        "UPSHOT_KAFKA_URL": settings.kafka_url.replace("127.0.0.1", host),
        "UPSHOT_TOPIC_PREFIX": settings.topic_prefix,
    }
    ran = run('import upshot; upshot.App("x").score("r1", "helpful", 0.5)', tmp_path, environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert await values(settings) == [0.5]


@pytest.mark.stack
async def test_the_broker_goes_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(KafkaServer(tmp_path / "kafka")) as server:
        settings = (await prepared(server)).model_copy(update={"data_dir": tmp_path / "data"})
        app = App("support", settings=settings)
        for number in range(3):
            app.score("r1", "helpful", number)
        assert app.flush(PATIENCE)
        server.stop()
        for number in range(3, 6):
            app.score("r1", "helpful", number)
        assert not app.flush(0.5)
        server.start()
        server.wait_ready(PATIENCE)
        assert app.flush(PATIENCE)
        app.close()
        found: Sequence[float] = await values(settings)
        assert sorted(set(found)) == [0, 1, 2, 3, 4, 5]
