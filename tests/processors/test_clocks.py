"""Clocks of other programs: whole seconds, a little skew, several events of one instant."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.json import encode

from tests.odd_records import a_record
from upshot.processors.correlate.decide import expire, step
from upshot.processors.correlate.facts import OutcomeReceived, WaitReceived
from upshot.processors.correlate.state import (
    StoredOutcome,
    StoredWait,
    Subject,
    Verdict,
    as_stored_outcome,
    as_stored_wait,
    decode_subject,
)
from upshot.streams.events.decode import read_outcome, read_wait

SECOND = 1_000_000
NOW = 1_767_300_000_000_000
RULE = {"on": {"pr.closed": {"score": "data.v"}}, "within": "PT6S", "else": False}


def asked(opened_at: str = "05:00:00.961000Z", tolerance: int | str = 0, **emitted: Any) -> WaitReceived:
    """A wait; a tolerance in microseconds is the setting, one in text is its own."""
    rule = RULE | {name: emitted.pop(name) for name in ("mode", "within") if name in emitted}
    event = {"run_id": "r", "name": "n", "subject": "pr:1", "rule": rule} | emitted
    event["opened_at"] = f"2026-01-01T{opened_at}"
    if isinstance(tolerance, str):
        event, tolerance = event | {"tolerance": tolerance}, 0
    return WaitReceived("pr:1", as_stored_wait(read_wait(a_record("waits", event)), tolerance))


def told(time: str, value: Any = True, timestamp: int = 1_767_268_800_000, **emitted: Any) -> OutcomeReceived:
    event = {"type": "pr.closed", "subject": "pr:1", "id": "o", "data": {"v": value}} | emitted
    record = a_record("outcomes", event | {"time": f"2026-01-01T{time}"}, timestamp=timestamp)
    return OutcomeReceived("pr:1", as_stored_outcome(read_outcome(record), NOW, 0, 0))


def answer(*arrivals: WaitReceived | OutcomeReceived) -> Verdict | None:
    """What they end in, once the deadline was judged; the same backwards."""
    found = []
    for turn in (arrivals, arrivals[::-1]):
        subject = expire("pr:1", step({}, turn, NOW).subjects["pr:1"], NOW, NOW).subject
        (waiting,) = subject.waits.values()
        found.append(waiting.verdict)
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("opened_at", "time", "counts"),
    [
        ("05:00:00.961Z", "05:00:00Z", True),
        ("05:00:00.961Z", "05:00:00.9Z", True),
        ("05:00:00.961Z", "05:00:00.961Z", True),
        ("05:00:00.961500Z", "05:00:00.961Z", True),
        ("05:00:00.961500Z", "05:00:00.961000Z", False),
        ("05:00:00.961Z", "05:00:00.000Z", False),
        ("05:00:01.000Z", "05:00:00Z", False),
        ("05:00:00.500Z", "05:00:06Z", True),
        ("05:00:00.000000Z", "05:00:06Z", True),
        ("05:00:00.000000Z", "05:00:06.000001Z", False),
        ("05:00:00.000Z", "05:00:06.000999Z", True),
        ("05:00:00Z", "05:00:06.999Z", True),
        ("05:00:00Z", "05:00:07Z", False),
    ],
)
def test_what_an_instant_covers_has_to_meet_the_window(opened_at: str, time: str, counts: bool) -> None:
    verdict = answer(asked(opened_at), told(time))
    assert verdict is not None
    assert (verdict.value, verdict.reason) == ((True, "outcome") if counts else (False, "deadline"))


@pytest.mark.parametrize(
    ("tolerance", "time", "counts"),
    [
        (500_000, "05:00:00.461000Z", True),
        (500_000, "05:00:00.460999Z", False),
        (500_000, "04:59:59Z", False),
        (1_000_000, "04:59:59Z", True),
        (0, "05:00:00.911Z", False),
        (50_000, "05:00:00.911Z", True),
    ],
)
def test_a_tolerance_is_for_clocks_that_lag(tolerance: int, time: str, counts: bool) -> None:
    verdict = answer(asked(tolerance=tolerance), told(time))
    assert verdict is not None
    assert (verdict.reason == "outcome") is counts
    stated = answer(asked(tolerance="PT%.6fS" % (tolerance / SECOND)), told(time))
    assert stated == verdict


def test_since_is_what_the_tolerance_goes_before() -> None:
    since = asked("05:00:05Z", tolerance=500_000, since="2026-01-01T05:00:00.900Z")
    verdict = answer(since, told("04:59:59.900Z"), told("05:00:00.400Z", value=3.0, id="p"))
    assert verdict is not None
    assert verdict.value == 3.0


def test_the_first_tolerance_of_a_setting_stays_and_one_that_is_said_counts_in_any_order() -> None:
    subject = step({}, [asked(tolerance=5), asked(tolerance=9)], NOW).subjects["pr:1"]
    assert [waiting.wait.tolerance for waiting in subject.waits.values()] == [5]
    emitted, other = asked(tolerance="PT1S"), asked(tolerance="PT2S")
    for turn in ([emitted, other], [other, emitted], [emitted, other, emitted]):
        subject = step({}, turn, NOW).subjects["pr:1"]
        assert [waiting.wait.tolerance for waiting in subject.waits.values()] == [SECOND]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"sequence": "9", "sequencetype": "Integer"}, {"sequence": "10", "sequencetype": "Integer"}),
        ({"sequence": "a"}, {"sequence": "b"}),
        ({"sequence": "10"}, {"sequence": "9"}),
        ({}, {"sequence": "1"}),
        ({"sequence": "5", "timestamp": 1_767_268_800_001}, {"sequence": "6"}),
        ({}, {"timestamp": 1_767_268_800_001}),
    ],
)
def test_ties_go_by_sequence_then_by_the_records_timestamp_never_by_a_random_id(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    one = told("05:00:02Z", 1.0, id="zz", **first)
    two = told("05:00:02Z", 2.0, id="aa", **second)
    for mode, expected in (("first", 1.0), ("last", 2.0)):
        verdict = answer(asked(mode=mode), one, two)
        assert verdict is not None
        assert verdict.value == expected


def test_ties_that_nothing_tells_apart_go_by_id() -> None:
    verdict = answer(asked(), told("05:00:02Z", 1.0, id="b"), told("05:00:02Z", 2.0, id="a"))
    assert verdict is not None
    assert verdict.value == 2.0


def test_an_outcome_told_again_is_where_it_was_told_first() -> None:
    early, late = 1_767_268_800_000, 1_767_268_800_009
    other = told("05:00:02Z", 2.0, id="aa", timestamp=early + 5)
    once, again = (told("05:00:02Z", 1.0, id="zz", timestamp=stamp) for stamp in (early, late))
    for turn in ([again, other, once], [once, again, other], [other, again, once]):
        verdict = answer(asked(), *turn)
        assert verdict is not None
        assert verdict.value == 1.0


#: A subject as the version before kept it: an open wait from 05:00:00.961 on.
KEPT = encode(
    [
        {"\no1": ["o1", "pr.closed", 1_767_243_602_000_000, NOW, 0, 0, "", {"v": 1.0}]},
        {
            "w": [
                [
                    *("w", "r", "n", 1_767_243_600_961_000, 1_767_243_600_961_000, 1_767_243_606_961_000),
                    *([{"pr.closed": ["data.v", None]}, False, "first"], None, None, [], {}, None),
                ],
                NOW,
                None,
                [[1, [1.0, "outcome", 1_767_243_602_000_000, "o1"], NOW, False]],
            ]
        },
    ]
)


def test_a_wait_of_the_version_before_keeps_its_answer() -> None:
    before = decode_subject(KEPT)
    arrivals = [
        told("05:00:00Z", 5.0, id="floor"),
        told("05:00:02Z", 6.0, id="o2", sequence=1),
        told("05:00:02Z", 7.0, id="o3", timestamp=1_767_268_700_000),
    ]
    after = step({"pr:1": before}, arrivals, NOW).subjects["pr:1"]
    assert after.waits == before.waits


def test_what_the_version_before_kept_is_the_same_when_it_comes_again() -> None:
    before = decode_subject(KEPT)
    wait = asked("05:00:00.961Z", tolerance=500_000, wait_id="w")
    outcome = told("05:00:02Z", 1.0, id="o1")
    assert step({"pr:1": before}, [wait, outcome], NOW).subjects == {}


def test_what_is_kept_now_can_be_read_again() -> None:
    known = told("05:00:02Z", id="o", sequence="7", sequencetype="Integer").outcome
    question = asked(tolerance="PT1S").wait
    assert isinstance(known, StoredOutcome)
    assert isinstance(question, StoredWait)
    subject = step({}, [OutcomeReceived("s", known), WaitReceived("s", question)], NOW).subjects["s"]
    assert decode_subject(encode(subject)) == subject != Subject()
