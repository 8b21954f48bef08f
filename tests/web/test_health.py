"""What `/healthz` and the doctor say of workers that stand,
of open transactions and of topics that are gone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from tests.parts import started
from upshot.insights.reader import Reader
from upshot.local.kafka import TRANSACTION_MS, KafkaServer
from upshot.ops.doctor.kafka import examine_kafka
from upshot.ops.doctor.readers import trouble_of
from upshot.ops.health import Looks, PartHealth
from upshot.processors.traces.handler import traces_app
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.kafka.groups import Group, Standing
from upshot.streams.kafka.standstill import Stuck
from upshot.streams.kafka.transactions import OpenTransaction, open_transactions
from upshot.streams.runtime.runner import run

TP = TopicPartition("upshot.outcomes", 2)
STANDING = Standing(0, 9, 9, 5, "id", "id", "worker")
HERE = Settings()


def group(standing: Standing = STANDING, **more: Any) -> Group:
    return Group("upshot-correlate", "Stable", 1, {TP.topic: standing.lag}, standings={TP: standing}, **more)


def test_a_standstill_names_the_record_and_what_to_do() -> None:
    stuck = [Stuck("upshot-correlate", *TP, 5, 4, 61.0), Stuck("other", *TP, 5, 4, 61.0)]
    found = trouble_of(HERE, "correlate", group(), stuck)
    assert found and found.found == "has stood for 61 s at upshot.outcomes/2/5 with 4 records to read"
    assert "--partition 2 --offset 5" in found.to_do
    assert trouble_of(HERE, "correlate", group(), stuck[1:]) is None


def test_an_open_transaction_is_named_with_its_producer_and_its_end() -> None:
    held = group(STANDING._replace(stable=5))
    one = OpenTransaction(7, 0, "billing", began_at=100.0, ends_within=900.0, first={TP: 5})
    assert trouble_of(HERE, "correlate", held, (), [one], now=105.0) is None, "healthy ones are as long"
    found = trouble_of(HERE, "correlate", held, (), [one], now=130.0)
    assert found and found.found.startswith(
        "the transaction of producer billing (producer id 7) has been open for 30 s, the broker ends it "
        "after 900 s: what lies behind upshot.outcomes/2/5 waits"
    )
    assert "transactional id billing" in found.to_do and "--start-offset 5" in found.to_do
    assert trouble_of(HERE, "correlate", group(), (), [one], now=130.0) is None, (
        "it holds back nothing of theirs"
    )


def test_a_transaction_of_nobody_knows_whom_is_named_all_the_same() -> None:
    held = [Stuck("upshot-correlate", *TP, 5, 4, 61.0, is_held=True)]
    found = trouble_of(HERE, "correlate", group(STANDING._replace(stable=5)), held)
    assert found and "an open transaction has held back what lies behind upshot.outcomes/2/5" in found.found


def test_missing_topics_and_lost_records_are_named() -> None:
    gone = trouble_of(HERE, "correlate", group(missing=["upshot.waits"]))
    assert gone and gone.found.startswith("upshot.waits is missing") and "upshot migrate" in gone.to_do
    lost = trouble_of(HERE, "correlate", group(STANDING._replace(first=8)))
    assert lost and "3 records were removed before they were read" in lost.found


@pytest.fixture
async def settings(kafka: KafkaServer, tmp_path: Path) -> Settings:
    settings = Settings(
        kafka_url=kafka.bootstrap,
        topic_prefix=f"health{uuid4().hex[:12]}.",
        data_dir=tmp_path,
        stalled_after=5,
        commit_interval=0.2,
    )
    await ensure_topics(settings)
    return settings


async def parts_until(looks: Looks, role: str, words: str) -> PartHealth:
    async with asyncio.timeout(60):
        while words not in (part := (await looks.look()).of(role)).detail:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return part


@pytest.mark.stack
async def test_a_worker_that_hangs_is_found_out_from_outside(settings: Settings) -> None:
    app, stop = traces_app(settings), asyncio.Event()
    hangs = asyncio.Event()

    async def process(batches: Any) -> Any:
        hangs.set()
        await asyncio.sleep(1000)

    app.processing_loop._handler.process = process
    working = asyncio.create_task(run(app, stop))
    looks = Looks(settings, Reader(settings))
    try:
        part = await parts_until(looks, "traces", "nothing left to read")
        assert part.ok
        async with _producer(settings) as producer:
            await producer.send_and_wait(settings.topic("otlp"), b"x", partition=1)
        await hangs.wait()
        part = await parts_until(looks, "traces", "has stood for")
        assert not part.ok and f"{settings.topic('otlp')}/1/0" in part.detail
        assert app.engine_metrics._stalled(), "and the worker itself tells it, for as long as it can"
        assert max(app.engine_metrics._stalled())[1:] == (settings.topic("otlp"), "1")
        findings = {finding.check: finding for finding in await examine_kafka(settings)}
        assert findings["worker traces"].state == "wrong"
        assert f"{settings.topic('otlp')}/1/0" in findings["worker traces"].found
    finally:
        stop.set()
        await working


@pytest.mark.stack
async def test_an_open_transaction_is_found_with_its_producer(settings: Settings) -> None:
    app, stop = traces_app(settings), asyncio.Event()
    working = asyncio.create_task(run(app, stop))
    looks = Looks(settings, Reader(settings))
    try:
        await parts_until(looks, "traces", "nothing left to read")
        async with _producer(settings, transactional_id="forgetful") as producer:
            await producer.begin_transaction()
            place = await producer.send_and_wait(settings.topic("otlp"), b"x", partition=0)
            tp = TopicPartition(place.topic, place.partition)
            [one] = await open_transactions(settings, [tp])
            assert (one.name, one.first, one.ends_within) == ("forgetful", {tp: place.offset}, 60.0)
            part = await parts_until(looks, "traces", "producer forgetful")
            assert not part.ok
            await producer.abort_transaction()
        await parts_until(looks, "traces", "nothing left to read")
        assert await open_transactions(settings, [tp]) == []
    finally:
        stop.set()
        await working


@pytest.mark.stack
async def test_the_local_broker_bounds_transactions(kafka: KafkaServer) -> None:
    settings = Settings(kafka_url=kafka.bootstrap)
    with pytest.raises(Exception, match=r"(?i)timeout"):
        async with _producer(settings, transactional_id="long", transaction_timeout_ms=TRANSACTION_MS + 1):
            pass


@pytest.mark.stack
async def test_a_topic_that_is_gone_is_named(settings: Settings) -> None:
    app, stop = traces_app(settings), asyncio.Event()
    working = asyncio.create_task(run(app, stop))
    looks = Looks(settings, Reader(settings))
    try:
        await parts_until(looks, "traces", "nothing left to read")
        async with started(AIOKafkaAdminClient(bootstrap_servers=settings.kafka_url)) as admin:
            await admin.delete_topics([settings.topic("otlp")])
        part = await parts_until(looks, "traces", "is missing")
        assert not part.ok and "upshot migrate" in part.detail
        assert await ensure_topics(settings) == [settings.topic("otlp")]
        await parts_until(looks, "traces", "nothing left to read")
        async with _producer(settings) as producer:
            await producer.send_and_wait(settings.topic("otlp"), b"no spans", partition=1)
        async with asyncio.timeout(30):
            while not app.engine_metrics.processed:  # noqa: ASYNC110 - nobody sets an event
                await asyncio.sleep(0.1)
    finally:
        stop.set()
        await working


class _producer:
    def __init__(self, settings: Settings, **options: Any) -> None:
        self._options = {"bootstrap_servers": settings.kafka_url} | options

    async def __aenter__(self) -> AIOKafkaProducer:
        self._producer = AIOKafkaProducer(**self._options)
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self._producer

    async def __aexit__(self, *error: object) -> None:
        await self._producer.stop()
