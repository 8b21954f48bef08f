"""The look for rows that stand twice: it finds them in every table, and nothing that was taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.store.conftest import Store
from upshot.processors.materialize.check import PARTS, doubled

pytestmark = pytest.mark.stack
THEN = datetime(2026, 3, 1, tzinfo=UTC)
LATER = THEN + timedelta(days=40)


def every_part(store: Store) -> list[str]:
    def rows(sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return store.client.query(sql, parameters=dict(parameters)).result_rows

    return sorted(run_id for part in range(PARTS) for run_id in doubled(rows, part))


def put(store: Store, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:  # each in a part of its own
        store.client.insert(table, [list(row.values())], column_names=list(row))


RUN = {"started_at": THEN, "row_version": 1 << 16, "gone": 0}
SCORE = {**RUN, "name": "merged", "score_key": 7, "kind": "boolean"}
EXPOSURE = {**RUN, "experiment": "tone", "exposure_key": 7}


@pytest.mark.parametrize(
    ("table", "row", "another"),
    [
        ("raw_scored_runs", RUN, {"started_at": LATER}),
        ("raw_score_rows", SCORE, {"started_at": LATER}),
        ("raw_score_rows", SCORE, {"name": "closed"}),
        ("raw_exposure_rows", EXPOSURE, {"started_at": LATER}),
        ("raw_exposure_rows", EXPOSURE, {"experiment": "voice"}),
    ],
)
async def test_what_stands_under_two_keys_is_found(
    store: Store, table: str, row: dict[str, Any], another: dict[str, Any]
) -> None:
    store.keep_parts()
    again = {**row, "row_version": 2 << 16}
    put(store, table, [{**row, "run_id": "once"}, {**again, "run_id": "once"}])
    put(
        store,
        table,
        [{**row, "run_id": "twice ' \\ \"\n"}, {**again, **another, "run_id": "twice ' \\ \"\n"}],
    )
    put(store, table, [{**row, "run_id": "moved"}, {**again, **another, "run_id": "moved"}])
    put(store, table, [{**row, "run_id": "moved", "row_version": 2 << 16, "gone": 1}])
    assert every_part(store) == ["twice ' \\ \"\n"]
