"""Windows as of an instant: verdicts, turns, and that judging in pieces is judging at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.alerts.files import merged
from upshot.alerts.mutes import with_mute
from upshot.alerts.windows import Grid, Group, Turn, grid_of, judge, turns
from upshot.insights.statistics.bounds import Sums, bounds, drop_of
from upshot.schemas.alert_rules import AlertRule
from upshot.streams.events.instants import Micros, instant, micros

MINUTE: Micros = 60_000_000
BEGIN = micros(datetime(2026, 5, 6, tzinfo=UTC))


def rule(**changed: Any) -> AlertRule:
    least = {"name": "r", "kind": "rate", "score": "merged", "every": "PT1M", "window": "PT5M"}
    line = {} if {"above", "drop", "kind"} & changed.keys() else {"below": 0.6}
    return AlertRule.model_validate(least | line | {"changed_at": "2026-05-06T00:00:00Z"} | changed)


def shares(successes: int, n: int) -> Sums:
    return Sums(n, float(successes), float(successes))


@pytest.mark.parametrize(
    ("changed", "now", "verdict"),
    [
        ({}, shares(5, 10), "breach"),
        ({}, shares(6, 10), "good"),
        ({}, shares(0, 0), "unclear"),
        ({"min_n": 20}, shares(1, 19), "unclear"),
        ({"recover": 0.7}, shares(65, 100), "unclear"),
        ({"recover": 0.7}, shares(7, 10), "good"),
        ({"sure": 0.95}, shares(5, 10), "unclear"),
        ({"sure": 0.95}, shares(50, 100), "breach"),
        ({"above": 100}, Sums(2, 300.0, 50_000.0), "breach"),
        ({"above": 100, "sure": 0.95}, Sums(2, 300.0, 50_000.0), "unclear"),
    ],
)
def test_verdicts(changed: dict[str, Any], now: Sums, verdict: str) -> None:
    assert judge(rule(**changed), now, Sums(0, 0, 0), BEGIN) == verdict


def test_a_drop_needs_both_windows_and_the_bound_where_sure() -> None:
    plain, sure = (rule(drop=0.2, versus="P7D", min_n=10, **more) for more in ({}, {"sure": 0.95}))
    assert judge(plain, shares(5, 10), shares(8, 10), BEGIN) == "breach"
    assert judge(plain, shares(5, 10), shares(8, 9), BEGIN) == "unclear"
    assert judge(plain, shares(7, 10), shares(8, 10), BEGIN) == "good"
    assert judge(sure, shares(5, 10), shares(8, 10), BEGIN) == "unclear"
    assert judge(sure, shares(500, 1000), shares(800, 1000), BEGIN) == "breach"


def test_bounds_are_those_of_the_books() -> None:
    low, high = bounds(shares(81, 263), 0.975)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)  # Newcombe 1998, method 3
    assert round(drop_of(shares(56, 70), shares(48, 80), 0.975), 4) == 0.0524  # Newcombe 1998b, method 10
    assert bounds(shares(0, 10), 0.95)[0] == 0 and bounds(shares(10, 10), 0.95)[1] == 1


def test_an_alert_ends_where_it_began_and_silence_has_no_scores() -> None:
    quiet = rule(kind="silence", window="PT3M")
    grid = Grid(MINUTE, BEGIN - 1, BEGIN + 60 * MINUTE)
    timeline = {
        (): [
            (BEGIN + 10 * MINUTE, shares(1, 1)),
            (BEGIN + 13 * MINUTE, shares(0, 0)),
            (BEGIN + 20 * MINUTE, shares(1, 1)),
        ]
    }
    found, still = turns(quiet, grid, timeline, {}, {})
    assert [(t.state, (t.at - BEGIN) // MINUTE, (t.since - BEGIN) // MINUTE) for t in found] == [
        ("firing", 3, 3),
        ("resolved", 10, 3),
        ("firing", 13, 13),
        ("resolved", 20, 13),
    ]
    assert still == {}


def test_a_rule_is_judged_from_its_change_on_and_no_longer_back_than_the_longest() -> None:
    made = micros(rule().changed_at)
    assert grid_of(rule(), None, made + 10 * MINUTE, 60 * MINUTE).first == made
    assert grid_of(rule(), made + MINUTE, made + 10 * MINUTE, 60 * MINUTE).first == made + 2 * MINUTE
    late = grid_of(rule(), None, made + 500 * MINUTE, 60 * MINUTE)
    assert (late.first, late.last) == (made + 441 * MINUTE, made + 500 * MINUTE)


TIMELINES = st.dictionaries(
    st.sampled_from([("a",), ("b",)]),
    st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 5), st.integers(0, 10)), max_size=10),
    max_size=2,
)


@given(drawn=TIMELINES, cuts=st.sets(st.integers(0, 30), max_size=6), silence=st.booleans())
def test_judging_in_pieces_or_again_gives_the_same_turns(
    drawn: dict[Group, dict[int, tuple[int, int]]], cuts: set[int], silence: bool
) -> None:
    changed: dict[str, Any] = {"kind": "silence"} if silence else {"recover": 0.8, "min_n": 2}
    a_rule = rule(by=["agent"], **changed)
    timeline = {
        group: [(BEGIN + at * MINUTE, shares(min(y, n), n)) for at, (y, n) in sorted(steps.items())]
        for group, steps in drawn.items()
    }
    at_once, still = turns(a_rule, Grid(MINUTE, BEGIN - 1, BEGIN + 30 * MINUTE), timeline, {}, {})
    in_pieces: list[Turn] = []
    state: dict[Group, Micros] = {}
    after = BEGIN - 1
    for cut in [*sorted(cuts), 30]:
        grid = Grid(MINUTE, after, BEGIN + cut * MINUTE)
        again, _ = turns(a_rule, grid, timeline, {}, state)
        found, state = turns(a_rule, grid, timeline, {}, state)
        assert again == found
        in_pieces += found
        after = max(after, grid.last)
    assert in_pieces == at_once
    assert state == still


EDITS = st.lists(
    st.tuples(st.integers(1, 29), st.sampled_from(["mute", "unmute", "other receiver"])), max_size=5
)


@given(drawn=TIMELINES, edits=EDITS, kind=st.sampled_from(["silence", "rate"]))
def test_mutes_and_other_receivers_delay_no_alert(
    drawn: dict[Group, dict[int, tuple[int, int]]], edits: list[tuple[int, str]], kind: str
) -> None:
    changed = {"below": 0.6} if kind == "rate" else {}
    present = first = rule(kind=kind, by=["agent"], window="PT7M", **changed)
    timeline = {
        group: [(BEGIN + at * MINUTE, shares(min(y, n), n)) for at, (y, n) in sorted(steps.items())]
        for group, steps in drawn.items()
    }
    without, _ = turns(first, Grid(MINUTE, BEGIN - 1, BEGIN + 30 * MINUTE), timeline, {}, {})
    found: list[Turn] = []
    state: dict[Group, Micros] = {}
    judged: Micros | None = None
    for at, edit in [*sorted(edits), (30, "")]:
        # The change comes before this piece is judged: as with a role that was away.
        present = _edited(present, edit, instant(BEGIN + at * MINUTE))
        grid = grid_of(present, judged, BEGIN + at * MINUTE, 60 * MINUTE)
        piece, state = turns(present, grid, timeline, {}, state)
        found, judged = found + piece, grid.last
    assert found == without


def _edited(present: AlertRule, edit: str, now: datetime) -> AlertRule:
    if edit in ("mute", "unmute"):
        return with_mute(present, timedelta(minutes=9) if edit == "mute" else None, "mended", "me", now)
    if not edit:
        return present
    asked = present.model_copy(
        update={"notify": [f"receiver {present.version}"], "changed_at": now, "judged_since": None}
    )
    written = merged(asked, present)
    assert written is not None
    return written


def test_a_record_of_before_begins_with_its_change() -> None:
    least = rule(kind="silence")
    assert "judged_since" not in least.model_fields_set and least.begins_at == least.changed_at
    muted = with_mute(least, timedelta(hours=1), "mended", "me", least.changed_at + timedelta(days=1))
    assert muted.begins_at == least.changed_at
    assert with_mute(muted, None, "", "me", muted.changed_at).begins_at == least.changed_at
