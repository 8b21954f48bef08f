"""Every query of the cookbook runs on the real engine and finds something in the story."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
QUERIES = re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.stack


def test_every_section_has_its_query() -> None:
    text = PAGE.read_text()
    assert len(QUERIES) == text.count("\n## ") == text.count("```sql")


@pytest.mark.parametrize(("title", "sql"), QUERIES, ids=[title for title, _ in QUERIES])
def test_it_finds_something(story: Client, title: str, sql: str) -> None:
    assert story.query(sql).row_count > 0


def test_the_history_has_a_late_revision(story: Client) -> None:
    sql = next(sql for title, sql in QUERIES if title == "The history of one score")
    rows = story.query(sql).named_results()
    found = [(row["revision"], row["value"], row["reason"], row["late"]) for row in rows]
    assert found == [(1, 0.0, "deadline", False), (2, 1.0, "outcome", True)]


def test_as_of_differs_from_now(story: Client) -> None:
    sql = next(sql for title, sql in QUERIES if title == "What did we believe then?")
    then = {row[:2]: row[2] for row in story.query(sql).result_rows}
    now = story.query("SELECT agent, name, count() FROM current_scores GROUP BY agent, name").result_rows
    assert 0 < sum(then.values()) < sum(count for *_, count in now)
