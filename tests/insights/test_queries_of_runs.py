"""Named queries about runs, segments and stories: known answers on the real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.insights.conftest import MERGED, NOON, Stored, at, settings_of, store
from upshot.insights.named_queries import NAMED_QUERIES
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer

pytestmark = pytest.mark.stack

#: Run, model, customer, minutes that it took, cost, whether it merged, what the judge said.
RUNS = (
    ("a1", "big", "pro", 8, 3.0, True, 0.9),
    ("a2", "big", "pro", 8, 3.0, True, 0.8),
    ("a3", "small", "pro", 1, 1.0, False, 0.7),
    ("a4", "small", "free", 1, 1.0, True, 0.6),
    ("a5", "small", "free", 1, None, True, 0.4),
    ("a6", "big", "free", 1, 3.0, False, 0.1),
)


def events() -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Topic, minute in which it was written, event."""
    for number, (run, model, customer, minutes, cost, merged, judged) in enumerate(RUNS):
        about = {"run_id": run, "agent": "a", "status": "completed", "attributes": {"customer": customer}}
        yield "runs", 1, {**about, "started_at": at(number), "ended_at": at(number + minutes)}
        step = {"run_id": run, "step_id": "s", "name": "think", "status": "ok", "model": model}
        yield "steps", 1, {**step, "started_at": at(number)} | ({} if cost is None else {"cost_usd": cost})
        exposed = {"run_id": run, "experiment": "models", "variant": model, "exposed_at": at(number)}
        yield "exposures", 1, exposed
        given = {"run_id": run, "decided_at": at(60 + number)}
        yield "scores", 61, {**given, "name": "merged", "value": merged}
        yield "scores", 61, {**given, "name": "judged", "value": judged}
    for step, approved in ((None, False), ("s", True), ("t", False)):
        given = {"run_id": "a2", "decided_at": at(70), "name": "approved", "value": approved}
        yield "scores", 71, given if step is None else {**given, "step_id": step}
    wait = {"run_id": "a1", "name": "later", "subject": "pr:a1", "wait_id": "w", "rule": MERGED}
    yield "waits", 2, {**wait, "opened_at": at(2)}
    yield "outcomes", 62, {"type": "pr.liked", "subject": "pr:a1", "id": "like", "time": at(62)}


@pytest.fixture(scope="module")
async def reader(clickhouse: ClickHouseServer) -> Reader:
    settings = settings_of(clickhouse, "upshot_insights_runs")
    stored = [
        Stored(
            settings.topic(topic), 0, offset, int((NOON + timedelta(minutes=minute)).timestamp() * 1000),
            None,
            json.dumps(event).encode(),
        )
        for offset, (topic, minute, event) in enumerate(events())
    ]  # fmt: skip
    await store(settings, stored)
    return Reader(settings)


def ask(reader: Reader, query: str, /, *columns: str, **parameters: object) -> list[tuple[Any, ...]]:
    rows = reader.ask(NAMED_QUERIES[query], parameters).objects()
    return [tuple(row[column] for column in columns) for row in rows]


def test_best_model_by_segment(reader: Reader) -> None:
    found = ask(
        reader, "best-model-by-segment", "segment", "model", "scored", "mean", "place",
        attribute="customer", name="merged",
    )  # fmt: skip
    assert found == [
        ("free", "small", 2, 1, 1),
        ("free", "big", 1, 0, 2),
        ("pro", "big", 2, 1, 1),
        ("pro", "small", 1, 0, 2),
    ]


def test_score_by_latency(reader: Reader) -> None:
    found = ask(reader, "score-by-latency", "from_seconds", "to_seconds", "scored", "mean", name="merged")
    assert found == [(32, 64, 4, 0.5), (256, 512, 2, 1)]


