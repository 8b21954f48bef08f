"""Each named query gives the right answer on the real engine."""

from __future__ import annotations

from typing import Any

import pytest

from tests.insights.conftest import at
from upshot.insights.named_queries import NAMED_QUERIES
from upshot.insights.reader import FORMATS, Reader

pytestmark = pytest.mark.stack

#: Their answers are in `test_queries_of_runs`: this story has no models and no judge.
OF_OTHER_STORIES = {"best-model-by-segment", "judge-against-outcome"}


def ask(reader: Reader, name: str, **parameters: object) -> list[dict[str, Any]]:
    return reader.ask(NAMED_QUERIES[name], parameters).objects()


def chosen(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize("name", NAMED_QUERIES)
def test_every_question_runs_where_nothing_has_happened(empty: Reader, name: str) -> None:
    assert ask(empty, name) == []


@pytest.mark.parametrize("name", sorted(NAMED_QUERIES.keys() - OF_OTHER_STORIES))
def test_every_question_has_an_answer_in_every_format(reader: Reader, name: str) -> None:
    question = NAMED_QUERIES[name]
    values = {**question.parameters} | ({"run_id": "r1"} if "run_id" in question.parameters else {})
    assert reader.ask(question, values).rows
    for format in FORMATS:
        assert len(b"".join(reader.stream(question.sql, format, values))) > 10


def test_questions_say_in_a_line_what_they_answer() -> None:
    for name, question in NAMED_QUERIES.items():
        assert question.name == name
        assert "\n" not in question.about and question.about
        assert all(f"{{{parameter}:" in question.sql for parameter in question.parameters)


def test_questions_read_views_alone() -> None:
    assert not [name for name, question in NAMED_QUERIES.items() if "raw_" in question.sql]


def test_scores_by_agent(reader: Reader) -> None:
    rows = ask(reader, "scores-by-agent")
    assert chosen(rows, "name", "agent", "scored", "rate_percent", "mean", "pending") == [
        ("merged", "a", 2, 100, None, 0),
        ("merged", "b", 1, 100, None, 1),
        ("stars", "a", 2, None, 3.5, 0),
        ("stars", "", 1, None, 9, 0),
    ]


def test_scores_by_attribute(reader: Reader) -> None:
    rows = ask(reader, "scores-by-attribute")
    assert chosen(rows, "name", "attribute", "scored", "rate_percent", "pending") == [
        ("merged", "Go", 2, 100, 0),
        ("merged", "C", 1, 100, 1),
        ("stars", "Go", 2, None, 0),
        ("stars", "", 1, None, 0),
    ]
    assert {row["attribute"] for row in ask(reader, "scores-by-attribute", attribute="nothing")} == {""}


def test_latest_scores(reader: Reader) -> None:
    rows = ask(reader, "latest-scores", limit=2)
    assert chosen(rows, "run_id", "name", "value", "revision", "late") == [
        ("r2", "merged", 1, 2, True),
        ("r1", "stars", 3, 2, False),
    ]


def test_pending_by_deadline(reader: Reader) -> None:
    rows = ask(reader, "pending-by-deadline")
    assert chosen(rows, "run_id", "agent", "overdue") == [("r4", "b", False)]


def test_dead_letters_by_reason(reader: Reader) -> None:
    [row] = ask(reader, "dead-letters-by-reason")
    assert (row["reason"], row["topic"], row["letters"]) == ("not_json", "upshot.runs", 1)
    assert row["first_at"] == row["last_at"] == "2026-03-01 12:05:00.000000"
    assert "JSON" in row["last_detail"]


def test_unmatched(reader: Reader) -> None:
    assert chosen(ask(reader, "unmatched-scores"), "run_id", "value") == [("ghost", 9)]
    rows = ask(reader, "unmatched-outcomes")
    assert chosen(rows, "type", "outcomes", "last_subject") == [("pr.liked", 1, "pr:r1")]


def test_latency_counts_from_the_later_of_wait_and_outcome(reader: Reader) -> None:
    rows = ask(reader, "latency")
    # Four decided at once, and one that was corrected 29 minutes after its outcome; r9 has no outcome.
    assert chosen(rows, "name", "scored", "p50", "longest") == [("merged", 4, 3, 29 * 60)]


def test_latency_of_a_sample(reader: Reader) -> None:
    """Ids of scores that are no hashes lie behind the sample's end: none is read."""
    assert ask(reader, "latency", most=1) == []
    assert {row["percent_read"] for row in ask(reader, "latency")} == {100}


def test_unmatched_outcomes_of_a_time(reader: Reader) -> None:
    [row] = ask(reader, "unmatched-outcomes")
    assert row["since"] == "2026-02-22 13:02:00.000000"  # a week before the newest outcome
    assert len(ask(reader, "unmatched-outcomes", since="2026-03-01")) == 1
    assert ask(reader, "unmatched-outcomes", since="2026-03-02") == []


def test_time_to_outcome(reader: Reader) -> None:
    rows = ask(reader, "time-to-outcome")
    assert chosen(rows, "name", "agent", "scored", "p50") == [("merged", "a", 2, 1), ("merged", "b", 1, 1)]


def test_late_revisions(reader: Reader) -> None:
    rows = ask(reader, "late-revisions")
    assert chosen(rows, "name", "reason", "late", "revisions", "scores") == [
        ("merged", "outcome", True, 1, 1),
        ("stars", "given", False, 1, 1),
    ]


def test_history_of_a_run(reader: Reader) -> None:
    rows = ask(reader, "history-of-run", run_id="r1")
    assert chosen(rows, "name", "revision", "value", "source") == [
        ("merged", 1, 1, ""),
        ("stars", 1, 1, ""),
        ("stars", 2, 3, "ann"),
    ]
    assert ask(reader, "history-of-run", run_id="nobody") == []


@pytest.mark.parametrize(
    ("minute", "values"),
    [
        (60, {}),
        (61.05, {"merged": 0}),
        (75, {"merged": 0, "stars": 4}),
        (95, {"merged": 1, "stars": 4}),
    ],
)
def test_scores_as_of(reader: Reader, minute: float, values: dict[str, float]) -> None:
    when = at(minute).replace("T", " ").removesuffix("+00:00")
    rows = ask(reader, "scores-as-of", as_of=when)
    assert {row["name"]: row["value"] for row in rows if row["run_id"] == "r2"} == values


@pytest.mark.parametrize("minute", [65, 75, 95])
def test_pages_of_scores_as_of(reader: Reader, minute: float) -> None:
    when = at(minute).replace("T", " ").removesuffix("+00:00")
    whole, found, after = ask(reader, "scores-as-of", as_of=when), [], ""
    while rows := ask(reader, "scores-as-of", as_of=when, limit=2, after=after):
        found += rows
        after = max(row["score_id"] for row in rows)
    assert len(whole) >= 4 and sorted(found, key=str) == sorted(whole, key=str)
