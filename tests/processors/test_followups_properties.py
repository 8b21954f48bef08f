"""Follow-ups and the join together, in any order, with repetitions and crashes.

They end with the same scores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, json

from tests.processors.scripted import SCORERS, execute, origin
from upshot.processors.correlate.decide import expire, step
from upshot.processors.correlate.encode import encode_resumption
from upshot.processors.correlate.facts import Cancelled, OutcomeReceived, Replied, WaitReceived
from upshot.processors.correlate.state import Cancellation, StoredOutcome, Subject, as_stored_wait
from upshot.processors.followups.decide import (
    WITHDRAWN,
    Patience,
    arrive,
    end,
    keep_results,
    wake_timers,
)
from upshot.processors.followups.decode import read_deferred, read_resumed
from upshot.processors.followups.encode import (
    encode_deferral,
    encode_more,
    encode_score,
    encode_status,
    encode_wait,
    encode_wait_cancellation,
)
from upshot.processors.followups.execution import Execution
from upshot.processors.followups.facts import (
    Arrival,
    DeferralCancelled,
    DeferredMore,
    Fact,
    Opened,
    Retried,
    ScoreEmitted,
    Stands,
    WaitCancelled,
)
from upshot.processors.followups.state import FollowupState, decode_followup, encode_followup, memory_of
from upshot.schemas.followups import FollowupStatus
from upshot.schemas.scores import Score
from upshot.streams.events.decode import read_wait
from upshot.streams.events.withdrawals import Cancelling, read_withdrawal

FOR_EVER = 4_000_000_000_000_000
#: The story's instants are microseconds after this one: schemas refuse the seventies.
START = 1_700_000_000_000_000
PATIENCE = Patience(3, 1, 10)
#: Histories for each property; `HISTORIES=10000` looks longer.
HISTORIES = int(os.environ.get("HISTORIES", "120"))


class Record(NamedTuple):
    """A record as the readers see it."""

    value: bytes
    topic: str = "upshot.any"
    partition: int = 0
    offset: int = 0
    timestamp: int = FOR_EVER // 1000 - 1
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Ends(NamedTuple):
    """An execution that has ended, and whose end isn't applied yet."""

    followup_id: str
    known: int
    execution: Execution


class Runs(NamedTuple):
    """An execution that is to be started."""

    followup_id: str


Message = Arrival | WaitReceived | Cancelled | OutcomeReceived | Ends | Runs


def withdrawal(value: bytes) -> Cancelled:
    read = read_withdrawal(Record(value), 0)
    assert isinstance(read, Cancelling)
    return Cancelled(read.subject, read.wait_id, read.reply_to, Cancellation(read.at, read.revision))


