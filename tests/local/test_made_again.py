"""The whole stack over a topic that is made again under it,
and over a new Kafka beside the old ClickHouse.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.parts import started
from tests.upshot_process import WholeStack, start, whole_stack

pytestmark = pytest.mark.stack

PATIENCE = 90.0
OUTCOMES = "upshot.outcomes"


def post(stack: WholeStack, topic: str, event: dict[str, Any]) -> list[str]:
    """Send one event over HTTP; its ids. Sent again while Kafka takes none, as whoever gets a 503 does."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.ports['web']}/v1/{topic}",
        json.dumps(event).encode(),
        {"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request) as response:
                ids: list[str] = json.loads(response.read())["ids"]
                return ids
        except urllib.error.HTTPError as error:
            assert error.code == 503 and time.monotonic() < deadline, error.read()
            time.sleep(0.2)


def health(stack: WholeStack) -> str:
    """What `/healthz` says, whatever its code is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['web']}/healthz") as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()


def until(holds: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


async def _topics(stack: WholeStack, *, create: int = 0) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.settings.kafka_url)
    try:
        await admin.start()
        if create:
            answer = await admin.create_topics([NewTopic(OUTCOMES, create, 1)])
            assert [code for _, code, *_ in answer.topic_errors] == [0]
        else:
            await admin.delete_topics([OUTCOMES])
    finally:
        await admin.close()


async def _write(stack: WholeStack, *values: bytes) -> list[int]:
    """Write to the first partition; the offsets."""
    async with started(AIOKafkaProducer(bootstrap_servers=stack.settings.kafka_url)) as producer:
        return [(await producer.send_and_wait(OUTCOMES, value, partition=0)).offset for value in values]


def filler(number: int) -> bytes:
    return json.dumps({"type": "filler", "subject": "filler", "id": str(number)}).encode()


def viewed(when: str) -> bytes:
    return json.dumps({"type": "viewed", "subject": "page:1", "data": {"n": when}}).encode()


def wait(number: int, within: str = "PT15S") -> dict[str, Any]:
    rule = {"on": {"done": {"score": True}}, "else": False, "within": within}
    return {"run_id": f"r{number}", "name": "done", "subject": f"job:{number}", "rule": rule}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "stack"


def test_a_topic_made_again_and_a_new_cluster(place: Path) -> None:
    running = start(place, "up")
    stack = whole_stack(running)
    try:
        counted = {"on": {"viewed": {}}, "mode": "count", "within": "P1D"}
        post(stack, "waits", {"run_id": "c", "name": "views", "subject": "cnt:1", "rule": counted})
        before = post(stack, "outcomes", {"type": "viewed", "subject": "cnt:1"})
        stack.eventually("SELECT count() AS n FROM outcomes WHERE subject = 'cnt:1'", [{"n": 1}])
        for number in range(8):
            post(stack, "waits", wait(number))
        stack.eventually("SELECT count() AS n FROM waits WHERE name = 'done'", [{"n": 8}])
        asyncio.run(_topics(stack))
        until(lambda: f"{OUTCOMES} is missing" in health(stack))
        asyncio.run(_topics(stack, create=4))
        for number in range(8):
            post(stack, "outcomes", {"type": "done", "subject": f"job:{number}"})
        after = post(stack, "outcomes", {"type": "viewed", "subject": "cnt:1"})
        assert before != after
        stack.eventually(
            "SELECT value, reason, count() AS n FROM scores WHERE name = 'done' GROUP BY value, reason",
            [{"value": 1, "reason": "outcome", "n": 8}],
        )
        stack.eventually("SELECT value FROM current_scores WHERE name = 'views'", [{"value": 2}])
        stored = stack.query("SELECT id FROM outcomes WHERE subject = 'cnt:1' ORDER BY recorded_at")
        assert [row["id"] for row in stored] == [*before, *after]
        until(lambda: '"status": "ok"' in health(stack))
        offsets = asyncio.run(_write(stack, b"bad one before", viewed("before")))
        stack.eventually("SELECT count() AS n FROM dead_letters", [{"n": 1}])
        stack.eventually("SELECT count() AS n FROM outcomes WHERE subject = 'page:1'", [{"n": 1}])
    finally:
        assert running.interrupt() == 0, running.metadata.read_text()
    shutil.rmtree(place / "kafka")
    running = start(place, "up")
    stack = whole_stack(running)
    try:
        fillers = [filler(number) for number in range(offsets[0])]
        written = asyncio.run(_write(stack, *fillers, b"bad two after", viewed("after")))
        assert written[-2:] == offsets, "the same places as in the cluster before"
        stack.eventually("SELECT count() AS n FROM dead_letters", [{"n": 2}])
        stack.eventually("SELECT count() AS n FROM outcomes WHERE subject = 'page:1'", [{"n": 2}])
        until(lambda: '"status": "ok"' in health(stack))
    finally:
        assert running.interrupt() == 0, running.metadata.read_text()
