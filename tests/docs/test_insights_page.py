"""The page on insights: its Python run as it stands, and its named queries and settings compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from upshot.insights.limits import MEMORY_BYTES, SECONDS
from upshot.insights.named_queries import NAMED_QUERIES
from upshot.insights.reader import FORMATS
from upshot.local.clickhouse import ClickHouseServer
from upshot.local.clickhouse_users import VIEWER_LONGEST

PAGE = Path(__file__).parents[2] / "docs" / "insights.md"


@pytest.mark.stack
def test_the_code_of_the_page_runs(
    story: Client,
    clickhouse: ClickHouseServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UPSHOT_CLICKHOUSE_URL", clickhouse.url.rsplit("/", 1)[0] + "/upshot_story")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    [[runs]] = story.query("SELECT count() FROM scored_runs").result_rows
    assert sum(row["runs"] for row in names["answer"]) == runs > 0
    assert sum(map(int, capsys.readouterr().out.split())) == runs
    for row in re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE):
        assert {*re.findall(r"`([\w-]+)`", row)} <= NAMED_QUERIES.keys(), row


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text().split())
    assert f"stopped after {SECONDS} seconds, or when it takes {MEMORY_BYTES >> 30} GiB" in text
    assert f"has {VIEWER_LONGEST} seconds and 2 GiB at the most" in text
    written = re.search(r"`--format (\w+)` \(or (.*?)\)", text)
    assert written
    assert {written[1], *re.findall(r"\w+", written[2].replace("`", ""))} == {*FORMATS} - {"table"}
