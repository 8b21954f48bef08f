"""The same facts give the same tables, whatever their order and however often they come."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import Store, record
from tests.store.story import AWAITED, INSTANT, story

pytestmark = pytest.mark.stack


async def test_each_record_twice_gives_the_same_tables(store: Store) -> None:
    await store.take(*story())
    once = store.everything()
    await store.take(*story())
    assert store.everything() == once
    await store.take(*story(), *story())
    assert store.everything() == once


@pytest.fixture
async def told(store: Store) -> tuple[Store, dict[str, list[str]]]:
    """A store whose parts stay as they are inserted, and what the story looks like in it."""
    store.keep_parts()
    await store.take(*story())
    return store, store.everything()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_order_and_any_repetition_gives_the_same_tables(
    told: tuple[Store, dict[str, list[str]]], data: st.DataObject
) -> None:
    """Also with each block as a part of its own."""
    store, expected = told
    store.clear()
    log = story()
    again = data.draw(st.lists(st.sampled_from(log), max_size=10))
    shuffled = data.draw(st.permutations(log + again))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        await store.take(*shuffled[start:end])
    assert store.everything() == expected


async def test_the_story_reads_as_it_should(store: Store) -> None:
    await store.take(*story())
    [run] = store.ask("SELECT * FROM runs")
    assert (run["agent"], run["status"], run["version"], run["origin"]) == ("a", "failed", "2", "replay")
    assert run["attributes"] == {"a": "later", "b": "2"}
    assert run["started_at"] == datetime(2026, 1, 1)
    assert store.values("SELECT status, attempt FROM steps ORDER BY attempt") == [("ok", 1), ("ok", 2)]
    assert store.values("SELECT time FROM outcomes") == [(datetime(2026, 1, 1),)]
    assert store.values("SELECT variant, exposed_at, probability FROM exposures ORDER BY variant") == [
        ("a", datetime(2026, 1, 1), None),
        ("b", datetime(2026, 1, 2), None),
    ]
    assert store.values("SELECT wait_id, opened_at FROM waits WHERE wait_id = 'w1'") == [
        ("w1", datetime(2026, 1, 1))
    ]
    assert store.values("SELECT raised_at FROM alerts") == [(datetime(2026, 1, 1),)]
    assert store.values("SELECT wait_id FROM pending ORDER BY wait_id") == [("w2",)]
    assert store.values("SELECT data, deferred_at FROM deferrals") == [('{"x":1}', datetime(2026, 1, 1))]
    assert store.values("SELECT status, revision, error, waiting_for FROM current_followups") == [
        ("waiting", 3, "", [AWAITED | {"deadline": datetime(2026, 2, 1)}])
    ]
    current = store.values(
        "SELECT name, value, revision, reason, agent, run_known FROM current_scores ORDER BY name"
    )
    assert current == [
        ("helpful", 0.9, 3, "given", "a", True),
        ("merged", 1.0, 2, "outcome", "a", True),
        ("unknown", 1.0, 1, "given", "", False),
    ]


async def test_a_later_event_counts_before_parts_are_merged(store: Store) -> None:
    """Whatever the values are: a later one that sorts lower too."""
    store.keep_parts()
    for day, agent in ((2, "zz"), (3, "aa"), (1, "mm")):
        event = {
            "run_id": "r1",
            "agent": agent,
            "occurred_at": INSTANT.format(day),
            "attributes": {"k": agent},
        }
        await store.take(record("runs", event))
    assert store.values("SELECT agent, attributes['k'] FROM runs") == [("aa", "aa")]
    assert store.values("SELECT count() FROM runs WHERE agent = 'zz'") == [(0,)]


events = st.fixed_dictionaries(
    {},
    optional={
        "agent": st.sampled_from(["a", "b"]),
        "status": st.sampled_from(["running", "completed", "failed", "cancelled"]),
        "occurred_at": st.sampled_from([INSTANT.format(n) for n in (1, 2, 3)]),
        "started_at": st.sampled_from([INSTANT.format(n) for n in (1, 2)]),
        "ended_at": st.sampled_from([INSTANT.format(n) for n in (2, 3)]),
        "error": st.sampled_from(["", "x"]),
        "origin": st.sampled_from(["live", "replay"]),
        "attributes": st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from([1, "1", None, "z"])),
    },
)
orders = st.lists(events, min_size=1, max_size=5).flatmap(
    lambda log: st.tuples(
        st.just(log),
        st.lists(st.sampled_from(log), max_size=2).flatmap(lambda more: st.permutations(log + more)),
    )
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases=st.lists(orders, min_size=20, max_size=40))
async def test_events_of_a_run_merge_in_any_order(
    store: Store, cases: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]
) -> None:
    """Many runs at once; round n inserts the nth event of each, in both orders."""
    store.clear()
    store.keep_parts()
    for turn in range(7):
        block = [
            record("runs", {"run_id": f"{side}{number}"} | log[turn])
            for number, case in enumerate(cases)
            for side, log in zip("xy", case, strict=True)
            if turn < len(log)
        ]
        await store.take(*block)
    sides = [
        store.values(
            f"SELECT * EXCEPT run_id FROM runs WHERE run_id LIKE '{side}%' ORDER BY "
            "toUInt32(substring(run_id, 2))"
        )
        for side in "xy"
    ]
    assert len(sides[0]) == len(cases)
    assert sides[0] == sides[1]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_final_status_is_never_overwritten_by_running(store: Store, status: str) -> None:
    await store.take(record("runs", {"run_id": "r", "status": status, "occurred_at": INSTANT.format(1)}))
    await store.take(record("runs", {"run_id": "r", "status": "running", "occurred_at": INSTANT.format(9)}))
    assert store.values("SELECT status FROM runs") == [(status,)]
