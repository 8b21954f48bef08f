"""Equal times, mixed resolutions, sequences, withdrawals, and follow-ups deferring follow-ups: in any order,
with repetitions and crashes, the scores end the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, json
from msgspec.structs import replace

from tests.processors.scripted import SCORERS, origin
from tests.processors.test_followups_properties import HISTORIES, START, Message, Record, World
from upshot.processors.correlate.facts import Cancelled, OutcomeReceived, Replied, ScoreRevised, WaitReceived
from upshot.processors.correlate.state import (
    Cancellation,
    StoredMatch,
    StoredOutcome,
    StoredRule,
    StoredWait,
    Verdict,
)
from upshot.processors.followups.decode import read_deferred
from upshot.processors.followups.encode import encode_deferral

SUBJECTS = st.sampled_from(["ticket:1", "ticket:2"])
KINDS = ["closed", "reopened"]
#: Few instants, so that many are equal; and widths reaching from one to the next.
TIMES = st.sampled_from([0, 10, 20, 50, 50, 100, 150]).map(lambda at: START + at)
WIDTHS = st.sampled_from([0, 0, 9, 30, 99])


class WholeWorld(World):
    """Programs' own waits, too: their verdicts by subject and wait."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        super().__init__(choose)
        self.verdicts: dict[tuple[str, str], tuple[int, Verdict]] = {}

    def told(self, facts: Sequence[Any]) -> None:
        super().told([fact for fact in facts if isinstance(fact, Replied)])
        for fact in facts:
            if isinstance(fact, ScoreRevised):
                place, number = (fact.subject, fact.wait.wait_id), fact.revision.number
                known = self.verdicts.get(place)
                if known is not None and known[0] == number:
                    assert known[1] == fact.revision.verdict, "one revision, two verdicts"
                if known is None or known[0] < number:
                    self.verdicts[place] = number, fact.revision.verdict

    @property
    def answers(self) -> dict[tuple[str, str], Verdict]:
        return {place: verdict for place, (_, verdict) in self.verdicts.items()}


@st.composite
def outcomes(draw: st.DrawFn) -> OutcomeReceived:
    return OutcomeReceived(
        draw(SUBJECTS),
        StoredOutcome(
            id=draw(st.sampled_from(["e1", "e2", "e3", "e4"])),
            type=draw(st.sampled_from(KINDS)),
            time=draw(TIMES),
            arrived=0,
            partition=0,
            offset=0,
            source=draw(st.sampled_from(["", "desk"])),
            data_json=Raw(json.encode({"n": draw(st.integers(0, 2))})),
            width=draw(WIDTHS),
            sequence=draw(st.sampled_from([None, None, 1, 2, "2", "b"])),
            recorded=draw(st.integers(START // 1000, START // 1000 + 3)),
        ),
    )


@st.composite
def waits(draw: st.DrawFn) -> WaitReceived:
    mode: Any = draw(st.sampled_from(["first", "last", "all", "count", "sum"]))
    types = draw(st.lists(st.sampled_from(KINDS), min_size=1, unique=True))
    opened = draw(TIMES)
    rule = StoredRule(
        {kind: StoredMatch("data.n") for kind in types}, draw(st.sampled_from([None, 7.0])), mode
    )
    question = StoredWait(
        draw(st.sampled_from(["w1", "w2"])),
        "r",
        "n",
        opened,
        opened - draw(st.integers(0, 10)),
        opened + draw(st.sampled_from([10, 50, 100])),
        rule.json,
        tolerance=draw(st.sampled_from([0, 3, 20])),
        width=draw(WIDTHS),
        says_tolerance=True,
        revision=draw(st.integers(0, 1)),
    )
    return WaitReceived(draw(SUBJECTS), question)


cancellations = st.builds(
    Cancelled,
    SUBJECTS,
    st.sampled_from(["w1", "w2"]),
    st.just(""),
    st.builds(Cancellation, TIMES, st.integers(0, 1)),
)


@st.composite
def everything(draw: st.DrawFn) -> list[Message]:
    scorers = draw(st.lists(st.sampled_from(sorted({name for name, _ in SCORERS})), min_size=1, max_size=3))
    deferred: list[Message] = [
        read_deferred(Record(encode_deferral(origin(name, f"f{number}", at=START + 10))), 0)
        for number, name in enumerate(scorers)
    ]
    told = draw(st.lists(outcomes(), min_size=1, max_size=6))
    again = [
        OutcomeReceived(one.subject, replace(one.outcome, time=draw(TIMES), width=draw(WIDTHS)))
        for one in draw(st.lists(st.sampled_from(told), max_size=3))
    ]
    others = draw(st.lists(st.one_of(waits(), waits(), cancellations), max_size=5))
    return [*deferred, *told, *again, *others]


@settings(max_examples=HISTORIES, deadline=None)
@given(everything(), st.randoms(use_true_random=False))
def test_whatever_the_order_the_scores_end_the_same(messages: list[Message], random: Any) -> None:
    straight, shuffled = WholeWorld(lambda count: 0), WholeWorld(random.randrange)
    for world in (straight, shuffled):
        world.play(messages, [])
    assert shuffled.before_deadlines == straight.before_deadlines
    assert shuffled.current() == straight.current()
    assert shuffled.answers == straight.answers
    assert {s.status for s in shuffled.followups.values()} <= {"done", "withdrawn"}
