"""The queries of the cookbook and of the dashboard, as they reach ClickHouse."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
#: The time that the dashboard shows: the last 30 days of the data set.
_FROM, _TO = "toDateTime('2026-10-29 12:00:00')", "toDateTime('2026-11-28 12:00:00')"
_VARIABLES = {"attribute": "language"}


def cookbook() -> Iterator[tuple[str, str]]:
    """Title and SQL of every section of docs/sql.md."""
    text = (_ROOT / "docs" / "sql.md").read_text("utf-8")
    for title, sql in re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", text, re.DOTALL | re.MULTILINE):
        yield f"sql.md: {title}", sql


def panels() -> Iterator[tuple[str, str]]:
    """Title and SQL of every panel of the dashboard, with its variables on All."""
    dashboard = json.loads((_ROOT / "dashboards" / "grafana" / "upshot.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"panel: {panel['title']}", _filled(target["rawSql"])


def _filled(sql: str) -> str:
    """Grafana's macros and variables as its plugin fills them in."""
    sql = re.sub(r"\$__conditionalAll\((.+), \$(\w+)\)", "1=1", sql)
    sql = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 >= {_FROM} AND \1 <= {_TO}", sql)
    sql = re.sub(
        r"\$__timeInterval\(([\w.]+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)", sql
    )
    return re.sub(r"\$\{(\w+):singlequote\}", lambda match: f"'{_VARIABLES[match[1]]}'", sql)


__all__ = ["cookbook", "panels"]
