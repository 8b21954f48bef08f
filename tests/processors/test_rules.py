"""What outcomes say to a question, mode by mode."""

from __future__ import annotations

import json
from sys import float_info
from typing import Any

import jmespath
import pytest
from msgspec import Raw

from upshot.processors.correlate.rules import Irrelevant, NoReading, Reads, decide, read
from upshot.processors.correlate.state import StoredMatch, StoredOutcome, StoredRule, StoredWait, Verdict

OPENED, SINCE, DEADLINE = 100, 90, 200


def question(on: dict[str, StoredMatch], **rule: Any) -> StoredWait:
    return StoredWait("w", "r", "n", OPENED, SINCE, DEADLINE, StoredRule(on=on, **rule).json)


def outcome(time: int, data: Any = None, *, kind: str = "closed", id: str | None = None) -> StoredOutcome:
    return StoredOutcome(
        id=id or f"{kind}@{time}",
        type=kind,
        time=time,
        arrived=0,
        partition=0,
        offset=0,
        data_json=Raw(json.dumps(data).encode()),
    )


MERGED = {"closed": StoredMatch("data.merged")}


def test_first_takes_the_earliest_by_its_own_time() -> None:
    later, earlier = outcome(150, {"merged": False}), outcome(120, {"merged": True})
    assert decide(question(MERGED), [later, earlier], judged=False) == Verdict(
        True, "outcome", 120, "closed@120"
    )


def test_last_takes_the_latest() -> None:
    outcomes = [outcome(150, {"merged": False}), outcome(120, {"merged": True})]
    assert decide(question(MERGED, mode="last"), outcomes, judged=False) == Verdict(
        False, "outcome", 150, "closed@150"
    )


def test_ties_go_by_id() -> None:
    b, a = outcome(120, {"merged": False}, id="b"), outcome(120, {"merged": True}, id="a")
    assert decide(question(MERGED), [b, a], judged=False) == Verdict(True, "outcome", 120, "a")
    assert decide(question(MERGED, mode="last"), [b, a], judged=False) == Verdict(False, "outcome", 120, "b")


def test_all_waits_for_every_type_and_takes_the_least() -> None:
    asked = question({"closed": StoredMatch(True), "deployed": StoredMatch("data.ok")}, mode="all")
    closed, failed = outcome(110), outcome(130, {"ok": False}, kind="deployed")
    assert decide(asked, [closed], judged=False) is None
    assert decide(asked, [failed, closed], judged=False) == Verdict(False, "outcome", 130, "deployed@130")


def test_count_and_sum_give_the_score_as_it_stands() -> None:
    counted = question({"closed": StoredMatch()}, mode="count")
    summed = question({"closed": StoredMatch("data.amount")}, mode="sum")
    paid = [outcome(110, {"amount": 0.1}), outcome(120, {"amount": 0.2}), outcome(130, {"amount": 0.3})]
    assert decide(counted, paid, judged=False) == Verdict(3.0, "outcome", 130, "closed@130")
    assert decide(summed, paid, judged=False) == Verdict(0.6, "outcome", 130, "closed@130")


#: It doubles with each level.
COSTLY = "|".join(["[@,@][]"] * 16) + "|length(@)"


@pytest.mark.parametrize(
    ("amounts", "value"),
    [
        ([1e308, 1e308, -1e308], 1e308),
        ([-1e308, 1e308, 1e308], 1e308),
        ([1e308, 1e308], float_info.max),
        ([-1e308, -1e308, -1.0], -float_info.max),
    ],
)
def test_a_sum_beyond_all_doubles_is_the_largest(amounts: list[float], value: float) -> None:
    summed = question({"closed": StoredMatch("data.amount")}, mode="sum")
    paid = [outcome(110 + number, {"amount": amount}) for number, amount in enumerate(amounts)]
    found = decide(summed, paid, judged=False)
    assert isinstance(found, Verdict)
    assert found.value == value


@pytest.mark.parametrize(
    ("nothing_came", "expected"),
    [(False, Verdict(False, "deadline", DEADLINE)), (None, Verdict(None, "expired", DEADLINE))],
)
def test_absence_decides_at_the_deadline_only(nothing_came: bool | None, expected: Verdict) -> None:
    asked = question(MERGED, nothing_came=nothing_came)
    assert decide(asked, [], judged=False) is None
    assert decide(asked, [], judged=True) == expected


@pytest.mark.parametrize(("time", "counts"), [(89, False), (90, True), (200, True), (201, False)])
def test_the_window_includes_both_ends(time: int, counts: bool) -> None:
    asked = question(MERGED)
    assert isinstance(read(asked.rule, asked, outcome(time, {"merged": True})), Reads) is counts


def test_a_condition_filters() -> None:
    asked = question({"closed": StoredMatch(True, when="data.by == 'human'")})
    assert read(asked.rule, asked, outcome(110, {"by": "bot"})) == Irrelevant()
    assert read(asked.rule, asked, outcome(110, {"by": "human"})) == Reads(True)


@pytest.mark.parametrize(
    ("path", "data", "detail"),
    [
        ("data.merged", {}, "gave null"),
        ("data.merged", {"merged": "yes"}, "gave str"),
        ("data.merged", {"merged": [1]}, "gave list"),
        ("data.merged", {"merged": 10**400}, "too large"),
        ("length(data.merged)", {"merged": 5}, "can't be evaluated"),
    ],
)
def test_what_is_no_score_is_unusable(path: str, data: Any, detail: str) -> None:
    asked = question({"closed": StoredMatch(path)})
    reading = read(asked.rule, asked, outcome(110, data))
    assert isinstance(reading, NoReading)
    assert detail in reading.detail


@pytest.mark.parametrize(
    "match", [StoredMatch(COSTLY), StoredMatch(True, when=COSTLY)], ids=["score", "when"]
)
def test_what_takes_too_many_steps_is_unusable(match: StoredMatch) -> None:
    asked = question({"closed": match})
    reading = read(asked.rule, asked, outcome(110, {"merged": True}))
    assert isinstance(reading, NoReading)
    assert "can't be evaluated: it takes more than 10," in reading.detail and COSTLY in reading.detail


def test_larger_data_may_take_more_steps() -> None:
    asked = question({"closed": StoredMatch("sum(data.items[?price > `3`].price)")})
    items = [{"price": 4}] * 5_000
    assert read(asked.rule, asked, outcome(110, {"items": items})) == Reads(20_000.0)


def test_a_sum_refuses_booleans() -> None:
    asked = question(MERGED, mode="sum")
    assert isinstance(read(asked.rule, asked, outcome(110, {"merged": True})), NoReading)


def test_a_path_reads_the_whole_outcome() -> None:
    asked = question({"closed": StoredMatch("data.items[0].price", when="type == 'closed' && id == 'x'")})
    assert read(asked.rule, asked, outcome(110, {"items": [{"price": 3}]}, id="x")) == Reads(3.0)


@pytest.mark.parametrize("path", ["data", "data.a", "data.a.b", "data.a.b.c", "data.missing"])
@pytest.mark.parametrize("data", [None, 1, [1], {"a": 1}, {"a": {"b": True}}, {"a": None}, {"a": [{"b": 1}]}])
def test_the_short_way_for_names_with_dots_finds_what_jmespath_finds(path: str, data: Any) -> None:
    asked = question({"closed": StoredMatch(path)})
    found = read(asked.rule, asked, outcome(110, data))
    value = jmespath.search(path, {"data": data})
    assert found == Reads(value) if isinstance(value, bool | int) else isinstance(found, NoReading)