class World:
    """Join and follow-ups, their messages delivered in an order that `choose` decides."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self.choose = choose
        self.messages: list[Message] = []
        self.subjects: dict[str, Subject] = {}
        self.followups: dict[str, FollowupState] = {}
        self.under_way: set[str] = set()
        self.scores: dict[str, dict[int, Score]] = {}
        self.now = START + 1000
        #: The scores that counted once the first messages were delivered, when no deadline had passed.
        self.before_deadlines: set[tuple[Any, ...]] = set()

    def play(self, first: Sequence[Message], late: Sequence[Message]) -> None:
        """Deliver all, let the time run out, then what comes late."""
        for messages in (first, late):
            self.messages += messages
            self.deliver()
            self.before_deadlines = self.before_deadlines or self.current()
            while self.let_time_run_out():
                self.deliver()

    def deliver(self) -> None:
        while self.messages:
            self.now += 1
            message = self.messages.pop(self.choose(len(self.messages)))
            if not isinstance(message, Ends | Runs) and self.choose(6) == 1:
                self.messages.append(message)
            self.handle(message)

    def let_time_run_out(self) -> bool:
        """Judge all deadlines and wake all timers; whether anything came of it."""
        self.now += 1
        for key, subject in self.subjects.items():
            judged = expire(key, subject, FOR_EVER, self.now)
            self.subjects[key] = judged.subject
            self.told(judged.facts)
        for key, state in self.followups.items():
            if state.next_timer is not None and not self.messages:
                self.took(key, state, wake_timers(state, FOR_EVER))
        return bool(self.messages)

    def handle(self, message: Message) -> None:
        match message:
            case WaitReceived() | OutcomeReceived() | Cancelled():
                changes = step(self.subjects, [message], self.now)
                self.subjects |= changes.subjects
                self.told(changes.facts)
            case Runs(key):
                self.run(key)
            case Ends(key, known, execution):
                self.ended(key, known, execution)
            case _:
                state = self.followups.get(message.followup_id, FollowupState())
                moved = arrive(state, message, self.now)
                assert arrive(moved.state, message, self.now + 1).state is moved.state or isinstance(
                    message, Retried
                )
                self.took(message.followup_id, state, moved)

    def told(self, facts: Sequence[Any]) -> None:
        for fact in facts:
            assert isinstance(fact, Replied)
            self.messages.append(read_resumed(Record(encode_resumption(fact)), 0))

    def run(self, key: str) -> None:
        state = self.followups[key]
        memory = memory_of(state)
        if key in self.under_way or state.run_at is None:
            return
        if memory is None:
            execution = WITHDRAWN
        else:
            execution = execute(SCORERS[memory.origin.scorer, memory.origin.version], memory)
            again = execute(SCORERS[memory.origin.scorer, memory.origin.version], memory)
            assert execution == again
        if self.choose(5) == 1:  # a crash, before anything of it is durable
            self.messages.append(Runs(key))
            return
        self.under_way.add(key)
        self.messages.append(Ends(key, state.known, execution))

    def ended(self, key: str, known: int, execution: Execution) -> None:
        self.under_way.discard(key)
        state = self.followups[key] = keep_results(self.followups[key], known, execution)
        moved = end(state, known, execution, self.now, PATIENCE)
        said_again = end(state, known, execution, self.now, PATIENCE)
        assert moved == said_again
        for fact in moved.facts:
            self.say(fact)
        if self.choose(5) == 1:  # a crash, after it was announced and before it's remembered
            self.messages.append(Runs(key))
            return
        if moved.happened != "overtaken" and moved.state.run_at is None:
            assert end(moved.state, known, execution, self.now + 1, PATIENCE).state is moved.state
        self.took(key, state, moved, emitted=True)

    def took(self, key: str, before: FollowupState, moved: Any, *, emitted: bool = False) -> None:
        state = decode_followup(encode_followup(moved.state))
        assert state == moved.state
        self.followups[key] = state
        for fact in () if emitted else moved.facts:
            self.say(fact)
        if state.run_at is not None:
            self.messages.append(Runs(key))

    def say(self, fact: Fact) -> None:
        match fact:
            case Opened():
                wait = read_wait(Record(encode_wait(fact)))
                assert (wait.deadline, wait.since) == (fact.wait.deadline, fact.wait.since)
                self.messages.append(WaitReceived(wait.subject, as_stored_wait(wait)))
            case ScoreEmitted():
                score = Score.model_validate_json(encode_score(fact))
                self.scores.setdefault(fact.score_id, {})[score.revision] = score
            case WaitCancelled():
                self.messages.append(withdrawal(encode_wait_cancellation(fact)))
            case DeferredMore() | DeferralCancelled():
                self.messages.append(read_deferred(Record(encode_more(fact)), 0))
            case Stands():
                FollowupStatus.model_validate_json(encode_status(fact))

    def current(self) -> set[tuple[Any, ...]]:
        """The scores that count at the end."""
        last = [revisions[max(revisions)] for revisions in self.scores.values()]
        return {
            (s.score_id, s.name, s.value, s.reason, s.occurred_at, s.outcome_id)
            for s in last
            if s.value is not None
        }


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Message], list[Message]]:
    """What was deferred, and what happens: in time for the join, and after all deadlines were judged."""
    deferred = draw(st.lists(st.sampled_from(sorted({name for name, _ in SCORERS})), min_size=1, max_size=3))
    messages: list[Message] = [
        read_deferred(Record(encode_deferral(origin(name, f"f{number}", at=START + 10))), 0)
        for number, name in enumerate(deferred)
    ]
    known = st.builds(
        StoredOutcome,
        id=st.sampled_from(["e1", "e2", "e3"]),
        type=st.sampled_from(["reopened", "closed"]),
        time=st.integers(0, 200).map(lambda at: START + at),
        arrived=st.just(0),
        partition=st.just(0),
        offset=st.just(0),
        source=st.sampled_from(["", "desk"]),
        data_json=st.integers(0, 2).map(lambda n: Raw(json.encode({"n": n}))),
    )
    outcomes = st.builds(OutcomeReceived, st.sampled_from(["ticket:1", "ticket:2"]), known)
    return messages + draw(st.lists(outcomes, max_size=5)), list(draw(st.lists(outcomes, max_size=3)))


@settings(max_examples=HISTORIES, deadline=None)
@given(stories(), st.randoms(use_true_random=False))
def test_any_order_repetition_and_crash_ends_with_the_same_scores(
    story: tuple[list[Message], list[Message]], random: Any
) -> None:
    first, late = story
    straight = World(lambda count: 0)
    straight.play([*first, *late], [])
    shuffled = World(random.randrange)
    shuffled.play(first, late)
    assert shuffled.current() == straight.current()
    assert {s.status for s in shuffled.followups.values()} <= {"done", "withdrawn"}


@st.composite
def changes_of_mind(draw: st.DrawFn) -> list[Message]:
    """Follow-ups that defer follow-ups because of outcomes, which are then told otherwise: as of another
    time, of before the follow-ups' beginning or of after the end of their waits.
    """
    scorers = [
        "escalating",
        *draw(st.lists(st.sampled_from(["escalating", "following", "patient"]), max_size=2)),
    ]
    messages: list[Message] = [
        read_deferred(Record(encode_deferral(origin(name, f"f{number}", at=START + 10))), 0)
        for number, name in enumerate(scorers)
    ]
    about = st.tuples(st.sampled_from(["closed", "reopened"]), st.sampled_from(["ticket:1", "ticket:2"]))
    times = st.lists(st.integers(0, 150), min_size=1, max_size=4)
    for number, ((kind, subject), told) in enumerate(draw(st.lists(st.tuples(about, times), max_size=4))):
        for at in told:
            messages.append(
                OutcomeReceived(
                    subject, StoredOutcome(f"e{number}", kind, START + at, 0, 0, 0, "", Raw(b"{}"))
                )
            )
    return messages


@settings(max_examples=HISTORIES, deadline=None)
@given(changes_of_mind(), st.randoms(use_true_random=False))
def test_what_is_no_longer_asked_for_is_withdrawn_whatever_the_order(
    messages: list[Message], random: Any
) -> None:
    straight, shuffled = World(lambda count: 0), World(random.randrange)
    for world in (straight, shuffled):
        world.play(messages, [])
    assert shuffled.before_deadlines == straight.before_deadlines
    assert shuffled.current() == straight.current()
    assert {s.status for s in shuffled.followups.values()} <= {"done", "withdrawn"}


class Interrupted(World):
    """Ends once between announcing a second revision and remembering it.

    `meanwhile` comes before it runs again.
    """

    def __init__(self, meanwhile: OutcomeReceived) -> None:
        super().__init__(lambda count: 0)
        self._meanwhile: OutcomeReceived | None = meanwhile

    def ended(self, key: str, known: int, execution: Execution) -> None:
        facts = end(
            keep_results(self.followups[key], known, execution), known, execution, self.now, PATIENCE
        ).facts
        second = any(isinstance(fact, ScoreEmitted) and fact.emitted.revision == 2 for fact in facts)
        if self._meanwhile is None or not second:
            super().ended(key, known, execution)
            return
        self.under_way.discard(key)
        self.followups[key] = keep_results(self.followups[key], known, execution)
        for fact in facts:
            self.say(fact)
        self.handle(self._meanwhile)
        self._meanwhile = None
        self.messages.append(Runs(key))


def test_a_revision_that_was_announced_and_not_remembered_is_taken_back() -> None:
    deferred = read_deferred(Record(encode_deferral(origin("stayed_closed", "f0", at=START + 10))), 0)
    in_time, corrected = (
        OutcomeReceived("ticket:1", StoredOutcome("e1", "reopened", START + at, 0, 0, 0, "", Raw(b"{}")))
        for at in (10, 0)
    )
    straight = World(lambda count: 0)
    straight.play([deferred, in_time, corrected], [])
    interrupted = Interrupted(corrected)
    interrupted.play([deferred], [in_time])
    assert interrupted.current() == straight.current()
