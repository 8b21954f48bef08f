"""The real parts, started once for all tests, on free ports and in folders of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts import running
from tests.upshot_process import WholeStack, start, whole_stack
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Apache Kafka; clients connect to `kafka.bootstrap`."""
    with running(KafkaServer(tmp_path_factory.mktemp("kafka"))) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """ClickHouse with an empty database; clients connect to `clickhouse.url`."""
    with running(ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))) as server:
        yield server


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    """The whole system by `upshot up`: Kafka, ClickHouse, worker and web page. Tests use subjects of their own."""
    running = start(tmp_path_factory.mktemp("stack"), "up")
    try:
        yield whole_stack(running)
    finally:
        code = running.interrupt()
    assert code == 0, running.said.read_text()
