"""Charts are pure: rows in, shapes within the box out, whatever the rows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from upshot.insights.pages.scores import (
    revisions_a_day,
    score_groups,
    score_over_time,
    score_rows,
    score_sums,
)
from upshot.insights.statistics.survival import Departures
from upshot.web.charts.effects import EffectAt, differences_over_time, times_to_outcome
from upshot.web.charts.firing import Firing, metric_with_firing
from upshot.web.charts.forest import Estimate, reach, whisker
from upshot.web.charts.plot import HEIGHT, WIDTH, Span, bucket_seconds, nice_top, sparkline, stacked_bars
from upshot.web.charts.waterfall import Happening, afterwards, waterfall
from upshot.web.formats import Clock
from upshot.web.pages.scores import revision_bars, sums_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def step(name: str, parent: str | None = None, start: float = 0, end: float = 1) -> dict[str, Any]:
    at = [(NOON + timedelta(seconds=each)).replace(tzinfo=None).isoformat(" ") for each in (start, end)]
    return {"step_id": name, "parent_step_id": parent, "started_at": at[0], "ended_at": at[1], "kind": "tool",
            "status": "ok"}  # fmt: skip


def test_steps_lie_below_their_parents() -> None:
    steps = [step("b", "a", 1, 2), step("a", None, 0, 4), step("c", "b", 1, 1.5), step("d", "nobody", 3, 4)]
    lines = waterfall(steps, NOON, NOON + timedelta(seconds=4))
    assert [(line.step["step_id"], line.depth) for line in lines] == [("a", 0), ("b", 1), ("c", 2), ("d", 0)]
    assert [(line.x, line.width) for line in lines][:2] == [(0, 1000), (250, 250)]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd") | st.none()), max_size=8))
def test_every_step_is_drawn_once_even_in_a_circle(pairs: list[tuple[str, str | None]]) -> None:
    steps = [step(name, parent) for name, parent in pairs]
    assert len(waterfall(steps, NOON, NOON)) == len(steps)


@given(st.floats(1e-9, 1e12))
def test_an_axis_ends_at_a_round_number_above(value: float) -> None:
    assert value <= nice_top(value) * 1.000001 <= max(1.0, value) * 10.1 or value < 1


def test_bars_fill_the_box_and_lead_to_their_rows() -> None:
    end = NOON + timedelta(hours=6)
    seconds = bucket_seconds(NOON, end)
    counts = [(NOON, "failed", 1.0), (NOON, "completed", 3.0), (NOON, "odd", 1.0)]
    plot = stacked_bars(
        "Runs", Span(NOON, end), seconds, counts, ("completed", "failed"),
        time_label=lambda at, pattern: at.strftime(pattern), link=lambda a, b: f"/runs?since={a:%H}",
    )  # fmt: skip
    assert [box.kind for box in plot.boxes] == ["completed", "failed", "other"]
    assert sum(box.height for box in plot.boxes) == HEIGHT
    assert plot.boxes[0].link == "/runs?since=12" and plot.y_labels[0] == "5"


def test_bars_bear_the_names_of_their_series() -> None:
    rows = [{"bucket": "2026-03-01 00:00:00", "in_time": "2", "too_late": "1"},
            {"bucket": "2026-03-03 00:00:00", "in_time": "1", "too_late": "0"}]  # fmt: skip
    plot = revision_bars(rows, Clock(NOON).at)
    assert [box.label for box in plot.boxes] == [
        "2026-03-01 00:00: 2 revised",
        "2026-03-01 00:00: 1 late",
        "2026-03-03 00:00: 1 revised",
    ]
    assert plot.legend == [("revised", "third"), ("late", "second")]
    assert plot.numbers[1] == ("2026-03-01 00:00", "late", "1")
    assert revision_bars([], Clock(NOON).at).is_empty


def test_sums_as_of_an_instant_are_those_of_its_days() -> None:
    rates = [{"scored": "4", "booleans": "4", "rate": 0.25, "mean": None, "late": "1"},
             {"scored": "1", "booleans": "1", "rate": 1.0, "mean": None, "late": "0"}]  # fmt: skip
    found = sums_of("merged", rates)
    assert found is not None and (found["scored"], found["rate"], found["mean"], found["late"]) == (
        5,
        0.4,
        None,
        1,
    )
    assert found["pending"] is found["expired"] is None, "nothing tells that of an earlier instant"
    means = sums_of("stars", [{"scored": "2", "booleans": "0", "rate": None, "mean": 4.5, "late": "0"}])
    assert means is not None and (means["rate"], means["mean"]) == (None, 4.5)
    assert sums_of("merged", []) is None


def test_queries_about_one_score_read_no_other() -> None:
    """Of what is taken once for each score, only conditions inside leave out the others."""
    wanted = [score_sums("merged"), score_groups("merged", "agent"), score_rows("merged", NOON),
              score_over_time("merged", 3600, NOON), revisions_a_day("merged", NOON)]  # fmt: skip
    for query in wanted:
        for part in re.split(r"\bFROM (?=scores|score_rows|open_waits)", query.sql)[1:]:
            assert re.match(r"\w+\s+WHERE[^)]*name = \{name:String\}", part), part
        assert query.parameters["name"] == "merged"


def test_effects_lie_around_zero() -> None:
    assert reach([Estimate(-0.02, 0.01, 0.04)]) == 0.04
    assert whisker(Estimate(0.01, 0.02, 0.04), 0.04, lower_is_better=False)[1:] == (750, 1000, "good")
    assert whisker(Estimate(0.01, 0.02, inf), 0.04, lower_is_better=True).kind == "bad"
    assert reach([Estimate(nan, nan, inf)]) == 1


def test_time_after_the_end_is_logarithmic() -> None:
    found = afterwards(
        [
            Happening(NOON + timedelta(days=14), "deadline", "d"),
            Happening(NOON + timedelta(seconds=9), "wait", "w"),
        ],
        NOON,
        NOON + timedelta(days=1),
    )
    assert [mark.what.text for mark in found.marks] == ["w", "d"]
    assert found.marks[0].x > 100 and found.marks[1].x == 1000 and 0 < found.now_x < 1000


def test_the_table_below_a_line_has_its_ends_and_few_rows() -> None:
    left = [Departures(float(hour), {"outcome": 1}, 0) for hour in range(1, 501)]
    numbers = times_to_outcome("times", {"plain": left}).numbers
    assert 20 < len(numbers) < 70
    assert numbers[0] == ("0 ms", "plain", "0%", "0% to 0%")
    assert numbers[-1][1:3] == ("plain", "100%") and numbers[-1][0] == "21 d"
    effects = {"warm": [EffectAt(NOON + timedelta(days=day), 0.1, 0.0, 0.2) for day in range(3)]}
    assert not differences_over_time("", effects, str, Clock(NOON).at).numbers, "the page has its own"


def test_what_is_left_out_after_a_run_is_counted() -> None:
    later = [Happening(NOON + timedelta(seconds=number), "outcome", str(number)) for number in range(203)]
    found = afterwards(later[::-1], NOON, NOON + timedelta(hours=1))
    assert [mark.what.text for mark in found.marks] == [str(number) for number in range(200)]
    assert found.left == 3 and afterwards(later[:9], NOON, NOON).left == 0


def test_a_line_of_one_value_is_none() -> None:
    assert sparkline([1]).is_empty and not sparkline([1, 1]).is_empty


def test_an_effect_is_a_line_in_its_band_from_the_second_instant_on() -> None:
    points = [EffectAt(NOON + timedelta(days=day), 0.1, 0.1 - 1 / day, 0.1 + 1 / day) for day in range(1, 9)]
    plot = differences_over_time("effect", {"warm": points, "cold": []}, str, lambda at, _: str(at.day))
    assert len(plot.curves) == len(plot.areas) == 1 and plot.zero == HEIGHT / 2 and not plot.legend
    assert float(plot.y_labels[0]) < 0.9, "the first intervals, far wider, may leave the box"
    assert differences_over_time("effect", {"warm": points[:1]}, str, lambda at, _: "").is_empty


def test_time_to_outcome_is_a_curve_for_each_variant() -> None:
    left = [Departures(1.0, {"outcome": 3}, 0), Departures(2.0, {"outcome": 2}, 5)]
    plot = times_to_outcome("times", {"plain": left, "warm": left})
    assert [name for name, _ in plot.legend] == ["plain", "warm"] and len(plot.curves) == 2
    assert plot.y_labels[0] == "50%"
    assert times_to_outcome("times", {"plain": [Departures(1.0, {"outcome": 0}, 5)]}).is_empty


def test_an_axis_names_the_day_where_it_begins() -> None:
    span = Span(NOON, NOON + timedelta(hours=24))
    labels = span.labels(lambda at, pattern: at.strftime(pattern))
    assert [len(label.split()) for label in labels] == [3, 1, 3, 1, 1], labels


def test_spans_of_firing_lie_within_the_chart() -> None:
    day = timedelta(days=1)
    span = Span(NOON, NOON + 10 * day)
    firing = [
        Firing(NOON + 9 * day, None, "fires still", "/alerts/1"),
        Firing(NOON + 2 * day, NOON + 4 * day, "past", "/alerts/2"),
        Firing(NOON - 9 * day, NOON + day, "began before", "/alerts/3"),
        Firing(NOON - 9 * day, NOON - 8 * day, "not shown", "/alerts/4"),
        Firing(NOON + 5 * day, NOON + 5 * day, "a moment", "/alerts/5"),
    ]

    def drawn(values: list[tuple[datetime, float]], fired: list[Firing]) -> Any:
        return metric_with_firing(
            "a metric", span, values, fired, name="merged", is_rate=True, time_label=lambda at, _: str(at)
        )

    plot = drawn([(NOON + day, 0.5), (NOON + 2 * day, 0.25)], firing)
    assert [(box.x, box.width, box.link) for box in plot.boxes] == [
        (900, 100, "/alerts/1"),
        (200, 200, "/alerts/2"),
        (0, 100, "/alerts/3"),
        (500, 4, "/alerts/5"),
    ]
    assert all(box.x + box.width <= WIDTH for box in plot.boxes)
    assert len(plot.curves) == 1 and plot.y_labels[0] == "100%"
    assert drawn([], firing).y_labels == () and not drawn([], firing).is_empty
    assert drawn([], []).is_empty
