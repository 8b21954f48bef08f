"""Queries about one thing read its rows alone, and show the same with parts that aren't merged."""

from __future__ import annotations

import pytest

from tests.store.conftest import Store, record
from upshot.insights.pages.run import run_payload, run_row, step_payload
from upshot.insights.reader import Reader

pytestmark = pytest.mark.stack


async def test_a_run_told_in_parts_is_shown_whole(store: Store) -> None:
    store.keep_parts()
    ended = {"ended_at": "2026-01-01T12:00:05Z", "status": "completed", "output": "done"}
    step = {"run_id": "r1", "step_id": "s1", "name": "draft", "kind": "model"}
    await store.take(
        record("runs", {"run_id": "r1", "agent": "support", "input": "ask", "attributes": {"tier": "pro"}}),
        record("runs", {"run_id": "r2", "agent": "other", "input": "no"}, offset=1),
        record("steps", {**step, "status": "error", "output": "early"}),
    )
    await store.take(
        record("runs", {"run_id": "r1", **ended}, offset=2),
        record("steps", {**step, "status": "ok", "output": "late"}, offset=1),
    )
    reader = Reader(store.settings)
    row, payload = run_row(reader, "r1"), run_payload(reader, "r1")
    assert row and payload
    assert (row["agent"], row["status"], row["attributes"]) == ("support", "completed", {"tier": "pro"})
    assert (payload["shown_input"], payload["shown_output"]) == ("ask", "done")
    found = step_payload(reader, "r1", "s1")
    assert found and found["shown_output"] == "late"
    assert run_row(reader, "r3") is None


@pytest.mark.parametrize("view", ["runs", "steps"])
async def test_the_key_comes_before_other_columns(store: Store, view: str) -> None:
    await store.take(
        record("runs", {"run_id": "r1", "input": "ask"}),
        record("steps", {"run_id": "r1", "step_id": "s1", "name": "draft", "kind": "model", "status": "ok"}),
    )
    sql = f"EXPLAIN actions = 1 SELECT run_id, input FROM {view} WHERE run_id = {{run:String}}"

    def plan(reader: Reader) -> str:
        return "\n".join(line for (line,) in reader.query(sql, {"run": "r1"}).rows).lower()

    assert "prewhere" not in plan(Reader(store.settings)), "what others ask is left as it is"
    assert "prewhere" in plan(Reader(store.settings).by_key())
