"""Databases on the real engine with experiments whose numbers are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.insights.conftest import Stored, settings_of
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.handler import StoreHandler
from upshot.processors.store.sink import ClickHouseSink
from upshot.settings import Settings
from upshot.streams.runtime import TP

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
NUMBERS = count()


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
        **facts: Any,
    ) -> str:
        """A unit's run: its exposure, its wait, and after so many days its score. Returns the run's id."""
        at, run = NOON + day * DAY, run or f"run-{name}-{len(self.records)}"
        self.event("runs", day, run_id=run, agent="support", started_at=at, **facts)
        exposure = {"experiment": "tone", "variant": variant, "phase": phase, "strategy": strategy}
        self.event("exposures", day, run_id=run, unit=name, exposed_at=at, **exposure)
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

    async def stored(self) -> Reader:
        """Store all events; reads the database."""
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
        return self.reader


@pytest.fixture
def story(clickhouse: ClickHouseServer) -> Story:
    """An empty database."""
    return Story(settings_of(clickhouse, f"upshot_experiments_{next(NUMBERS)}"))


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
