"""The slider over an experiment's past: stops, steps and ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from upshot.web.pages.as_of import slider

NOW = datetime(2026, 6, 30, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("past", "step"),
    [
        (timedelta(minutes=5), timedelta(minutes=1)),
        (timedelta(hours=20), timedelta(hours=1)),
        (timedelta(days=24), timedelta(days=1)),
        (timedelta(days=59), timedelta(days=1)),
        (timedelta(days=61), timedelta(days=7)),
        (timedelta(days=4000), timedelta(days=28)),
    ],
)
def test_stops_are_round_and_few(past: timedelta, step: timedelta) -> None:
    found = slider(NOW - past, NOW, None)
    assert found is not None
    assert timedelta(seconds=found.step) == step
    assert found.least % found.step == found.most % found.step == 0
    assert NOW - past <= found.start and NOW.timestamp() <= found.most
    assert found.is_now and found.after == ""


def test_steps_lead_from_the_first_record_to_now() -> None:
    first = NOW - timedelta(days=3, hours=1)
    places, at = [], NOW.isoformat()
    while at:
        found = slider(first, NOW, datetime.fromisoformat(at))
        assert found is not None
        places.append(at)
        at = found.before
    assert datetime.fromisoformat(places[-1]) >= first
    assert len(places) == 1 + (NOW - datetime.fromisoformat(places[-1])) // timedelta(seconds=found.step) + 1
    forth = places[-1]
    while (found := slider(first, NOW, datetime.fromisoformat(forth))) and found.after:
        assert found.after > forth
        forth = found.after
    assert forth == places[1], "the stop after the last is now"


def test_an_instant_outside_lies_at_an_end() -> None:
    early = slider(NOW - timedelta(days=9), NOW, NOW - timedelta(days=99))
    late = slider(NOW - timedelta(days=9), NOW, NOW + timedelta(days=99))
    assert early and late
    assert (early.value, early.before) == (early.least, "")
    assert late.is_now


def test_without_a_past_there_is_no_slider() -> None:
    assert slider(None, NOW, None) is None
    assert slider(NOW, NOW, None) is None
    assert slider(NOW + timedelta(days=1), NOW, None) is None
