"""Forgetting on the real engine: all rows about a run or a subject are gone from every table."""

from __future__ import annotations

import json

import pytest

from tests.insights.conftest import Stored, records, settings_of, store
from upshot.insights.reader import Reader
from upshot.local.clickhouse import ClickHouseServer
from upshot.processors.store.forgetting import Forgotten, delete, find
from upshot.settings import Settings

pytestmark = pytest.mark.stack

COUNTED = {
    "run": "SELECT count() FROM {} WHERE run_id = 'r1'",
    "subject": "SELECT count() FROM {} WHERE subject = 'pr:r1'",
}


@pytest.fixture
async def settings(clickhouse: ClickHouseServer, request: pytest.FixtureRequest) -> Settings:
    name = request.node.name.replace("[", "_").replace("]", "")
    settings = settings_of(clickhouse, f"upshot_forgetting_{name}")
    deferred = {"followup_id": "f", "run_id": "r1", "scorer": "s", "deferred_at": "2026-03-01T12:00:00Z"}
    letter = Stored(settings.topic("waits"), 0, 900, 1, b"pr:r1", b"{")
    extra = Stored(settings.topic("deferrals"), 0, 901, 1, None, json.dumps(deferred).encode())
    await store(settings, [*records(settings), letter, extra])
    return settings


@pytest.mark.parametrize(
    "person", [Forgotten("run", "r1"), Forgotten("subject", "pr:r1")], ids=["run", "subject"]
)
def test_no_table_names_the_forgotten_any_more(settings: Settings, person: Forgotten) -> None:
    reader = Reader(settings)
    before = reader.query("SELECT count() FROM current_scores").rows
    found = find(settings, person)
    assert {"raw_waits", "raw_scores"} <= {held.table for held in found.held}
    delete(settings, found)
    assert find(settings, person).held == []
    for view in ("waits", "scores", "current_scores", "score_rows", "open_waits"):
        assert reader.query(COUNTED[person.kind].format(view)).rows == [[0]]
    assert reader.query("SELECT count() FROM current_scores").rows < before
    assert reader.query("SELECT count() FROM runs WHERE run_id = 'r2'").rows == [[1]]
    delete(settings, find(settings, person))


def test_what_the_workers_are_to_be_told(settings: Settings) -> None:
    found = find(settings, Forgotten("run", "r1"))
    assert (list(found.subjects), list(found.followups)) == (["pr:r1"], ["f"])
    assert list(find(settings, Forgotten("subject", "pr:r1")).runs) == ["r1"]


def test_dead_letters_go_by_their_key(settings: Settings) -> None:
    person = Forgotten("subject", "pr:r1")
    delete(settings, find(settings, person))
    assert Reader(settings).query("SELECT count() FROM dead_letters WHERE key = 'pr:r1'").rows == [[0]]


async def test_a_run_is_forgotten_with_its_traces(settings: Settings) -> None:
    step = {"run_id": "trace-1", "step_id": "1", "name": "root"}
    trace = {"run_id": "trace-1", "attributes": {"upshot.known_as": "r1"}}
    told = (("steps", 902, step), ("runs", 903, trace))
    await store(
        settings,
        [
            Stored(settings.topic(topic), 0, n, 1, b"trace-1", json.dumps(one).encode())
            for topic, n, one in told
        ],
    )
    found = find(settings, Forgotten("run", "r1"))
    assert {"r1", "trace-1"} <= {*found.names}
    delete(settings, found)
    assert Reader(settings).query("SELECT count() FROM raw_steps WHERE run_id = 'trace-1'").rows == [[0]]
    assert find(settings, Forgotten("run", "r1"), found.names).held == []


def test_of_somebody_unknown_there_is_nothing(settings: Settings) -> None:
    assert find(settings, Forgotten("run", "nobody")).held == []
