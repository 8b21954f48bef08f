"""Cancellations are elements of what is known like any other.

The order, repetition and batching change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.processors.test_correlate_properties import (
    HISTORIES,
    INSTANTS,
    SUBJECTS,
    arrivals,
    current,
    outcomes,
    play,
    questions,
)
from upshot.processors.correlate.deadlines import Horizons, next_look, retire
from upshot.processors.correlate.decide import correlate, step
from upshot.processors.correlate.facts import (
    Arrival,
    Cancelled,
    Fact,
    OutcomeReceived,
    SubjectErased,
    WaitReceived,
)
from upshot.processors.correlate.rules import decide
from upshot.processors.correlate.state import (
    Cancellation,
    StoredOutcome,
    StoredWait,
    Subject,
    Verdict,
    decode_subject,
    encode_subject,
)

REVISIONS = st.integers(0, 2)


def again(question: StoredWait, revision: int) -> StoredWait:
    return replace(question, revision=revision)


asked = st.builds(WaitReceived, SUBJECTS, st.builds(again, questions(), REVISIONS))
cancelled = st.builds(
    Cancelled,
    SUBJECTS,
    st.sampled_from(["w1", "w2", "w3", "w4"]),
    st.just(""),
    st.builds(Cancellation, INSTANTS, REVISIONS),
)
histories: st.SearchStrategy[list[Arrival]] = st.lists(
    st.one_of(arrivals, asked, cancelled, cancelled), max_size=14
)


@st.composite
def rearranged(draw: st.DrawFn) -> tuple[list[Arrival], list[list[Arrival]]]:
    """A history, and the same shuffled, some of it repeated, cut into batches at random."""
    history = draw(histories)
    repeated = draw(st.lists(st.sampled_from(history), max_size=6)) if history else []
    shuffled = draw(st.permutations(history + repeated))
    cuts = sorted(draw(st.sets(st.integers(0, len(shuffled)), max_size=5)) | {0, len(shuffled)})
    return history, [shuffled[a:b] for a, b in pairwise(cuts)]


def by_the_book(history: Sequence[Arrival]) -> dict[tuple[str, str], Verdict | None]:
    """What follows from the set of what was told, decided at once."""
    told: dict[str, dict[str, StoredOutcome]] = {}
    waits: dict[tuple[str, str], StoredWait] = {}
    cancellations: dict[tuple[str, str], list[Cancellation]] = {}
    for arrival in history:
        match arrival:
            case OutcomeReceived(subject, outcome):
                known = told.setdefault(subject, {})
                both = [outcome, *([known[outcome.key]] if outcome.key in known else [])]
                recorded = min(one.recorded for one in both)
                known[outcome.key] = replace(min(both, key=lambda one: one.rank), recorded=recorded)
            case WaitReceived(subject, wait):
                place = subject, wait.wait_id
                waits[place] = min(wait, waits.get(place, wait), key=lambda w: (-w.revision, w.rank))
            case Cancelled(subject, wait_id, _, cancellation):
                cancellations.setdefault((subject, wait_id), []).append(cancellation)
    return {
        place: _ends(wait, list(told.get(place[0], {}).values()), cancellations.get(place, []))
        for place, wait in waits.items()
    }


def _ends(wait: StoredWait, known: list[StoredOutcome], cancellations: list[Cancellation]) -> Verdict | None:
    highest = max([one.revision for one in cancellations], default=-1)
    at = min([one.at for one in cancellations if one.revision == highest], default=0)
    if highest < wait.revision or at > wait.ends:
        return decide(wait, known, judged=True)
    before = [outcome for outcome in known if outcome.time <= at]
    decided = decide(wait, before, judged=False) if wait.rule.mode in ("first", "all") else None
    return decided or Verdict(None, "cancelled", at)


@settings(max_examples=HISTORIES, deadline=None)
@given(rearranged(), st.booleans())
def test_every_order_and_batching_of_cancellations_ends_the_same(
    case: tuple[list[Arrival], list[list[Arrival]]], judged_between: bool
) -> None:
    history, batches = case
    expected = by_the_book(history)
    assert current(play(batches, judged_between)) == expected
    assert current(play([history], judged_between=False)) == expected


@settings(max_examples=HISTORIES // 2, deadline=None)
@given(histories, st.sampled_from([None, "r"]), INSTANTS, st.data())
def test_what_is_erased_is_neither_kept_nor_told_whatever_comes_again(
    history: list[Arrival], run_id: str | None, at: int, data: st.DataObject
) -> None:
    erased = SubjectErased("pr:1", at, run_id)
    repeated = data.draw(st.permutations(history))
    states = dict(step({}, history, 1).subjects)
    subject = correlate(states.get("pr:1", Subject()), erased, 2).subject
    assert correlate(subject, erased, 3).subject is subject
    facts: list[Fact] = []
    for arrival in repeated:
        if arrival.subject == "pr:1":
            taken = correlate(subject, arrival, 3)
            subject = decode_subject(encode_subject(taken.subject))
            facts += taken.facts
    kept: list[Any] = [waiting.wait for waiting in subject.waits.values()]
    told = [fact.wait for fact in facts]
    assert all(question.opened_at > at for question in (*kept, *told))
    if run_id is None:
        assert all(known.time > at for known in subject.outcomes.values())
    else:
        assert all(o.time > at or o.key in subject.outcomes for o in _outcomes(history))


def _outcomes(history: Sequence[Arrival]) -> list[StoredOutcome]:
    return [a.outcome for a in history if isinstance(a, OutcomeReceived) and a.subject == "pr:1"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(cancelled, st.builds(OutcomeReceived, SUBJECTS, outcomes)), min_size=1, max_size=5))
def test_marks_are_forgotten_in_their_time(history: list[Arrival]) -> None:
    horizons = Horizons(timedelta(seconds=1), timedelta(seconds=1), timedelta(0))
    for subject in step({}, [*history, SubjectErased("pr:1", 5)], 10).subjects.values():
        due = next_look(subject, horizons)
        assert due is not None
        left = retire(subject, 10**9, horizons)
        assert left.is_empty
        assert encode_subject(left) is None
