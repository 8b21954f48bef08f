"""A small story in real ClickHouse, told through the real codec, join and store,
for what people will run on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.correlate.decide import expire, step
from upshot.processors.correlate.encode import encode_score
from upshot.processors.correlate.facts import Arrival, OutcomeReceived, ScoreRevised, WaitReceived
from upshot.processors.correlate.state import Subject, as_stored_outcome, as_stored_wait
from upshot.processors.store.connection import connect
from upshot.processors.store.migrate import migrate
from upshot.processors.store.rows import Row, row_of
from upshot.processors.store.sink import ClickHouseSink
from upshot.settings import Settings
from upshot.streams.events.decode import read_outcome, read_wait
from upshot.streams.events.instants import Micros, micros

BEGIN = datetime(2026, 6, 1, 8, tzinfo=UTC)
RUNS = 24
LATE = frozenset(f"pr:acme/web#{number}" for number in range(2, RUNS, 6))
"""Subjects whose outcome arrives after the deadline was judged."""
Event = dict[str, Any]


class Record(NamedTuple):
    """A record as the codec reads it."""

    topic: str
    offset: int
    value: bytes
    at: datetime
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def timestamp(self) -> int:
        return int(self.at.timestamp() * 1000)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
async def story(clickhouse: ClickHouseServer) -> AsyncIterator[Client]:
    """A client of a database that holds the story."""
    settings = Settings.model_validate({"clickhouse_url": clickhouse.url.rsplit("/", 1)[0] + "/upshot_story"})
    migrate(settings)
    sink = ClickHouseSink(settings)
    rows: dict[str, list[bytes]] = {}
    for record in [*told(), *decided(list(told()))]:
        row = row_of(record.topic, record)
        assert isinstance(row, Row), row
        rows.setdefault(row.table, []).append(row.packed)
    for table, packed in rows.items():
        assert not await sink.write(table, packed)
    await sink.close()
    client = connect(settings)
    yield client
    client.close()


def told() -> list[Record]:
    """Runs of two agents, their waits, what became of them, and what people said.

    One wait is open, one overdue.
    """
    records: list[Record] = []

    def tell(topic: str, at: datetime, event: Event) -> None:
        records.append(Record(topic, len(records), msgspec.json.encode(event), at))

    for number in range(RUNS):
        _tell_run(tell, number, BEGIN + timedelta(hours=number))
    for agent, window in (("newcomer", "P3650D"), ("coder", "P30D")):
        rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": window}
        asked = {"run_id": f"open-{agent}", "agent": agent, "name": "merged", "subject": f"pr:open-{agent}"}
        tell("waits", BEGIN, {**asked, "rule": rule})
    tell("scores", BEGIN, {"run_id": "nobody-told-us", "name": "helpful", "value": 0.25})
    tell("outcomes", BEGIN, {"type": "pr.closed", "subject": "pr:unasked", "data": {"merged": True}})
    letter = {"dead_letter_id": "d1", "reason": "no_subject", "detail": "…", "topic": "upshot.outcomes"}
    about_score = {"run_id": "run-1", "score_id": "s1", "value": 0.1, "group": {"agent": "coder"}}
    alert = {"alert_id": "a1", "name": "unhelpful", "raised_at": BEGIN.isoformat(), **about_score}
    tell("alerts", BEGIN, alert)
    tell("dead-letters", BEGIN, {**letter, "partition": 0, "offset": 7, "recorded_at": BEGIN.isoformat()})
    return records


def _tell_run(tell: Callable[[str, datetime, Event], None], number: int, at: datetime) -> None:
    run, subject = f"run-{number}", f"pr:acme/web#{number}"
    ended = at + timedelta(minutes=5)
    language = ("Python", "Go", "TypeScript")[number % 3]
    about: Event = {"run_id": run, "agent": ("coder", "helper")[number % 2], "version": f"1.{number // 12}"}
    variant = "b" if number % 4 < 2 else "a"
    tell("runs", at, {**about, "status": "running", "started_at": at.isoformat()})
    tell(
        "runs",
        ended,
        {**about, "status": "completed", "ended_at": ended.isoformat(), "attributes": {"language": language}},
    )
    tell("exposures", at, {"run_id": run, "experiment": "prompt", "variant": variant, "probability": 0.5})
    used = {
        "model": f"model-{number % 2}",
        "input_tokens": 900 + number,
        "output_tokens": 100,
        "cost_usd": 0.01,
    }
    tell("steps", ended, {"run_id": run, "step_id": "1", "name": "draft", "kind": "model", **used})
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "else": False}
    asked = {"run_id": run, "name": "merged", "subject": subject, "opened_at": ended.isoformat()}
    tell("waits", ended, {**asked, "rule": rule})
    if number % 5:
        closed = ended + timedelta(hours=number + 1)
        data = {"merged": number % 3 > 0}
        tell(
            "outcomes",
            closed,
            {"type": "pr.closed", "subject": subject, "id": f"closed-{number}", "data": data},
        )
    if number % 4 == 0:
        tell("scores", ended, {"run_id": run, "name": "helpful", "value": number / RUNS, "source": "expire"})


def decided(records: list[Record]) -> list[Record]:
    """The scores that the join makes of it."""
    subjects: dict[str, Subject] = {}
    facts: list[ScoreRevised] = []

    def take(arrivals: list[Arrival], now: Micros) -> None:
        changes = step(subjects, arrivals, now)
        subjects.update(changes.subjects)
        facts.extend(fact for fact in changes.facts if isinstance(fact, ScoreRevised))

    for record in records:
        now = micros(record.at)
        if record.topic == "waits":
            wait = read_wait(record)
            take([WaitReceived(wait.subject, as_stored_wait(wait))], now)
        elif record.topic == "outcomes" and (outcome := read_outcome(record)).subject not in LATE:
            take([OutcomeReceived(outcome.subject, as_stored_outcome(outcome, now, 0, record.offset))], now)
    later = BEGIN + timedelta(days=15)
    for key, subject in list(subjects.items()):
        judged = expire(key, subject, micros(later), micros(later))
        subjects[key] = judged.subject
        facts.extend(fact for fact in judged.facts if isinstance(fact, ScoreRevised))
    for record in records:
        if record.topic == "outcomes":
            outcome = read_outcome(record)
            now = micros(later + timedelta(days=1))
            take([OutcomeReceived(outcome.subject, as_stored_outcome(outcome, now, 0, record.offset))], now)
    return [Record("scores", 1000 + n, encode_score(fact), later) for n, fact in enumerate(facts)]
