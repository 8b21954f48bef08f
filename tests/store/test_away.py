"""What only ClickHouse can do: go away and come back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import settings_for
from tests.store.conftest import PATIENCE, Store, alert, score, until
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.connection import connect
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.migrate import migrate
from upshot.processors.store.sink import ClickHouseSink
from upshot.streams.runtime import TP


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A ClickHouse that a test may kill."""
    server = ClickHouseServer(tmp_path)
    server.start()
    server.wait_ready(PATIENCE)
    yield server
    server.stop()


@pytest.mark.stack
async def test_clickhouse_killed_under_writes_loses_nothing(
    own_server: ClickHouseServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(own_server, "upshot")
    migrate(settings)
    sink = ClickHouseSink(settings)
    handler = StoreHandler(settings, sink)
    caplog.set_level(logging.INFO, "upshot")
    total = 0
    for _ in range(4):
        for turn in range(6):
            records = [score(total + n) for n in range(500)]
            total += len(records)
            await handler.process({TP("upshot.scores", 0): records})
            flush = asyncio.create_task(handler.flush())
            if turn == 3:
                await asyncio.to_thread(own_server.kill)
                await until(lambda: "takes no rows" in caplog.text or flush.done())  # noqa: B023
                own_server.start()
                await asyncio.to_thread(own_server.wait_ready, PATIENCE)
            await asyncio.wait_for(flush, PATIENCE)
    client = connect(settings)
    assert client.query("SELECT count(), uniqExact(run_id) FROM scores").result_rows == [(total, total)]
    assert client.query("SELECT count(), uniqExact(run_id) FROM current_scores").result_rows == [
        (total, total)
    ]
    client.close()


@pytest.mark.stack
async def test_the_log_says_once_that_clickhouse_is_away_and_once_that_it_is_back(
    own_server: ClickHouseServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(own_server, "upshot")
    migrate(settings)
    now = [0.0]
    sink = ClickHouseSink(settings, lambda: now[0])
    caplog.set_level(logging.INFO)
    own_server.kill()
    write = asyncio.create_task(sink.write("raw_alerts", [alert(1)]))
    await until(lambda: "takes no rows" in caplog.text)
    now[0] = 61.0
    await until(lambda: "since 61 s" in caplog.text)
    own_server.start()
    await asyncio.to_thread(own_server.wait_ready, PATIENCE)
    assert await asyncio.wait_for(write, PATIENCE) == []
    said = [message for name, _, message in caplog.record_tuples if name.startswith("upshot.processors")]
    assert len(said) == 3
    assert "Connection refused" in said[0]
    assert said[-1] == "ClickHouse takes rows again, after 61.0 s"
    assert not [name for name, *_ in caplog.record_tuples if name.startswith("clickhouse_connect")]
    await sink.close()


@pytest.mark.stack
async def test_tables_that_work_say_nothing_of_one_that_does_not(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "upshot")
    store.client.command("RENAME TABLE raw_alerts TO away")
    write = asyncio.create_task(store.sink.write("raw_alerts", [alert(1)]))
    await until(lambda: "takes no rows" in caplog.text)
    await store.take(score(1))
    store.client.command("RENAME TABLE away TO raw_alerts")
    assert await asyncio.wait_for(write, PATIENCE) == []
    said = [message for _, _, message in caplog.record_tuples if "ClickHouse takes" in message]
    assert len(said) == 2
