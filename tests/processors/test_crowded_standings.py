"""Where the waits of a crowded subject stand is written now and then; the rest follows from its segments."""

from __future__ import annotations

import pytest
from msgspec import Raw

from tests.processors.test_crowded_properties import Crowded
from upshot.processors.correlate.crowded import decode_head, weighing
from upshot.processors.correlate.decide import step
from upshot.processors.correlate.encode import outcome_bytes
from upshot.processors.correlate.facts import Arrival, Cancelled, OutcomeReceived, ScoreRevised, WaitReceived
from upshot.processors.correlate.state import (
    Cancellation,
    StoredMatch,
    StoredOutcome,
    StoredRule,
    StoredWait,
    Verdict,
)

BEGIN = 1_783_000_000_000_000


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn may end after each step."""
    monkeypatch.setattr(weighing, "STRIDES", 1)


def wait(ident: str, mode: str = "count", **changed: object) -> WaitReceived:
    rule = StoredRule({"closed": StoredMatch("data.v")}, None, mode).json  # type: ignore[arg-type]
    window: dict[str, object] = {"opened_at": BEGIN, "since": BEGIN, "deadline": BEGIN + 10**12}
    stated = {"wait_id": ident, "run_id": "r", "name": "n", "rule_json": rule, "tolerance": 0}
    return WaitReceived("pr:1", StoredWait(**(stated | window | changed)))  # type: ignore[arg-type]


def outcome(number: int, at: int | None = None) -> OutcomeReceived:
    time = BEGIN + number * 1000 if at is None else at
    data = Raw(b'{"v":1}')
    known = StoredOutcome(f"id-{number}", "closed", time, time, 0, number, "s", data, 999, None, time // 1000)
    return OutcomeReceived("pr:1", known)


def revisions(crowded: Crowded) -> list[tuple[str, int, Verdict]]:
    scores = [fact for fact in crowded.facts if isinstance(fact, ScoreRevised)]
    return [(fact.wait.wait_id, fact.revision.number, fact.revision.verdict) for fact in scores]


@pytest.mark.parametrize("waits", [1, 10, 100])
@pytest.mark.parametrize("at_once", [1, 10])
@pytest.mark.parametrize("mode", ["count", "sum", "last"])
def test_an_outcome_writes_less_than_ten_times_its_bytes(waits: int, at_once: int, mode: str) -> None:
    written, table = 0, dict[bytes, bytes]()
    crowded = Crowded(1, 10**6)
    crowded.process([wait(f"w{number}", mode) for number in range(waits)])
    crowded.settle()
    outcomes = [outcome(number) for number in range(400)]
    for first in range(0, len(outcomes), at_once):
        crowded.process(outcomes[first : first + at_once])
        while crowded.crowds.is_busy:
            written += sum(len(key) + len(v) for key, v in crowded.table.items() if table.get(key) != v)
            table = dict(crowded.table)
            crowded.turn()
        written += sum(len(key) + len(v) for key, v in crowded.table.items() if table.get(key) != v)
        table = dict(crowded.table)
    assert len(revisions(crowded)) == waits * len(outcomes)
    told = sum(len(outcome_bytes("pr:1", told.outcome)) for told in outcomes)
    assert written < 10 * told


def test_after_a_restart_the_numbers_go_on_and_nothing_is_announced_again() -> None:
    straight, restarted = Crowded(1, 3), Crowded(1, 3)
    arrivals: list[Arrival] = [wait(f"w{number}") for number in range(20)]
    for crowded in (straight, restarted):
        crowded.process(arrivals)
        for number in range(30):
            crowded.process([outcome(number)])
            crowded.settle()
            if crowded is restarted:
                before = len(crowded.facts)
                crowded.begin()
                crowded.due()
                crowded.settle()
                assert len(crowded.facts) == before
        crowded.judge()
    assert revisions(restarted) == revisions(straight)


def test_a_head_of_the_version_before_has_all_its_standings() -> None:
    assert decode_head(b"[1,7,9,2,0,5,100,3,null]").weighed_again_from == 7


def test_a_crowd_of_the_version_before_goes_on() -> None:
    crowded = Crowded(1, 10**6)
    crowded.process([wait("w")])
    for number in range(5):
        crowded.process([outcome(number)])
        crowded.settle()
    name = b"pr:1"
    head = decode_head(crowded.table[name])
    assert head.stood == head.weighed, "one wait's standing is written each time"
    crowded.table[name] = crowded.table[name].rpartition(b",")[0] + b"]"
    assert decode_head(crowded.table[name]).stood is None
    crowded.begin()
    crowded.process([outcome(5)])
    crowded.settle()
    assert [number for _, number, _ in revisions(crowded)] == [1, 2, 3, 4, 5, 6]


def test_a_crash_in_the_middle_of_an_entry_leaves_what_the_entry_needs(looks_often: None) -> None:
    """The cancellation came before its wait: it lies in a segment that the wait's own entry empties."""
    for cut in range(6):
        crowded = Crowded(1, 1)
        asked = wait("w", "first", opened_at=0, since=0, deadline=1)
        for told in (Cancelled("pr:1", "w", "", Cancellation(0, 0)), asked):
            crowded.process([told])
            crowded.turn(0, cut)
            crowded.begin()
            crowded.turn()
        crowded.judge()
        assert crowded.verdicts() == {("pr:1", "w"): Verdict(None, "cancelled", 0)}


def test_cancelled_at_its_very_end_a_wait_of_whole_seconds_has_heard_that_second() -> None:
    """The window covers the whole second of the deadline; cancelled within, the wait ends there."""
    ends, within = BEGIN + 10**6, BEGIN + 10**6 + 900_000
    asked = wait("w", "first", deadline=ends, width=999_999)
    told: list[Arrival] = [
        asked,
        outcome(1, at=within - 1),
        Cancelled("pr:1", "w", "", Cancellation(within, 0)),
    ]
    crowded = Crowded(1, 3)
    for arrival in [told[2], *told[:2]]:
        crowded.process([arrival])
    crowded.judge()
    plain = step({}, told, 1).subjects["pr:1"].waits["w"].verdict
    assert plain is not None
    assert crowded.verdicts()["pr:1", "w"] == plain
