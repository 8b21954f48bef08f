"""The shape of a page's query: SQL for all rows, and the part of one screen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from upshot.insights.reader import Reader

Row = dict[str, Any]


@dataclass(frozen=True)
class PageQuery:
    """SQL with its parameters, without a limit: exports and the SQL page have exactly these rows.

    `beginning`: SQL for the first `{rows:UInt32}` of them, where it is quicker than `sql` with a limit; where
    it gives fewer, `sql` is asked.
    """

    sql: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    beginning: str = ""

    def first(self, reader: Reader, count: int) -> Slice:
        """The first rows, and whether there are more."""
        rows: list[Row] = []
        if self.beginning:
            sql = f"{self.beginning}\nLIMIT {count + 1}"
            rows = reader.query(sql, {**self.parameters, "rows": count + 1}).objects()
        if len(rows) <= count:
            rows = reader.query(f"{self.sql}\nLIMIT {count + 1}", self.parameters).objects()
        return Slice(rows[:count], len(rows) > count)

    def some(self, count: int) -> PageQuery:
        """The query of the first rows."""
        return PageQuery(f"{self.sql}\nLIMIT {count}", self.parameters)

    def rows(self, reader: Reader) -> list[Row]:
        """All rows."""
        return reader.query(self.sql, self.parameters).objects()


@dataclass(frozen=True)
class Slice:
    """The rows of one screen. `more`: further rows follow."""

    rows: list[Row]
    more: bool = False


class Conditions:
    """Gathers conditions and their parameters; no value becomes part of the SQL's text."""

    def __init__(self) -> None:
        self.parameters: dict[str, object] = {}
        self._texts: list[str] = []

    def add(self, condition: str, /, **parameters: object) -> None:
        """A condition, with the parameters in its text."""
        self._texts.append(condition)
        self.parameters |= parameters

    def add_before(self, instant: str, ident: str, after: tuple[datetime, str] | None) -> None:
        """Rows behind the last row of a screen that has the latest first; none: the first screen."""
        if after:
            self.add(
                f"({instant}, {ident}) < ({{after_at:DateTime64(6, 'UTC')}}, {{after_id:String}})",
                after_at=after[0],
                after_id=after[1],
            )

    def where(self) -> str:
        """The WHERE clause; empty without conditions."""
        return "\nWHERE " + "\n    AND ".join(self._texts) if self._texts else ""


#: A set from the parameter `ids`, which `ids_of` writes.
IDS = "(SELECT arrayJoin(JSONExtract({ids:String}, 'Array(String)')))"


def ids_of(values: Iterable[str]) -> str:
    """Texts as one parameter, for IDS."""
    return json.dumps(list(values))


def counts_by_state(noun: str, states: Mapping[str, str]) -> str:
    """Columns that count the rows of each state, named `noun state`; an empty condition counts all rows."""
    return ", ".join(
        f"countIf({condition or '1'}) AS `{noun} {state}`" for state, condition in states.items()
    )


__all__ = ["IDS", "Conditions", "PageQuery", "Row", "Slice", "counts_by_state", "ids_of"]
