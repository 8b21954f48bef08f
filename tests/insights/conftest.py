"""A database on the real engine that the store has filled with a small story."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.migrate import migrate
from upshot.processors.store.sink import ClickHouseSink
from upshot.settings import Settings
from upshot.streams.runtime import TP

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MERGED = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P3650D", "else": False}


class Stored(NamedTuple):
    """A record, as the store reads it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def at(minutes: float) -> str:
    """An instant of the story."""
    return (NOON + timedelta(minutes=minutes)).isoformat()


def events() -> Iterable[tuple[str, float, dict[str, Any]]]:
    """Topic, minute in which it was written, event."""
    for run, agent, language in (("r1", "a", "Go"), ("r2", "a", "Go"), ("r3", "b", "C"), ("r4", "b", "C")):
        facts = {"run_id": run, "started_at": at(0), "attributes": {"language": language}}
        # The agent of r4's scores is known from the run alone.
        yield "runs", 1, {**facts, "agent": agent, "status": "completed", "ended_at": at(1)}
    yield "runs", 1, {"run_id": "r9", "agent": "a", "origin": "replay", "started_at": at(0)}
    for run in ("r1", "r2", "r3", "r4", "r9"):
        wait = {"run_id": run, "name": "merged", "subject": f"pr:{run}", "wait_id": "w", "rule": MERGED}
        yield "waits", 2, {**wait, "opened_at": at(2)}
    for run, merged in (("r1", True), ("r2", False), ("r3", True)):
        closed = {"type": "pr.closed", "subject": f"pr:{run}", "id": f"o-{run}", "time": at(60)}
        yield "outcomes", 61, {**closed, "data": {"merged": merged}}
        yield "scores", 61, decided(run, merged)
    yield "scores", 90, decided("r2", True, revision=2, supersedes=1, late=True, decided_at=at(90))
    yield "scores", 61, decided("r9", True)
    for run, value in (("r1", 1), ("r2", 4), ("ghost", 9)):
        yield "scores", 70, {"run_id": run, "name": "stars", "value": value, "decided_at": at(70)}
    yield "scores", 80, {"run_id": "r1", "name": "stars", "value": 3, "decided_at": at(80), "source": "ann"}
    yield "outcomes", 62, {"type": "pr.liked", "subject": "pr:r1", "id": "like", "time": at(62)}


def decided(run: str, merged: bool, **changed: Any) -> dict[str, Any]:
    """A score as the join tells it, three seconds after the outcome was written."""
    about = {"score_id": f"s-{run}", "run_id": run, "name": "merged", "subject": f"pr:{run}", "wait_id": "w"}
    why = {"reason": "outcome", "outcome_id": f"o-{run}", "occurred_at": at(60), "decided_at": at(61.05)}
    return {**about, **why, "value": merged} | changed


def records(settings: Settings) -> list[Stored]:
    """The story in Kafka, with a record of `runs` that is none."""
    found = [
        Stored(settings.topic(topic), 0, offset, _millis(minute), None, json.dumps(event).encode())
        for offset, (topic, minute, event) in enumerate(events())
    ]
    return [*found, Stored(settings.topic("runs"), 0, len(found), _millis(5), None, b"{")]


def _millis(minute: float) -> int:
    return int((NOON + timedelta(minutes=minute)).timestamp() * 1000)


async def store(settings: Settings, story: Iterable[Stored]) -> None:
    """Store the records, and the dead letters that come of them."""
    sink = ClickHouseSink(settings)
    handler = StoreHandler(settings, sink)
    await handler.assigned(frozenset())
    for record in story:
        effects = await handler.process({TP(record.topic, record.partition): [record]})
        for output in effects.outputs:
            letter = Stored(output.topic, 0, record.offset, record.timestamp, output.key, output.value)
            await handler.process({TP(output.topic, 0): [letter]})
    await handler.flush()
    await sink.close()


def settings_of(clickhouse: ClickHouseServer, database: str) -> Settings:
    """Settings for a database of its own, migrated."""
    settings = Settings(clickhouse_url=clickhouse.url.removesuffix("upshot") + database)
    migrate(settings)
    return settings


def is_running(clickhouse: ClickHouseServer, mark: str) -> bool:
    """Whether a query with `AS mark` runs."""
    reader = Reader(Settings.model_validate({"clickhouse_url": clickhouse.url}))
    others = "query NOT LIKE '%processes%'"
    sql = f"SELECT count() > 0 FROM system.processes WHERE query LIKE '%AS {mark}%' AND {others}"
    return bool(reader.query(sql).rows[0][0])


def until(done: Callable[[], bool]) -> None:
    """Wait for it."""
    waited, last = threading.Event(), time.monotonic() + 60
    while not done():
        assert time.monotonic() < last, "it never happened"
        waited.wait(0.05)


@pytest.fixture(scope="session")
def empty(clickhouse: ClickHouseServer) -> Reader:
    """Reads a database in which nothing has happened."""
    return Reader(settings_of(clickhouse, "upshot_insights_empty"))


@pytest.fixture(scope="session")
async def reader(clickhouse: ClickHouseServer) -> Reader:
    """Reads the story."""
    settings = settings_of(clickhouse, "upshot_insights")
    await store(settings, records(settings))
    return Reader(settings)
