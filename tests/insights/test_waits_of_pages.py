"""Whether an answer is still to come, and when waits had their outcome: known answers on the real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.insights.conftest import NOON, Stored, at, settings_of, store
from upshot.insights.pages.run import waits_query
from upshot.insights.pages.scores import departures, departures_query
from upshot.insights.pages.subjects import subject_waits
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer

pytestmark = pytest.mark.stack

DAY = 24 * 60
MILLIS = int(NOON.timestamp() * 1000)


def waits() -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and event of waits, of a day each but the pending and the cancelled ones."""
    rule = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P1D"}
    for run in ("answered", "late", "judged", "expired"):
        yield "waits", {**_about(run), "rule": rule, "opened_at": at(0)}
    yield "waits", {**_about("open"), "rule": {**rule, "within": "P3650D"}, "opened_at": at(0)}
    rule = {**rule, "within": "P3650D", "mode": "last"}
    yield "waits", {**_about("revised"), "rule": rule, "opened_at": at(0), "name": "approved"}
    yield "waits", {**_about("cancelled"), "rule": rule, "opened_at": at(0), "name": "approved"}
    yield "waits", {**_about("cancelled"), "name": "approved", "cancelled_at": at(5)}
    answer = {"reason": "outcome", "outcome_id": "o"}
    revised = {"name": "approved", "value": True, "occurred_at": at(60)}
    yield "scores", {**_score("revised"), **answer, **revised}
    yield "scores", {**_score("answered"), **answer, "value": True, "occurred_at": at(600)}
    expired = {"reason": "expired", "decided_at": at(DAY)}
    for run in ("expired", "late"):
        yield "scores", {**_score(run), **expired}
    late = {"revision": 2, "supersedes": 1, "late": True, "occurred_at": at(30), "decided_at": at(2 * DAY)}
    yield "scores", {**_score("late"), **answer, **late, "value": False}
    yield "scores", {**_score("judged"), "reason": "deadline", "value": False, "decided_at": at(DAY)}


def _about(run: str) -> dict[str, Any]:
    return {"run_id": run, "name": "merged", "subject": f"pr:{run}", "wait_id": "w"}


def _score(run: str) -> dict[str, Any]:
    return {**_about(run), "score_id": f"s-{run}", "decided_at": at(601)}


@pytest.fixture(scope="module")
async def reader(clickhouse: ClickHouseServer) -> Reader:
    settings = settings_of(clickhouse, "upshot_insights_waits")
    await store(settings, [
        Stored(settings.topic(topic), 0, offset, MILLIS, None, json.dumps(event).encode())
        for offset, (topic, event) in enumerate(waits())
    ])  # fmt: skip
    return Reader(settings)


def test_open_judged_and_expired_waits_are_censored(reader: Reader) -> None:
    found = departures(departures_query("merged").rows(reader))
    assert [(each.causes["outcome"], each.censored) for each in found] == [(1, 0), (1, 0), (0, 2), (0, 1)]
    age = (datetime.now(UTC) - NOON) / timedelta(hours=1)
    for each, hours in zip(found, (0.5, 10, 24, age), strict=True):
        assert hours * 0.999 <= each.time < hours * 1.024


def test_pages_say_what_is_pending(reader: Reader) -> None:
    runs = "answered", "late", "judged", "expired", "open", "revised", "cancelled"
    of_runs = {run for run in runs for row in waits_query(run).rows(reader) if row["is_pending"]}
    of_subjects = {
        run for run in runs for row in subject_waits(f"pr:{run}").rows(reader) if row["is_pending"]
    }
    assert of_runs == of_subjects == {"open", "revised"}
    assert of_runs == {run for (run,) in reader.query("SELECT run_id FROM pending").rows}
