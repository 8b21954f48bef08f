"""Processors on a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer

from tests.parts import started
from tests.processors.bench import Bench
from upshot.local.kafka import KafkaServer
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics


@pytest.fixture
async def bench(kafka: KafkaServer, tmp_path: Path) -> AsyncIterator[Bench]:
    settings = Settings(
        kafka_url=kafka.bootstrap,
        topic_prefix=f"{uuid4().hex}.",
        deadline_grace=timedelta(0),
        commit_interval=0.2,
        data_dir=tmp_path,
    )
    await ensure_topics(settings)
    client = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, max_request_size=4_000_000)
    async with started(client) as producer:
        yield Bench(settings, producer)
