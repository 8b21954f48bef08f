"""The checker finds what is lost, wrong, double or repeated, and nothing where all is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.chaos.check import Current, Revision, Shown, compare
from benchmarks.chaos.oracle import Answer, Letter, Truth

MERGED, EXPIRED, OPEN = ("r1", "merged", "pr:1"), ("r2", "merged", "pr:2"), ("r3", "merged", "pr:3")
PLACE = ("outcomes", 0, 7)
TRUTH = Truth(
    answers={MERGED: Answer(1.0, "outcome", "boolean", "o1"), EXPIRED: Answer(None, "expired")},
    open={OPEN},
    runs={"r1", "r2", "r3"},
    waits={MERGED, EXPIRED, OPEN},
    outcomes={("pr:1", "", "o1")},
    letters=[Letter("not_json", frozenset({PLACE, ("outcomes", 1, 8)}))],
)
EARLIER = Revision("s1", 1, None, MERGED, Answer(0.0, "deadline", "boolean"))
LATER = Revision("s1", 2, 1, MERGED, TRUTH.answers[MERGED])
RIGHT = Shown(
    current=[Current(MERGED, TRUTH.answers[MERGED], "s1", 2)],
    history=[EARLIER, LATER, Revision("s2", 1, None, EXPIRED, TRUTH.answers[EXPIRED])],
    open=[OPEN],
    runs=["r1", "r2", "r3"],
    waits=[MERGED, EXPIRED, OPEN],
    outcomes=[("pr:1", "", "o1")],
    letters=[("not_json", PLACE)],
)


def kinds(shown: Shown) -> set[str]:
    return {name for name, count in compare(TRUTH, shown).counts().items() if count}


def test_what_is_right_gives_no_finding() -> None:
    assert compare(TRUTH, RIGHT).is_clean


def _wrong(row: Current) -> Current:
    return row._replace(answer=row.answer._replace(value=0.0))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda: replace(RIGHT, current=[]), {"lost"}),
        (lambda: replace(RIGHT, current=[_wrong(RIGHT.current[0])]), {"wrong"}),
        (
            lambda: replace(RIGHT, current=[*RIGHT.current, Current(MERGED, LATER.answer, "s9", 1)]),
            {"double"},
        ),
        (
            lambda: replace(RIGHT, current=[*RIGHT.current, Current(OPEN, LATER.answer, "s3", 1)]),
            {"invented"},
        ),
        (lambda: replace(RIGHT, history=[*RIGHT.history, EARLIER]), {"repeated"}),
        (lambda: replace(RIGHT, history=RIGHT.history[:2]), {"lost"}),
        (lambda: replace(RIGHT, history=RIGHT.history[1:]), {"gaps"}),
        (lambda: replace(RIGHT, history=[EARLIER, *RIGHT.history[2:]]), {"wrong"}),
        (lambda: replace(RIGHT, open=[]), {"unsettled"}),
        (lambda: replace(RIGHT, open=[OPEN, MERGED]), {"unsettled"}),
        (lambda: replace(RIGHT, runs=["r1", "r2"]), {"lost"}),
        (lambda: replace(RIGHT, runs=["r1", "r2", "r3", "r3"]), {"repeated"}),
        (lambda: replace(RIGHT, waits=[MERGED, EXPIRED]), {"lost"}),
        (lambda: replace(RIGHT, outcomes=RIGHT.outcomes * 2), {"repeated"}),
        (lambda: replace(RIGHT, letters=[]), {"lost"}),
        (lambda: replace(RIGHT, letters=[*RIGHT.letters, ("not_json", ("outcomes", 1, 8))]), {"repeated"}),
        (lambda: replace(RIGHT, letters=[*RIGHT.letters, ("too_large", PLACE)]), {"invented"}),
    ],
)
def test_each_damage_is_found_for_what_it_is(damage: Callable[[], Shown], found: set[str]) -> None:
    assert kinds(damage()) == found
