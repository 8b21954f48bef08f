"""Topics of others become outcomes, in this process and by the command with an app of one's own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from tests.ingest.conftest import read, values
from tests.parts import started
from tests.upshot_process import start, upshot
from upshot.errors import ConfigurationError
from upshot.local.kafka import KafkaServer
from upshot.processors.sources.handler import sources_app
from upshot.settings import Settings
from upshot.sources import Source
from upshot.streams.events.records import MADE_LENGTH, decode_outcome
from upshot.streams.kafka.admin import admin_client, ensure_topics
from upshot.streams.runtime import Timing
from upshot.streams.runtime.runner import run

pytestmark = pytest.mark.stack

TIMING = Timing(tick_interval=0.05, poll_timeout=0.05)
APP = """
import upshot
from upshot.sources import Source

app = upshot.App("orders")
refunded = Source("order.refunded", topic={topic!r}, when="kind == 'refund'", subject="order:{{order}}")
app.sources.append(refunded)
"""


@dataclass
class App:
    """As much of an app as the worker needs."""

    name: str
    sources: list[Source] = field(default_factory=list)


@pytest.fixture
async def settings(kafka: KafkaServer) -> Settings:
    settings = Settings(
        kafka_url=kafka.bootstrap, topic_prefix=f"src{uuid4().hex[:12]}.", commit_interval=0.2
    )
    await ensure_topics(settings)
    return settings


async def create(settings: Settings, *topics: str) -> None:
    async with admin_client(settings) as admin:
        await admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])


async def send(settings: Settings, topic: str, *messages: bytes | None) -> None:
    async with started(AIOKafkaProducer(bootstrap_servers=settings.kafka_url)) as producer:
        for message in messages:
            await producer.send_and_wait(topic, message, key=b"k", timestamp_ms=1_795_500_000_000)


@asynccontextmanager
async def worker(settings: Settings, app: App) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run(sources_app(settings, app, TIMING), stop))
    try:
        yield
    finally:
        stop.set()
        assert await task == 0


async def test_records_become_outcomes_by_every_source_of_their_topic(settings: Settings) -> None:
    orders, tickets = f"orders-{uuid4().hex}", f"tickets-{uuid4().hex}"
    await create(settings, orders, tickets)
    app = App(
        "shop",
        [
            Source("order.refunded", topic=orders, when="kind == 'refund'", subject="order:{order}"),
            Source(
                "customer.seen", topic=orders, subject="customer:{customer}", data={"key": lambda m: m.key}
            ),
            Source("ticket.reopened", topic=tickets, subject="ticket:{id}"),
        ],
    )
    refund = {"kind": "refund", "order": 7, "customer": "c1"}
    await send(settings, orders, json.dumps(refund).encode(), None, b'{"kind":"sale","customer":"c2"}')
    await send(settings, tickets, b'{"id":1}')
    async with worker(settings, app):
        records = await read(settings, "outcomes", 4)
    outcomes = {outcome.subject: outcome for outcome in map(decode_outcome, records)}
    assert outcomes.keys() == {"order:7", "customer:c1", "customer:c2", "ticket:1"}
    assert {record.key.decode() for record in records} == set(outcomes)
    refunded = outcomes["order:7"]
    assert (refunded.type, refunded.data) == ("order.refunded", refund)
    # Between them stands which topic of that name it is.
    assert refunded.source == orders
    assert re.fullmatch(rf"{orders}-0-0-[\w-]{{{MADE_LENGTH}}}/order.refunded", refunded.id or "")
    assert outcomes["customer:c2"].data == {"key": "k"}
    assert {record.timestamp for record in records} == {1_795_500_000_000}


async def test_what_comes_again_is_the_same_outcome(settings: Settings) -> None:
    topic = f"orders-{uuid4().hex}"
    await create(settings, topic)
    await send(settings, topic, b'{"order":7}')
    for name in ("first", "second"):  # each reads it all: a group of its own
        app = App(name, [Source("order.refunded", topic=topic, subject="order:{order}")])
        async with worker(settings, app):
            records = await read(settings, "outcomes", 1 if name == "first" else 2)
    assert len({decode_outcome(record).model_dump_json() for record in records}) == 1


async def test_what_cannot_be_mapped_is_kept_with_its_bytes(settings: Settings) -> None:
    topic = f"orders-{uuid4().hex}"
    await create(settings, topic)
    app = App(
        "shop",
        [
            Source("order.refunded", topic=topic, subject="order:{order}"),
            Source("order.seen", topic=topic, subject=lambda message: "o:" + message.value["order"]),
        ],
    )
    await send(settings, topic, b'{"order":7}', b'{"order":null}', b"no json")
    async with worker(settings, app):
        letters = values(await read(settings, "dead-letters", 5))
        outcomes = await read(settings, "outcomes", 1)
    assert [decode_outcome(record).subject for record in outcomes] == ["order:7"]
    reasons = [(letter["offset"], letter["reason"]) for letter in letters]
    assert sorted(reasons) == [
        (0, "unmapped"),
        (1, "no_subject"),
        (1, "unmapped"),
        (2, "not_json"),
        (2, "not_json"),
    ]
    assert {letter["topic"] for letter in letters} == {topic}


async def test_a_record_of_a_far_future_is_mapped(settings: Settings) -> None:
    """The topics of others may take what ours refuse."""
    topic = f"orders-{uuid4().hex}"
    async with admin_client(settings) as admin:
        lenient = {"message.timestamp.after.max.ms": str(2**63 - 1)}
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=lenient)])
    async with started(AIOKafkaProducer(bootstrap_servers=settings.kafka_url)) as producer:
        await producer.send_and_wait(topic, b'{"order":7}', timestamp_ms=4_000_000_000_000)
    async with worker(settings, App("shop", [Source("order.paid", topic=topic, subject="order:{order}")])):
        [outcome] = values(await read(settings, "outcomes", 1))
    assert (outcome["subject"], outcome["time"]) == ("order:7", "2096-10-02T07:06:40+00:00")


async def test_an_app_without_topics_has_nothing_to_do(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no source with a topic"):
        sources_app(settings, App("empty", [Source("a", webhook="github", subject="s")]))


async def test_the_command_runs_an_app_of_ones_own(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"orders-{uuid4().hex}"
    (tmp_path / "shop_of_mine.py").write_text(APP.format(topic=topic))
    monkeypatch.chdir(tmp_path)
    where = {"UPSHOT_KAFKA_URL": settings.kafka_url, "UPSHOT_TOPIC_PREFIX": settings.topic_prefix}
    arguments = ("worker", "--role", "sources", "--app", "shop_of_mine:app")
    running = start(tmp_path / "data", *arguments, environment=where)
    running.wait_said(f"sources waits: these topics don't exist yet at {settings.kafka_url}: {topic}")
    await create(settings, topic)
    await send(settings, topic, b'{"kind":"refund","order":7}')
    [record] = await read(settings, "outcomes", 1)
    assert decode_outcome(record).subject == "order:7"
    assert running.interrupt() == 0, running.metadata.read_text()
    assert "Traceback" not in running.metadata.read_text()
    for wrong in (("worker", "--role", "sources"), (*arguments[:-1], "shop_of_mine:nothing")):
        done = upshot(*wrong, environment=where)
        assert done.returncode == 2
        assert "--app" in done.stderr