def test_slow_runs(reader: Reader) -> None:
    columns = "name", "value", "slow_runs", "other_runs", "slow_percent", "other_percent"
    found = ask(reader, "slow-runs", *columns, quantile=0.9)
    assert found[:3] == [
        ("model", "big", 2, 1, 100, 25),
        ("variant of models", "big", 2, 1, 100, 25),
        ("customer", "pro", 2, 1, 100, 25),
    ] or set(found[:3]) == {
        ("customer", "pro", 2, 1, 100, 25),
        ("model", "big", 2, 1, 100, 25),
        ("variant of models", "big", 2, 1, 100, 25),
    }


def test_slow_runs_of_a_time(reader: Reader) -> None:
    assert {since for (since,) in ask(reader, "slow-runs", "since")} == {"2026-01-30 12:05:00.000000"}
    found = ask(reader, "slow-runs", "name", "slow_runs", "other_runs", since=at(4), quantile=0.5)
    assert ("agent", 2, 0) in found
    assert len(ask(reader, "slow-runs", "name", since="2026-01-01 00:00:00", quantile=0.9)) == len(
        ask(reader, "slow-runs", "name", quantile=0.9)
    )


def test_cost_per_success(reader: Reader) -> None:
    columns = "model", "scored", "successes", "cost", "cost_per_success", "cost_unknown"
    found = ask(reader, "cost-per-success", *columns, name="merged")
    assert found == [("small", 3, 2, 2, 1, 1), ("big", 3, 2, 9, 4.5, 0)]
    # Three opinions on one run: its cost counts once, and one of them is a success.
    assert ask(reader, "cost-per-success", *columns, name="approved") == [("big", 1, 1, 3, 3, 0)]


def test_judge_against_outcome(reader: Reader) -> None:
    columns = "runs", "both", "judge_alone", "outcome_alone", "neither", "agreement_percent"
    found = ask(reader, "judge-against-outcome", *columns, judge="judged", outcome="merged")
    assert found == [(6, 3, 1, 1, 1, 66.7)]


@pytest.mark.parametrize(
    ("parameters", "runs"),
    [
        ({}, "a6 a5 a4 a3 a2 a1"),
        ({"limit": 2}, "a6 a5"),
        ({"agent": "b"}, ""),
        ({"status": "failed"}, ""),
        ({"model": "big"}, "a6 a2 a1"),
        ({"experiment": "models", "variant": "small"}, "a5 a4 a3"),
        ({"experiment": "other"}, ""),
        ({"attribute": "customer", "value": "pro"}, "a3 a2 a1"),
        ({"score": "judged", "from": 0.7}, "a3 a2 a1"),
        ({"score": "merged", "to": 0}, "a6 a3"),
        ({"since": "2026-03-01 12:03:00"}, "a6 a5 a4"),
    ],
)
def test_runs(reader: Reader, parameters: dict[str, object], runs: str) -> None:
    assert " ".join(run for (run,) in ask(reader, "runs", "run_id", **parameters)) == runs


def test_pages_of_runs(reader: Reader) -> None:
    found, page = [], {}
    while rows := ask(reader, "runs", "run_id", "started_at", "key", limit=4, **page):
        found += [run for run, _, _ in rows]
        page = {"before": rows[-1][1], "before_key": rows[-1][2]}
    assert found == ["a6", "a5", "a4", "a3", "a2", "a1"]


def test_the_story_of_a_run(reader: Reader) -> None:
    assert ask(reader, "story-of-run", "event", "name", run_id="a1") == [
        ("exposure", "models"),
        ("run started", "a"),
        ("step", "think"),
        ("wait opened", "later"),
        ("run ended", "a"),
        ("score", "judged"),
        ("score", "merged"),
        ("outcome", "pr.liked"),
    ]


def test_about_a_subject(reader: Reader) -> None:
    found = ask(reader, "about-subject", "event", "name", "run_id", subject="pr:a1")
    assert found == [("wait opened", "later", "a1"), ("outcome", "pr.liked", "")]


def test_pending_why(reader: Reader) -> None:
    [(name, subject, why)] = ask(reader, "pending-why", "name", "subject", "why")
    assert (name, subject) == ("later", "pr:a1") and "waits for an outcome" in why
    assert ask(reader, "pending-why", "name", agent="nobody") == []
