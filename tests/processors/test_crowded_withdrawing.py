"""What is cancelled and erased of a crowded subject ends as with any other, whatever is cut off where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.test_correlate_properties import FOR_EVER, HISTORIES, INSTANTS
from tests.processors.test_crowded_properties import Crowded
from tests.processors.test_withdrawing_properties import by_the_book, histories, rearranged
from upshot.processors.correlate.crowded import is_head, weighing
from upshot.processors.correlate.crowded.layout import EarlierWait, OutcomeRecalled, Put, decode_segment
from upshot.processors.correlate.facts import Arrival, SubjectErased
from upshot.processors.correlate.state import Verdict

History = tuple[list[Arrival], list[list[Arrival]]]


@pytest.fixture(autouse=True, scope="module")
def _look_often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weighing, "STRIDES", 1)
        yield


def ended(crowded: Crowded, history: Sequence[Arrival]) -> list[tuple[Any, Verdict | None, Verdict | None]]:
    """What was announced last, and what should be, of each wait of crowded subjects."""
    heads = {key: is_head(value) for key, value in crowded.table.items() if key[:1] != b"\xff"}
    expected = {place: v for place, v in by_the_book(history).items() if heads[place[0].encode()]}
    return [(place, crowded.verdicts().get(place), verdict) for place, verdict in expected.items()]


@settings(max_examples=HISTORIES, deadline=None)
@given(rearranged(), st.sampled_from([1, 1, 400]), st.sampled_from([1, 3, 1000]), st.booleans())
def test_cancellations_end_the_same(case: History, threshold: int, a_turn: int, judged_between: bool) -> None:
    history, batches = case
    crowded = Crowded(threshold, a_turn)
    for batch in batches:
        crowded.process(batch)
        crowded.turn()
        if judged_between and threshold == 1:
            crowded.judge()
    crowded.judge()
    for place, found, wanted in ended(crowded, history):
        assert found == wanted, place


@settings(max_examples=HISTORIES, deadline=None)
@given(rearranged(), st.sampled_from([1, 400]), st.lists(st.integers(0, 4), max_size=6))
def test_crashes_between_writes_change_nothing(case: History, threshold: int, cuts: list[int]) -> None:
    history, batches = case
    crowded = Crowded(threshold, 1)
    for batch in batches:
        crowded.process(batch)
        if cuts:
            crowded.turn(0, cuts.pop())
            crowded.begin()
        crowded.turn()
    crowded.judge()
    for place, found, wanted in ended(crowded, history):
        assert found == wanted, place


@settings(max_examples=HISTORIES // 2, deadline=None)
@given(histories, histories, st.sampled_from([None, "r"]), INSTANTS, st.booleans())
def test_what_is_erased_is_left_in_no_part(
    before: list[Arrival], after: list[Arrival], run_id: str | None, at: int, crash: bool
) -> None:
    crowded = Crowded(1, 3)
    crowded.process(before)
    crowded.settle()
    crowded.facts.clear()
    crowded.process([SubjectErased("pr:1", at, run_id)])
    crowded.settle()
    if crash:
        crowded.begin()
    crowded.process([*before, *after])
    crowded.settle()
    crowded.judge()
    told = [fact.wait.opened_at for fact in crowded.facts if fact.subject == "pr:1"]
    assert all(opened > at for opened in told)
    assert crowded.crowds.turn(lambda _: FOR_EVER, FOR_EVER).facts == []
    head = crowded.table.get(b"pr:1", b"[{")
    for key, value in crowded.table.items() if is_head(head) else ():
        # What came again is written down as it comes, until nothing is left of its part.
        if key.startswith(b"\xffpr:1\xffs") and int.from_bytes(key[-8:], "big") == 0:
            for entry in decode_segment(value):
                match entry:
                    case OutcomeRecalled(outcome):
                        assert run_id is not None or outcome.time > at
                    case Put(question):
                        assert question.opened_at > at
                    case EarlierWait(waiting):
                        assert waiting.wait.opened_at > at
