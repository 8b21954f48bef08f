"""A worker of real processes over the shared Kafka and ClickHouse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.local.process import ProcessPart
from upshot.local.roles import role_command, role_environment
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics

ROLES = ("correlate", "store")


@pytest.fixture(scope="session")
def stack_settings(
    kafka: KafkaServer, clickhouse: ClickHouseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Where both roles of a worker are at work."""
    data_dir: Path = tmp_path_factory.mktemp("worker")
    settings = Settings(
        kafka_url=kafka.bootstrap, clickhouse_url=SecretStr(clickhouse.url), data_dir=data_dir
    )
    asyncio.run(ensure_topics(settings))
    migrate(settings)
    parts = [ProcessPart(role, role_command(role), data_dir, role_environment(settings)) for role in ROLES]
    for part in parts:
        part.start()
    yield settings
    for part in parts:
        part.stop()
