"""Databases on the real engine with experiments whose numbers are known."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.insights.conftest import Stored, settings_of
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.population import Population, exact_population, population
from upshot.insights.experiments.written_rows import has_all_rows
from upshot.insights.reader import Reader
from upshot.insights.statistics.moments import Moments
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.materialize.backfill import Backfill
from upshot.processors.materialize.changes import ChangedRuns
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.sink import ClickHouseSink
from upshot.settings import Settings
from upshot.streams.runtime import TP

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
#: Microseconds within which notes of changed runs become visible.
NOTED = 1_000_000
FILLED = """
SELECT name FROM system.tables
WHERE database = currentDatabase() AND total_rows > 0 AND name != 'raw_backfill'
    AND (startsWith(name, 'raw_') OR name = 'changed_runs')"""


class Story:
    """Events of an experiment, each at a day of its own, and the database in which the store has put them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.records: list[Stored] = []
        self.reader = Reader(settings)

    def event(self, topic: str, day: float, **event: Any) -> None:
        """An event that was written to Kafka on that day."""
        millis = int((NOON + day * DAY).timestamp() * 1000)
        value = json.dumps(event, default=lambda at: at.isoformat()).encode()
        self.records.append(Stored(self.settings.topic(topic), 0, len(self.records), millis, None, value))

    def unit(
        self,
        name: str,
        variant: str,
        day: float = 0.0,
        *,
        value: Any = None,
        after: float = 1.0,
        waits: bool = True,
        phase: str = "1",
        strategy: str = "bucket",
        cost: float | None = None,
        run: str = "",
        clock: timedelta = timedelta(0),
        **facts: Any,
    ) -> str:
        """A unit's run: its exposure, its wait, and after so many days its score. Returns the run's id."""
        at, run = NOON + day * DAY, run or f"run-{name}-{len(self.records)}"
        self.event("runs", day, run_id=run, agent="support", started_at=at, **facts)
        exposure = {"experiment": "tone", "variant": variant, "phase": phase, "strategy": strategy}
        self.event("exposures", day, run_id=run, unit=name, exposed_at=at + clock, **exposure)
        if waits:
            rule = {"on": {"ticket.closed": {"score": True}}, "within": "P7D", "else": False}
            self.event(
                "waits",
                day,
                run_id=run,
                wait_id=f"w-{run}",
                name="solved",
                subject=f"t:{run}",
                rule=rule,
                opened_at=at,
            )
        if cost is not None:
            self.event(
                "steps", day, run_id=run, step_id="s", name="draft", kind="model", status="ok", cost_usd=cost
            )
        if value is not None:
            self.score(run, value, day + after)
        return run

    def score(self, run: str, value: Any, day: float, revision: int = 1, **more: Any) -> None:
        """What the join says of the run's wait on that day."""
        at = NOON + day * DAY
        decided = {"reason": "outcome", "occurred_at": at, "decided_at": at, "revision": revision} | more
        about = {"score_id": f"s-{run}", "wait_id": f"w-{run}", "subject": f"t:{run}"}
        self.event("scores", day, run_id=run, name="solved", value=value, **about, **decided)

    async def stored(self, *, write: bool = True) -> Reader:
        """Store all events and write the rows for reading; reads the database."""
        sink = ClickHouseSink(self.settings)
        handler = StoreHandler(self.settings, sink)
        await handler.assigned(frozenset())
        by_topic: dict[str, list[Stored]] = {}
        for record in self.records:
            by_topic.setdefault(record.topic, []).append(record)
        for topic, records in by_topic.items():
            effects = await handler.process({TP(topic, 0): records})
            assert not effects.outputs, [output.value for output in effects.outputs]
        await handler.flush()
        await sink.close()
        if write:
            self.write_rows()
        return self.reader

    def write_rows(self) -> None:
        """Write the rows of all runs, as the role `materialize` does."""
        client, writer = connect(self.settings), Writer(self.settings)
        changes = ChangedRuns(client, 1, [0])
        while (news := changes.news()).notes:
            writer.write(news.runs)
            changes.written(news)
        changes.keep(int(time.time() * 1_000_000) + NOTED)
        writer.close()
        client.close()

    def population(
        self, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, by: str = ""
    ) -> Population:
        """The population, which the rows and the exact views give alike."""
        found = population(self.reader, plan, metric, as_of, by)
        assert has_all_rows(self.reader)
        assert_alike(found, exact_population(self.reader, plan, metric, as_of, by))
        return found


def assert_alike(found: Population, expected: Population) -> None:
    """Everything is equal; sums to the last digits, since they add up in another order."""
    rounded = [replace(each, moments=Moments(), costs=Moments()) for each in found.cells]
    assert rounded == [replace(each, moments=Moments(), costs=Moments()) for each in expected.cells]
    for ours, theirs in zip(found.cells, expected.cells, strict=True):
        for one, other in ((ours.moments, theirs.moments), (ours.costs, theirs.costs)):
            assert astuple(one) == pytest.approx(astuple(other), rel=1e-9, abs=1e-12)
    assert replace(found, cells=()) == replace(expected, cells=())


@pytest.fixture(scope="session")
def experiments_database(clickhouse: ClickHouseServer) -> Settings:
    """A database whose views read the tables for reading."""
    settings = settings_of(clickhouse, "upshot_experiments")
    client, writer = connect(settings), Writer(settings)
    backfill = Backfill(client, writer)
    while backfill.step():
        pass
    writer.close()
    client.close()
    return settings


@pytest.fixture
def story(experiments_database: Settings) -> Story:
    """An empty database."""
    with connect(experiments_database) as client:
        for (table,) in client.query(FILLED).result_rows:
            client.command(f"TRUNCATE TABLE {table}")
    return Story(experiments_database)


@pytest.fixture
def plan() -> Callable[..., ExperimentPlan]:
    """A plan of two variants, half and half; the keywords change it."""

    def made(*metrics: PlannedMetric, phases: Iterable[PlannedPhase] = (), **changed: Any) -> ExperimentPlan:
        solved = PlannedMetric("solved", window=WEEK)
        weights = {"plain": 1.0, "warm": 1.0}
        return ExperimentPlan(
            "tone", "plain", tuple(phases) or (PlannedPhase("1", weights),), metrics or (solved,), **changed
        )

    return made
