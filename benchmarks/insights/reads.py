"""Which tables a question reads, and how much of each, as ClickHouse plans it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client

from benchmarks.insights.questions import Asked

#: Tables of facts: a row for each fact, in the order of its id.
FACTS = frozenset(
    (
        "raw_runs",
        "raw_steps",
        "raw_waits",
        "raw_outcomes",
        "raw_scores",
        "raw_latest_by_kind",
        "raw_exposures",
        "raw_carried_exposures",
    )
)


class Reading(NamedTuple):
    """One reading of one table: the granules that are read, and those that there are."""

    table: str
    read: int
    granules: int

    @property
    def wholly(self) -> bool:
        """Whether no index leaves anything out, of a table with more than a few granules."""
        return self.read >= self.granules > 2


def readings(client: Client, asked: Asked) -> list[Reading]:
    """Every reading in the plan of a question. Raises clickhouse-connect's errors."""
    explained = client.query(
        f"EXPLAIN PLAN indexes = 1, json = 1 {asked.sql}", parameters=dict(asked.parameters)
    )
    return list(_found(json.loads("\n".join(row[0] for row in explained.result_rows))))


def facts_read_wholly(client: Client, asked: Asked) -> set[str]:
    """The tables of facts that a question reads from end to end."""
    return {one.table for one in readings(client, asked) if one.table in FACTS and one.wholly}


def _found(plan: Any) -> Iterator[Reading]:
    if isinstance(plan, list):
        for part in plan:
            yield from _found(part)
    elif isinstance(plan, dict):
        if plan.get("Node Type") == "ReadFromMergeTree" and plan.get("Indexes"):
            yield _reading(plan)
        for part in plan.values():
            yield from _found(part)


def _reading(node: dict[str, Any]) -> Reading:
    used = node["Indexes"]
    table = str(node["Description"]).rpartition(".")[2].strip("`")
    first = int(used[0].get("Initial Granules", 0))
    return Reading(table, int(used[-1].get("Selected Granules", first)), first)


__all__ = ["FACTS", "Reading", "facts_read_wholly", "readings"]
