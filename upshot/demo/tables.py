"""What ClickHouse says of the demo's runs, in the shape of the file's own counts."""

from __future__ import annotations

from upshot.demo.events import NAME
from upshot.demo.truth import Count, Truth
from upshot.insights.reader import Reader

_COUNTS = """
SELECT grouped, sum(scored) AS scored, sum(merged) AS merged, sum(pending) AS pending
FROM
(
    SELECT {group} AS grouped, 1 AS scored, toUInt64(value) AS merged, 0 AS pending
    FROM current_scores WHERE name = '{name}' AND startsWith(run_id, 'pr-')
    UNION ALL
    SELECT {group}, 0, 0, 1 FROM pending WHERE name = '{name}' AND startsWith(run_id, 'pr-')
)
GROUP BY grouped
"""


def tables_of(reader: Reader) -> Truth:
    """Scored, merged and pending by agent and by language."""
    return Truth(_counts(reader, "toString(agent)"), _counts(reader, "attributes['language']"))


def _counts(reader: Reader, group: str) -> dict[str, Count]:
    rows = reader.query(_COUNTS.format(group=group, name=NAME)).rows
    return {name: Count(*(int(count) for count in counts)) for name, *counts in rows}


def total_of(counts: dict[str, Count]) -> Count:
    """All groups together."""
    columns = zip(*counts.values(), strict=True) if counts else [(), (), ()]
    return Count(*(sum(column) for column in columns))


def rate_of(count: Count) -> str:
    """Merged of scored in percent with one decimal; empty where nothing was scored."""
    return f"{100 * count.merged / count.scored:.1f}%" if count.scored else ""


def differences(file: Truth, stored: Truth) -> list[str]:
    """Where ClickHouse and the file differ, a line each."""
    nothing = Count(0, 0, 0)
    return [
        f"{name or '(no name)'}: the file has {_said(expected.get(name, nothing))}, "
        f"ClickHouse {_said(found.get(name, nothing))}"
        for expected, found in ((file.agents, stored.agents), (file.languages, stored.languages))
        for name in sorted({*expected, *found})
        if expected.get(name, nothing) != found.get(name, nothing)
    ]


def _said(count: Count) -> str:
    return f"{count.scored} scored, {count.merged} merged, {count.pending} pending"


__all__ = ["differences", "rate_of", "tables_of", "total_of"]
