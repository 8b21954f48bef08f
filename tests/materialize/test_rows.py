"""Rows for reading equal the exact views, whatever the order, the repetition, the crashes and the owners."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.materialize.conftest import Crashed, Rows, interrupting
from tests.materialize.story import long_story
from upshot.insights.pages.scores import revisions_a_day
from upshot.insights.reader import Reader
from upshot.processors.materialize import changes
from upshot.processors.materialize.changes import ChangedRuns
from upshot.processors.materialize.writer import Writer
from upshot.processors.store.connection import connect

pytestmark = pytest.mark.stack
#: Histories tried; `HISTORIES=200` looks longer.
HISTORIES = int(os.environ.get("HISTORIES", "3"))


async def test_the_rows_equal_the_exact_views(rows: Rows) -> None:
    await rows.store.take(*long_story())
    rows.follow(rows.changes(), Writer(rows.store.settings))
    assert rows.differences() == {}
    counts = {
        view: rows.store.values(f"SELECT count() FROM {view}")[0][0]
        for view in ("scored_runs", "score_rows", "exposure_rows", "open_waits")
    }
    assert all(counts.values()), counts
    [(causes, revised, numbers)] = rows.store.values(
        "SELECT arraySort(groupUniqArrayArray(answer_causes)), max(arrayMax(answer_revised_at)) > 0, "
        "groupUniqArray(earlier_numbers['visits']) FROM exposure_rows"
    )
    assert len(causes) > 1 and revised and 10 in numbers
    assert_revisions_a_day(rows)


def assert_revisions_a_day(rows: Rows) -> None:
    """The page of a score counts every revision."""
    exact = rows.store.values(
        "SELECT name, toString(toStartOfDay(decided_at)), countIf(NOT late), countIf(late) "
        "FROM score_revisions WHERE revision > 1 GROUP BY 1, 2 ORDER BY 1, 2"
    )
    reasons = rows.store.values("SELECT DISTINCT reason = 'given' FROM score_revisions WHERE revision > 1")
    assert len(reasons) == 2 and any(late for *_, late in exact)
    reader = Reader(rows.store.settings)
    found = [
        (name, row["bucket"], int(row["in_time"]), int(row["too_late"]))
        for name in dict.fromkeys(name for name, *_ in exact)
        for row in revisions_a_day(name).rows(reader)
    ]
    assert found == exact


async def test_notes_are_taken_in_parts(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once where there is room, so that a new run is written once for all of its facts."""
    for part in (long_story()[::2], long_story()[1::2]):
        await rows.store.take(*part)
    [(noted,)] = rows.store.values("SELECT uniqExact(run_id) FROM changed_runs WHERE run_id != ''")
    assert len(rows.changes().news().runs) >= noted
    monkeypatch.setattr(changes, "NOTES", 5)
    in_parts = rows.changes()
    assert 0 < len(in_parts.news().runs) < noted
    rows.follow(in_parts, Writer(rows.store.settings))
    assert rows.differences() == {}


async def test_rows_from_before_are_written_by_the_backfill(store_before: Rows) -> None:
    assert store_before.differences() == {}


@pytest.fixture
async def store_before(rows: Rows) -> Rows:
    """Facts without notes: as if they had come before the tables."""
    await rows.store.take(*long_story())
    for table in (
        "changed_runs",
        "raw_claims",
        "raw_keys_by_run",
        "raw_carried_exposures",
        "raw_changed_scores",
        "raw_alias_pairs",
        "raw_first_numbers",
        "raw_backfill",
    ):
        rows.store.client.command(f"TRUNCATE TABLE {table}")
    rows.complete()
    return rows


@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_order_repetition_crash_and_second_owner(rows: Rows, data: st.DataObject) -> None:
    """Also before parts are merged; nothing is visible twice at any point at which a writer may stop."""
    rows.clear()
    rows.keep_parts()
    log = long_story()
    shuffled = data.draw(st.permutations(log + data.draw(st.lists(st.sampled_from(log), max_size=10))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), min_size=1, max_size=3)))
    chance = random.Random(data.draw(st.integers(0, 10_000)))
    first, second = rows.changes(), rows.changes()
    other = Writer(rows.store.settings)

    def interrupt() -> None:
        """Another owner writes meanwhile; or this one stops, for good."""
        assert rows.duplicates() == []
        if chance.random() < 0.5:
            raise Crashed
        rows.follow(second, other)

    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        await rows.store.take(*shuffled[start:end])
        with contextlib.suppress(Crashed):
            rows.follow(first, Writer(rows.store.settings, interrupting(chance, interrupt)))
        assert rows.duplicates() == []
    rows.follow(rows.changes(), Writer(rows.store.settings))
    assert rows.differences() == {}
    assert rows.duplicates() == []


async def test_two_owners_at_one_time_write_the_same_rows(rows: Rows) -> None:
    """Each on a thread of its own, while facts come in."""
    log = long_story()
    random.Random(7).shuffle(log)
    ended = threading.Event()
    found: list[str] = []

    def own() -> None:
        client, writer = connect(rows.store.settings), Writer(rows.store.settings)
        try:
            notes = ChangedRuns(client, 1, [0])
            while not ended.is_set():
                rows.follow(notes, writer)
        finally:
            writer.close()
            client.close()

    def watch() -> None:
        client = connect(rows.store.settings)
        try:
            while not ended.is_set():
                found.extend(rows.duplicates(client))
        finally:
            client.close()

    owners = [asyncio.create_task(asyncio.to_thread(work)) for work in (own, own, watch)]
    try:
        for start in range(0, len(log), 20):
            await rows.store.take(*log[start : start + 20])
    finally:
        ended.set()
        await asyncio.gather(*owners)
    rows.follow(rows.changes(), Writer(rows.store.settings))
    assert rows.differences() == {}
    assert found == rows.duplicates() == []
