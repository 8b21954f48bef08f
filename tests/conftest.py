"""The real parts, started once for all tests, on free ports and in folders of their own."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import Databases
from tests.left_open import close_connections
from tests.parts import running
from tests.upshot_process import WholeStack, start, whole_stack
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.kafka import KafkaServer
from upshot.processors.store.migrate import migrate

# How long an example takes says how busy the machine is.
settings.register_profile("anywhere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anywhere")


def pytest_configure() -> None:
    """Take Ctrl-C, also where a shell runs the tests in the background.

    What they start would ignore it, too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try once more what failed on real parts: a busy machine can starve a server past any patience.

    The summary shows why the first try failed. Tests of the chaos proof have one try, like all that need
    no server.
    """
    for item in items:
        if item.get_closest_marker("stack") and "chaos" not in item.path.parts:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the failure of each first try: a test that passes at its second try has a fault to find.

    Connections that the tests left open are a fault to find, too.
    """
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"{report.nodeid} failed once", sep="_")
        terminalreporter.line(report.longreprtext)
    left_open = close_connections()
    if left_open:
        terminalreporter.section("connections left open", sep="_")
        terminalreporter.write("\n".join([*left_open, ""]))


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """Apache Kafka; clients connect to `kafka.bootstrap`."""
    # Thousands of topics: each test has its own.
    with running(KafkaServer(tmp_path_factory.mktemp("kafka"), heap="768m")) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """ClickHouse with an empty database; clients connect to `clickhouse.url`."""
    with running(ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(clickhouse: ClickHouseServer) -> Databases:
    """Databases that are migrated, before the backfill."""
    return Databases(clickhouse, migrate)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    """The whole system by `upshot up`: Kafka, ClickHouse, worker and web page.

    Tests use subjects of their own.
    """
    running = start(tmp_path_factory.mktemp("stack"), "up")
    try:
        yield whole_stack(running)
    finally:
        code = running.interrupt()
    assert code == 0, running.metadata.read_text()
