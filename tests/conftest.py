"""The real parts, started once for all tests, on free ports and in folders of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.upshot_process import WholeStack, start, whole_stack
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer

START = 120.0
"""Seconds until a start counts as failed: far above what it takes, since the first one fetches Kafka."""


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Apache Kafka; clients connect to `kafka.bootstrap`."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    try:
        server.wait_ready(START)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """ClickHouse with an empty database; clients connect to `clickhouse.url`."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    try:
        server.wait_ready(START)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    """The whole system by `upshot up`: Kafka, ClickHouse, worker and web page. Tests use subjects of their own."""
    running = start(tmp_path_factory.mktemp("stack"), "up")
    try:
        yield whole_stack(running)
    finally:
        code = running.interrupt()
    assert code == 0, running.said.read_text()
