"""A step with everything that a span can say, in the real engine."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.store.conftest import Store, record

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples" / "steps"

pytestmark = pytest.mark.stack


async def test_every_field_comes_back(store: Store) -> None:
    said = json.loads((EXAMPLES / "model-call-in-full.json").read_bytes())
    await store.take(record("steps", said))
    [row] = store.ask("SELECT * FROM steps")
    assert row.pop("recorded_at")
    assert row.pop("uncached_input_tokens") == 1840 - 1024 - 256
    assert (row.pop("input"), row.pop("output")) == ("", "")
    for name in ("started_at", "ended_at"):
        assert row.pop(name) == datetime.fromisoformat(said.pop(name)).replace(tzinfo=None)
    for name in ("input_tokens", "output_tokens", "cost_usd"):
        assert row.pop(f"reported_{name}") == said[name]
    assert (row.pop("counted"), row.pop("instrumentation"), row.pop("response_id")) == (True, "", "")
    assert row == said


async def test_what_is_absent_is_empty_or_null(store: Store) -> None:
    await store.take(record("steps", json.loads((EXAMPLES / "least.json").read_bytes())))
    sql = (
        "SELECT operation, cache_write_input_tokens, first_chunk_seconds, finish_reasons, cost_usd, "
        "cost_source FROM steps"
    )
    assert store.values(sql) == [("", None, None, [], None, "")]


async def test_tokens_that_contradict_each_other_are_flagged(store: Store) -> None:
    step = {"run_id": "r1", "step_id": "s1", "name": "n", "input_tokens": 10, "cached_input_tokens": 8}
    await store.take(record("steps", step | {"cache_write_input_tokens": 5}))
    assert store.values("SELECT uncached_input_tokens FROM steps") == [(-3,)]
