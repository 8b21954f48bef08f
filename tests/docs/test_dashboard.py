"""Every query of the dashboard runs on the real engine,
with Grafana's macros filled in as its plugin does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

BEGIN = int(datetime(2026, 5, 1, tzinfo=UTC).timestamp())
END = int(datetime(2026, 8, 1, tzinfo=UTC).timestamp())
CHOSEN = {"agent": "coder", "name": "merged", "attribute": "language"}

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def dashboard(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "dashboards" / "grafana" / "upshot.json").read_text())
    return found


def filled(sql: str, chosen: dict[str, str]) -> str:
    """The SQL that reaches ClickHouse: a variable without a choice stands on All."""
    sql = re.sub(r"\$__conditionalAll\((.+), \$(\w+)\)", lambda m: m[1] if m[2] in chosen else "1=1", sql)
    sql = re.sub(
        r"\$__timeFilter\(([\w.]+)\)", rf"\1 >= toDateTime({BEGIN}) AND \1 <= toDateTime({END})", sql
    )
    sql = re.sub(
        r"\$__timeInterval\(([\w.]+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)", sql
    )
    sql = re.sub(r"\$\{(\w+):singlequote\}", lambda m: f"'{chosen[m[1]]}'", sql)
    assert "$" not in sql, sql
    return sql


def targets(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Title, SQL, and whether it feeds a graph over time."""
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["rawSql"], target["format"] == 0


@pytest.mark.parametrize("chosen", [{"attribute": "language"}, CHOSEN], ids=["all", "chosen"])
def test_every_panel_shows_something(
    dashboard: dict[str, Any], story: Client, chosen: dict[str, str]
) -> None:
    for title, sql, over_time in targets(dashboard):
        result = story.query(filled(sql, chosen))
        assert result.row_count, title
        if not (title == "Scores of unknown runs" and chosen == CHOSEN):
            assert any(result.result_rows[0]), f"{title} shows nothing but zeros"
        if over_time:
            assert result.column_names[0] == "time" and isinstance(result.result_rows[0][0], datetime), title


def test_by_agent_is_what_the_tables_say(dashboard: dict[str, Any], story: Client) -> None:
    sql = next(sql for title, sql, _ in targets(dashboard) if title == "By agent")
    shown = story.query(filled(sql, {})).result_rows
    assert ("newcomer", "merged", 0, None, None, 1) in shown
    scores = story.query("SELECT agent, name, value, kind FROM current_scores WHERE run_known").result_rows
    for agent, name, scored, rate, mean, _ in shown:
        values = [value for a, n, value, _ in scores if (a, n) == (agent, name)]
        if values:
            assert scored == len(values)
            assert (mean if rate is None else rate) == pytest.approx(sum(values) / len(values))
            assert (rate is None) == (name == "helpful")


def test_variables_offer_choices(dashboard: dict[str, Any], story: Client) -> None:
    for variable in dashboard["templating"]["list"]:
        offered = {row[0] for row in story.query(variable["query"]).result_rows}
        assert CHOSEN[variable["name"]] in offered


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
