"""A crowded subject gives the answers of any other, whatever is cut off where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.test_correlate_properties import (
    FOR_EVER,
    HISTORIES,
    by_the_book,
    rearranged,
    without_conflicts,
)
from upshot.processors.correlate.crowded import Crowds, Limits, decode_head, is_head, weighing
from upshot.processors.correlate.deadlines import Horizons, next_look
from upshot.processors.correlate.decide import step
from upshot.processors.correlate.facts import Arrival, Fact, ScoreRevised, UnusableOutcome
from upshot.processors.correlate.state import Subject, Verdict, decode_subject, encode_subject
from upshot.streams.runtime import Change

_FOR_EVER = timedelta(days=1_000_000)
HORIZONS = Horizons(_FOR_EVER, _FOR_EVER, timedelta(0))
LIMITS = Limits(10**9, 10**6)
Place = tuple[str, str]


@pytest.fixture(autouse=True, scope="module")
def _look_often() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(weighing, "STRIDES", 1)
        yield


class Ticks:
    """A clock by which a turn takes so many looks."""

    def __init__(self, a_turn: int) -> None:
        self._each = weighing.SLICE / (a_turn + 2)
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._each
        return self._now


class Crowded:
    """A table, a worker whose subjects are crowded from `threshold` bytes on, and what it announced."""

    def __init__(self, threshold: int, a_turn: int) -> None:
        self.table: dict[bytes, bytes] = {}
        self.facts: list[Fact] = []
        self._threshold = threshold
        self._a_turn = a_turn
        self._now = 100
        self.begin()

    def begin(self) -> None:
        """As after a crash: all that is left is the table."""
        self.crowds = Crowds(lambda: self, HORIZONS, Ticks(self._a_turn))
        for key, value in self.table.items():
            if key[:1] != b"\xff" and is_head(value):
                self.crowds.head(0, key.decode(), decode_head(value))
                self.crowds.look_at(0, key.decode())

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.table.get(key) for key in keys]

    def write(self, changes: dict[bytes, Change | None], upto: int | None = None) -> None:
        for key, change in list(changes.items())[:upto]:
            if change is None:
                self.table.pop(key, None)
            else:
                self.table[key] = change.value

    def process(self, batch: Sequence[Arrival], cut: int | None = None) -> None:
        self._now += 1
        for key in dict.fromkeys(arrival.subject for arrival in batch):
            theirs = [arrival for arrival in batch if arrival.subject == key]
            value = self.table.get(key.encode())
            if value is not None and is_head(value):
                self.crowds.head(0, key, decode_head(value))
                changes = self.crowds.append(0, key, theirs, self._now, LIMITS)
                assert changes is not None
            else:
                done = step({} if value is None else {key: decode_subject(value)}, theirs, self._now)
                subject = done.subjects.get(key)
                if subject is not None and len(encoded := encode_subject(subject) or b"") > self._threshold:
                    changes = self.crowds.convert(0, key, subject, next_look(subject, HORIZONS))
                elif subject is not None:
                    changes = {key.encode(): Change(encoded)}
                else:
                    changes = {}
                if cut is None:
                    self.facts += done.facts
            self.write(changes, cut)

    def turn(self, upto: int = 0, cut: int | None = None) -> None:
        self._now += 1
        turn = self.crowds.turn(lambda _: upto, self._now if not upto else FOR_EVER)
        self.facts += turn.facts
        for changes in turn.changes.values():
            self.write(dict(changes), cut)

    def settle(self, upto: int = 0) -> None:
        while self.crowds.is_busy:
            self.turn(upto)

    def judge(self) -> None:
        self.settle()
        self.due()
        self.settle(FOR_EVER)

    def retire(self) -> None:
        """Let all that is kept pass its horizon."""
        at = FOR_EVER
        self.crowds = Crowds(lambda: self, Horizons(timedelta(0), timedelta(0), timedelta(0)))
        for _ in range(4):
            at *= 2
            for key, value in self.table.items():
                if key[:1] != b"\xff" and is_head(value):
                    self.crowds.head(0, key.decode(), decode_head(value))
            self.due()
            while self.crowds.is_busy:
                for changes in self.crowds.turn(lambda _, at=at: at, at).changes.values():
                    self.write(dict(changes))

    def due(self) -> None:
        for key, value in self.table.items():
            if key[:1] != b"\xff" and is_head(value):
                self.crowds.look_at(0, key.decode())

    def verdicts(self) -> dict[Place, Verdict | None]:
        """The last revision of each score that was announced."""
        last: dict[Place, tuple[int, Verdict]] = {}
        for fact in self.facts:
            if isinstance(fact, ScoreRevised):
                place = fact.subject, fact.wait.wait_id
                number = fact.revision.number
                if place in last and last[place][0] == number:
                    assert last[place][1] == fact.revision.verdict, "one revision, two verdicts"
                if place not in last or number > last[place][0]:
                    last[place] = number, fact.revision.verdict
        return {place: verdict for place, (_, verdict) in last.items()}


def decided(verdicts: dict[Place, Verdict | None]) -> dict[Place, Verdict | None]:
    return {place: verdict for place, verdict in verdicts.items() if verdict is not None}


@settings(max_examples=HISTORIES, deadline=None)
@given(rearranged(), st.sampled_from([1, 1, 400, 900]), st.sampled_from([1, 3, 1000]), st.booleans())
def test_crowded_or_not_the_answers_are_the_same(
    case: tuple[list[Arrival], list[list[Arrival]]], threshold: int, a_turn: int, judged_between: bool
) -> None:
    history, batches = case
    crowded = Crowded(threshold, a_turn)
    for batch in batches:
        crowded.process(batch)
        crowded.turn()
        if judged_between and threshold == 1:
            crowded.judge()
    crowded.judge()
    heads = {key: is_head(value) for key, value in crowded.table.items() if key[:1] != b"\xff"}
    expected = {place: verdict for place, verdict in by_the_book(history).items() if heads[place[0].encode()]}
    assert {place: crowded.verdicts()[place] for place in expected} == expected
    crowded.retire()
    assert not [key for key, value in crowded.table.items() if key[:1] == b"\xff" or is_head(value)]


@settings(max_examples=HISTORIES, deadline=None)
@given(
    rearranged(),
    st.sampled_from([1, 400]),
    st.sampled_from([1, 3]),
    st.lists(st.tuples(st.sampled_from(["process", "turn", "judge"]), st.integers(0, 4)), max_size=6),
)
def test_crashes_between_writes_change_nothing(
    case: tuple[list[Arrival], list[list[Arrival]]],
    threshold: int,
    a_turn: int,
    crashes: list[tuple[str, int]],
) -> None:
    history, batches = case
    crowded = Crowded(threshold, a_turn)
    left = list(crashes)
    for batch in batches:
        while left and left[-1][0] == "process":
            crowded.process(batch, left.pop()[1])
            crowded.begin()
        crowded.process(batch)
        if left:
            what, cut = left.pop()
            if what == "judge":
                crowded.settle()
                crowded.due()
            crowded.turn(FOR_EVER if what == "judge" else 0, cut)
            crowded.begin()
            if what == "judge":
                # As of any subject: deadlines that were told are told again before anything else comes.
                crowded.judge()
        crowded.turn()
    crowded.judge()
    heads = {key: is_head(value) for key, value in crowded.table.items() if key[:1] != b"\xff"}
    expected = {place: verdict for place, verdict in by_the_book(history).items() if heads[place[0].encode()]}
    assert {place: crowded.verdicts()[place] for place in expected} == expected


@settings(max_examples=HISTORIES // 2, deadline=None)
@given(rearranged(), st.sampled_from([1, 3]))
def test_without_batches_every_revision_is_the_same(
    case: tuple[list[Arrival], list[list[Arrival]]], a_turn: int
) -> None:
    [history] = without_conflicts(case[0])
    crowded = Crowded(1, a_turn)
    states: dict[str, Subject] = {}
    plain: list[Fact] = []
    for arrival in history:
        changes = step(states, [arrival], 1)
        states |= changes.subjects
        plain += changes.facts
        crowded.process([arrival])
        crowded.settle()
    assert emitted(crowded.facts) == emitted(plain)


def emitted(facts: Sequence[Fact]) -> set[object]:
    return {
        (fact.identity, fact.detail if isinstance(fact, UnusableOutcome) else fact.revision.verdict)
        for fact in facts
    }
