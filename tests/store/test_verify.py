"""Assignments computed again in SQL agree with the SDK's, one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from tests.store.conftest import Store, record
from upshot.experiments.assignment import Assigned, Assigner
from upshot.experiments.definition import declared
from upshot.experiments.draws import Arms
from upshot.insights.experiments.verify import verified
from upshot.insights.reader import Reader

pytestmark = pytest.mark.stack
MANY = 100_000
WEIGHTS = {"größer": 0.5, "kleiner": 0.3, "唯一": 0.2, "none": 0.0}


def exposure(unit: str, given: Assigned, name: str) -> dict[str, Any]:
    event = {"run_id": f"run of {unit}", "experiment": name, "variant": given.variant, "phase": given.phase}
    return event | {"unit": unit, "strategy": given.strategy, "probability": given.probability}


def made(name: str, count: int, phase: str) -> list[dict[str, Any]]:
    definition = replace(declared(name, WEIGHTS, control="größer", unit="user"), phase=phase)
    assigner = Assigner(definition)
    events = []
    for number in range(count):
        given = assigner.assign(f"Nutzer {number}", {})
        assert isinstance(given, Assigned)
        events.append(exposure(f"Nutzer {number}", given, name))
    return events


async def test_sql_computes_all_of_many_assignments_again(store: Store) -> None:
    name = "modell-wahl 🧪"
    events = made(name, MANY, "1")
    for first in range(0, MANY, 10_000):
        await store.take(*(record("exposures", event) for event in events[first : first + 10_000]))
    event = {"experiment": name, "variants": WEIGHTS, "changed_at": "2026-01-01T00:00:00Z"}
    await store.take(record("experiments", event))
    found = verified(Reader(store.settings), name)
    assert {one.variant for one in found} == {"größer", "kleiner", "唯一"}
    assert sum(one.agree for one in found) == sum(one.exposures for one in found) == MANY
    assert all(one.in_registry for one in found)


async def test_an_assignment_by_other_means_is_found(store: Store) -> None:
    events = made("tone", 200, "code")
    wrong = next(event for event in events if event["variant"] == "größer")
    wrong["variant"], forced = (
        "kleiner",
        exposure("x", Assigned("größer", "x", "code", "forced", None), "tone"),
    )
    await store.take(*(record("exposures", event) for event in [*events, forced]))
    found = verified(Reader(store.settings), "tone")
    assert sum(one.exposures for one in found) == 200, "forced ones aren't by the hash"
    assert [one.exposures - one.agree for one in found if one.agree < one.exposures] == [1]
    assert not any(one.in_registry for one in found)


def test_golden_assignments_in_sql(store: Store) -> None:
    golden = json.loads((files("upshot.experiments") / "vectors.json").read_text(encoding="utf-8"))
    for one in golden["assignments"]:
        parts = ["upshot-1", one["experiment"], one["unit"], one["variant"]]
        data = "".join(f"{len(part.encode())}:{part}" for part in parts)
        sql = (
            "SELECT (toFloat64(bitShiftRight(reinterpretAsUInt64(substring(murmurHash3_128({data:String}), "
            "1, 8)), 11)) + 0.5) / 9007199254740992"
        )
        [[draw]] = store.client.query(sql, {"data": data}).result_rows
        assert draw == one["draws"][one["variant"]]
        assert Arms(one["experiment"], one["weights"]).choose(one["unit"]) == one["variant"]
