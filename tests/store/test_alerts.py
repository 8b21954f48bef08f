"""Alerts in ClickHouse: a row for each state, whichever way the states are repeated and ordered."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.store.conftest import Store, Written, record
from tests.store.story import INSTANT

pytestmark = pytest.mark.stack


def state(revision: int, **changed: Any) -> Written:
    event = {
        "alert_id": "a",
        "name": "low",
        "run_id": "r1",
        "score_id": "s1",
        "value": 0.1,
        "cause": "s1",
        "revision": revision,
        "raised_at": INSTANT.format(revision),
        "detected_at": INSTANT.format(revision),
    }
    return record("alerts", event | changed)


async def test_any_order_and_repetition_is_the_same_row(store: Store) -> None:
    states = [
        state(1),
        state(2, state="resolved"),
        state(1, detected_at=INSTANT.format(9), silent="older than max_age"),
    ]
    for order in permutations(states):
        store.clear()
        for one in order:
            await store.take(one, one)
        assert store.values("SELECT state, silent FROM alerts ORDER BY revision") == [
            ("firing", ""),
            ("resolved", ""),
        ]
        assert store.values("SELECT state, fired_at < changed_at, revision FROM alert_states") == [
            ("resolved", True, 2)
        ]


async def test_resolved_without_firing_is_no_alert(store: Store) -> None:
    await store.take(state(2, state="resolved"))
    assert store.values("SELECT * FROM alert_states") == []


async def test_an_alert_of_before_reads_as_firing_and_one_about_many_has_no_run(store: Store) -> None:
    least = {"alert_id": "b", "name": "n", "run_id": "r", "score_id": "s", "value": 1}
    of_many = {"alert_id": "c", "name": "n", "kind": "rate", "group": {"agent": "x"}}
    for event in (least, of_many):
        await store.take(record("alerts", event | {"raised_at": INSTANT.format(1)}))
    found = store.values("SELECT alert_id, rule_kind, state, run_id, value FROM alert_states ORDER BY 1")
    assert found == [("b", "score", "firing", "r", 1.0), ("c", "rate", "firing", "", None)]


async def test_every_record_of_a_rule_is_a_row(store: Store) -> None:
    rule = {"name": "low", "kind": "score", "score": "helpful", "changed_at": INSTANT.format(1)}
    await store.take(
        record("alert-rules", rule | {"below": 0.3}, offset=0),
        record("alert-rules", rule | {"below": 0.2, "version": 2, "enabled": False}, offset=1),
    )
    assert store.values("SELECT version, enabled FROM alert_rules") == [(2, False)]
    assert store.values("SELECT count() FROM raw_alert_rules") == [(2,)]
