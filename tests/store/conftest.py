"""A database of its own for each test, records as Kafka gives them, and the store in between."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest
from clickhouse_connect.driver.client import Client

from tests.databases import Databases, drop, settings_for
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store import packed
from upshot.processors.store.columns import COLUMNS, WIDE
from upshot.processors.store.connection import connect
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.packed import Row, pack_version
from upshot.processors.store.sink import ClickHouseSink
from upshot.settings import Settings
from upshot.streams.runtime import TP, Effects

VIEWS = (
    "runs",
    "steps",
    "repeated_usage",
    "outcomes",
    "exposures",
    "waits",
    "scores",
    "alerts",
    "alert_states",
    "alert_rules",
    "notices",
    "experiments",
    "experiment_changes",
    "experiment_phases",
    "dead_letters",
    "current_scores",
    "pending",
    "unmatched_outcomes",
    "deferrals",
    "current_followups",
    "score_kinds",
    "score_clashes",
)
PATIENCE = 60.0
#: The tables that ClickHouse fills from others.
FED = ("raw_latest_by_kind", "raw_score_kinds", "raw_run_aliases")
NOON = 1_767_268_800_000
"""2026-01-01T12:00:00Z in milliseconds: the timestamp of records that don't say another."""


@dataclass(frozen=True)
class Written:
    """A record as the consumer gives it."""

    topic: str
    value: bytes | None
    offset: int = 0
    partition: int = 0
    timestamp: int = NOON
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = field(default=())


def record(topic: str, event: dict[str, Any] | bytes | None, **changed: Any) -> Written:
    """An event (or raw bytes) on `topic`, named without its prefix."""
    value = json.dumps(event, ensure_ascii=False).encode() if isinstance(event, dict) else event
    return replace(Written(f"upshot.{topic}", value), **changed)


def alert(number: int, **changed: Any) -> bytes:
    """A packed row of `raw_alerts`."""
    at = NOON * 1000
    columns = COLUMNS["raw_alerts"]
    stated = (1, "firing", "score", "s", "warning", {}, "below 0.6", at, ["oncall"], "", "")
    values = dict(
        zip(columns, (f"a{number}", "low", "r", "s", 1, 0.5, "number", "", at, at, *stated), strict=False)
    )
    return pack_version("raw_alerts", tuple((values | changed).values()), number << 64).packed


def score(number: int) -> Written:
    """A score that somebody gives, of a run of its own."""
    return record("scores", {"run_id": f"r{number}", "name": "n", "value": number}, offset=number)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


def unpack(row: Row) -> dict[str, Any]:
    """A row's values by column."""
    named = zip(COLUMNS[row.table], packed.unpack(row.packed, row.table), strict=True)
    return {name: int.from_bytes(value, "little") if name in WIDE else value for name, value in named}


class Store:
    """The store's handler over one database."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client: Client = connect(settings)
        self.sink = ClickHouseSink(settings)
        self.handler = StoreHandler(settings, self.sink)

    async def take(self, *records: Written) -> Effects:
        """Process and insert these at once."""
        batches: dict[TP, list[Written]] = {}
        for written in records:
            batches.setdefault(TP(written.topic, written.partition), []).append(written)
        effects = await self.handler.process(batches)
        await self.handler.flush()
        return effects

    def ask(self, sql: str) -> list[dict[str, Any]]:
        """Rows as dicts."""
        return list(self.client.query(sql).named_results())

    def values(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows as tuples."""
        return [tuple(row) for row in self.client.query(sql).result_rows]

    def everything(self, views: Iterable[str] = VIEWS) -> dict[str, list[str]]:
        """All that anybody can see, without an order."""
        return {view: sorted(map(repr, self.values(f"SELECT * FROM {view}"))) for view in views}

    def keep_parts(self) -> None:
        """Stop merges: readers must see the truth before them too."""
        for table in (*COLUMNS, *FED):
            self.client.command(f"SYSTEM STOP MERGES {table}")

    def clear(self) -> None:
        """Forget all rows."""
        for table in (*COLUMNS, *FED):
            self.client.command(f"TRUNCATE TABLE {table}")


@pytest.fixture
def empty(clickhouse: ClickHouseServer) -> Iterator[Settings]:
    """The settings of a database that doesn't exist yet; dropped at the end."""
    settings = settings_for(clickhouse, f"upshot_{uuid4().hex}")
    yield settings
    drop(settings)


@pytest.fixture
def store(migrated: Databases) -> Iterator[Store]:
    """A migrated, empty database and the store before it."""
    made = Store(migrated.take())
    yield made
    made.client.close()
    migrated.give_back(made.settings)
