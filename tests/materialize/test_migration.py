"""The rows of older runs are written while events come in and the worker is killed."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from clickhouse_connect.driver.client import Client

from tests.materialize.conftest import READ, Rows
from tests.materialize.story import long_story
from tests.store.conftest import Store, Written, record, until
from upshot.processors.materialize.backfill import WORKS, is_whole, standings
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect
from upshot.settings import Settings

pytestmark = pytest.mark.stack

STEADY = 60
#: The worker's own loop, with pieces small enough for a few runs.
WORKER = """
import sys, threading
from pydantic import SecretStr
from upshot.processors.materialize import backfill
from upshot.processors.materialize.handler import Materialize
from upshot.settings import Settings
backfill._FEWEST = 20
settings = Settings(clickhouse_url=SecretStr(sys.argv[1]))
Materialize(settings, None)._follow(1, [0], threading.Event())
"""
#: Runs whose start never changes: none is ever missing.
MISSING = f"SELECT {STEADY} - uniqExact(run_id) FROM scored_runs WHERE startsWith(run_id, 'steady-')"


@contextmanager
def worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end."""
    command = [sys.executable, "-c", WORKER, settings.clickhouse_url.get_secret_value()]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


def pieces_done(client: Client) -> int:
    return sum(standing.done for standing in standings(client))


def steady(number: int) -> Written:
    started = f"2026-0{1 + number % 6}-01T00:00:00Z"
    return record("runs", {"run_id": f"steady-{number}", "agent": "s", "started_at": started}, offset=number)


@pytest.fixture
async def before(store: Store) -> Rows:
    """Facts from before the tables for reading, and the backfill not begun."""
    rows = Rows.__new__(Rows)
    rows.store = store
    await store.take(*map(steady, range(STEADY)), *long_story()[::2])
    return rows


async def test_a_worker_killed_in_the_middle_while_events_come_in(before: Rows) -> None:
    store, chance = before.store, random.Random(3)
    wrong: list[object] = []
    ended = threading.Event()
    later = [*long_story()[1::2], *chance.sample(long_story(), 20)]
    chance.shuffle(later)

    def watch() -> None:
        with closing(connect(store.settings)) as client:
            while not ended.is_set():
                wrong.extend(before.duplicates(client))
                [[missing]] = client.query(MISSING).result_rows
                wrong.extend([f"{missing} runs are missing"] * bool(missing))
                ended.wait(0.3)

    watcher = asyncio.create_task(asyncio.to_thread(watch))
    with closing(connect(store.settings)) as client:
        for pieces in (2, len(WORKS) + 1):
            with worker(store.settings):
                await store.take(*[later.pop() for _ in range(10)])
                await until(lambda pieces=pieces: pieces_done(client) >= pieces)  # type: ignore[misc]
            assert not is_whole(client)
        with worker(store.settings):
            while later:
                await store.take(*later[:10])
                del later[:10]
            await until(lambda: is_whole(client))
        ended.set()
        await watcher
        assert wrong == []
        before.follow(before.changes(), Writer(store.settings))
    definitions = store.values(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() "
        f"AND name IN {tuple(READ.values())} "
        "AND position(create_table_query, 'exact_') > 0"
    )
    assert definitions == [(0,)], "the views read the tables"
    assert before.differences() == {} and before.duplicates() == []
