"""The demo's numbers: by SQL from ClickHouse, then compared with the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from upshot.demo.expected import Count, ExpectedScores
from upshot.insights.reader import Reader

_BY = {"agent": "agent", "language": "attributes['language']", "total": "'total'"}

_COUNTED = """
SELECT group, sum(scored) AS scored, sum(merged) AS merged,
       if(scored = 0, NULL, round(100 * merged / scored, 1)) AS rate_percent, sum(waiting) AS pending
FROM
(
    SELECT {by} AS group, 1 AS scored, toUInt64(value = 1) AS merged, 0 AS waiting
    FROM current_scores WHERE name = 'merged'
    UNION ALL
    SELECT {by} AS group, 0, 0, 1 FROM pending WHERE name = 'merged'
)
GROUP BY group
ORDER BY scored DESC, group"""


@dataclass(frozen=True)
class ResultLine:
    """A group: how many were scored, how many of them merged, the rate in percent, how many wait."""

    group: str
    scored: int
    merged: int
    rate_percent: float | None
    pending: int

    @property
    def count(self) -> Count:
        """Without the rate, as the file is counted."""
        return Count(self.scored, self.merged, self.pending)


@dataclass(frozen=True)
class Result:
    """All lines."""

    agents: Sequence[ResultLine]
    languages: Sequence[ResultLine]
    total: ResultLine


def read_result(reader: Reader) -> Result:
    """Ask ClickHouse."""
    [total] = _lines(reader, "total")
    return Result(_lines(reader, "agent"), _lines(reader, "language"), total)


def _lines(reader: Reader, by: str) -> list[ResultLine]:
    answer = reader.query(_COUNTED.format(by=_BY[by]))
    return [
        ResultLine(group, int(scored), int(merged), None if rate is None else float(rate), int(pending))
        for group, scored, merged, rate, pending in answer.rows
    ]


def differences(result: Result, truth: ExpectedScores) -> list[str]:
    """The disagreements between ClickHouse and the file, a line for people each."""
    found = []
    for what, lines, counts in (
        ("agent", result.agents, truth.agents),
        ("language", result.languages, truth.languages),
    ):
        shown = {line.group: line.count for line in lines}
        for group in sorted(shown.keys() | counts.keys()):
            if shown.get(group) != counts.get(group):
                found.append(
                    f"{what} {group!r}: {_shown(shown.get(group))}, the file says {_shown(counts.get(group))}"
                )
    return found


def _shown(count: Count | None) -> str:
    if count is None:
        return "nothing"
    return f"{count.scored} scored, {count.merged} merged, {count.pending} pending"


__all__ = ["Result", "ResultLine", "differences", "read_result"]
