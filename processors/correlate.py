"""The join: outcomes and questions about one subject become revisions of scores.

Pure functions of (what is known, what comes in, now). What is known only ever grows until it's retired,
and each verdict follows from the set of what is known; so the order of arrival, repetition and the way
that a log is cut into batches can't change where it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, assert_never

import msgspec

from upshot.processors.rules import IRRELEVANT, Heard, Unusable, read, verdict_of
from upshot.processors.state import Cancellation, Known, Question, Revision, Rule, Subject, Verdict, Waiting
from upshot.processors.withdrawing import (
    cancelled_verdict,
    early_cancellation,
    erase,
    is_erased,
    note_cancellation,
)
from upshot.streams.instants import Micros


class Observed(msgspec.Struct, frozen=True, gc=False):
    """An outcome arrived. `spelled` is its subject as it was told, where that isn't the spelling that joins."""

    subject: str
    outcome: Known
    spelled: str | None = None


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A wait arrived."""

    subject: str
    question: Question


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """A wait isn't needed any more: of this id, and asked by this follow-up (empty for a program)."""

    subject: str
    wait_id: str
    reply_to: str
    cancellation: Cancellation
    spelled: str | None = None


class Erased(msgspec.Struct, frozen=True, gc=False):
    """What was asked and told of the subject up to `at` is to be forgotten; what `run_id` asked, where there is one."""

    subject: str
    at: Micros
    run_id: str | None = None
    spelled: str | None = None


Arrival = Observed | Asked | Cancelled | Erased


class Scored(msgspec.Struct, frozen=True, gc=False):
    """A revision of a score, to be announced."""

    subject: str
    question: Question
    revision: Revision

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two of them the same fact."""
        return self.subject, self.question.wait_id, self.revision.number


class Replied(msgspec.Struct, frozen=True, gc=False):
    """What a follow-up is told of its question; `outcome` is the one that decided, where one did."""

    subject: str
    question: Question
    revision: Revision
    outcome: Known | None = None

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two of them the same fact."""
        return self.subject, self.question.wait_id, self.revision.number


class Refused(msgspec.Struct, frozen=True, gc=False):
    """An outcome that should decide a question but can't, to be dead-lettered."""

    subject: str
    question: Question
    outcome: Known
    detail: str

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two of them the same fact."""
        return self.subject, self.question.wait_id, self.outcome.key, self.detail


Fact = Scored | Replied | Refused
_UNKNOWN = Subject()

#: `early`: an outcome that nobody waits for yet. `joined`: one that a question was waiting for.
#: `noted`: one that a question waits for but that leaves its answer as it is. `repeated`: something known already. `opened`: a question without an answer yet. `answered`: one whose
#: answer was already here. `expired`: a deadline was judged. `late`: an outcome inside its window came
#: after the judgement. `corrected`: an answer was replaced by another. `cancelled`: a wait isn't needed any more.
#: `erased`: something was forgotten, or belongs to what was.
Happening = Literal[
    "early",
    "joined",
    "noted",
    "repeated",
    "opened",
    "answered",
    "expired",
    "late",
    "corrected",
    "cancelled",
    "erased",
]

_REPEATED: tuple[Happening, ...] = ("repeated",)
_EARLY: tuple[Happening, ...] = ("early",)
_OPENED: tuple[Happening, ...] = ("opened",)
_ANSWERED: tuple[Happening, ...] = ("answered",)
_CANCELLED: tuple[Happening, ...] = ("cancelled",)
_ERASED: tuple[Happening, ...] = ("erased",)


class Step(msgspec.Struct, frozen=True, gc=False):
    """What one arrival changes: the subject afterwards, the facts to announce, and what happened."""

    subject: Subject
    facts: tuple[Fact, ...]
    happened: tuple[Happening, ...]


class Changes(NamedTuple):
    """What a batch changes: the subjects that differ now, the facts to announce, and what happened how often."""

    subjects: dict[str, Subject]
    facts: list[Fact]
    happened: Counter[Happening]


def step(states: Mapping[str, Subject], arrivals: Sequence[Arrival], now: Micros) -> Changes:
    """Apply a batch. `states` holds every subject that the batch names and that is known already.

    Applied again to its own result it changes nothing and announces the same facts again.
    """
    subjects: dict[str, Subject] = {}
    facts: list[Fact] = []
    happened: list[Happening] = []
    repeated: set[str] = set()
    for arrival in arrivals:
        key = arrival.subject
        before = subjects.get(key) or states.get(key) or _UNKNOWN
        taken = correlate(before, arrival, now)
        if taken.subject is not before:
            subjects[key] = taken.subject
        elif taken.facts:
            repeated.add(key)
        facts += taken.facts
        happened += taken.happened
    return Changes(subjects, list(_once(facts, repeated)) if repeated else facts, Counter(happened))


def _once(facts: Iterable[Fact], repeated: Container[str]) -> Iterator[Fact]:
    """The facts, none of them twice; only those about the `repeated` subjects can be."""
    told: set[tuple[str | int, ...]] = set()
    for fact in facts:
        if fact.subject in repeated:
            if fact.identity in told:
                continue
            told.add(fact.identity)
        yield fact


def correlate(subject: Subject, arrival: Arrival, now: Micros) -> Step:
    """Apply one arrival to one subject."""
    match arrival:
        case Observed():
            return _observe(arrival.subject, subject, arrival.outcome, now)
        case Asked():
            return _ask(arrival.subject, subject, arrival.question, now)
        case Cancelled():
            return _cancel(subject, arrival, now)
        case Erased():
            after = erase(subject, arrival.run_id, arrival.at, now)
            return Step(after, (), _REPEATED if after is subject else _ERASED)
        case _:
            assert_never(arrival)


def judge(key: str, subject: Subject, upto: Micros, now: Micros) -> Step:
    """Judge every open question whose deadline is at or before `upto`.

    Call it only when everything that was written before `upto` has been applied.
    """
    waits = dict(subject.waits)
    facts: list[Fact] = []
    for wait_id, waiting in subject.waits.items():
        if waiting.is_open and waiting.question.ends <= upto:
            question = waiting.question
            judged = msgspec.structs.replace(waiting, judged_at=now)
            heard = _heard(question.rule, question, subject.outcomes.values())
            waits[wait_id], revision = _revise(judged, question.rule, heard, now)
            if revision is not None:
                facts.append(_announced(key, question, revision, subject.outcomes.values()))
    if not facts:
        return Step(subject, (), ())
    expired: tuple[Happening, ...] = tuple("expired" for _ in facts)
    return Step(Subject(subject.outcomes, waits, subject.marks), tuple(facts), expired)


def _observe(key: str, subject: Subject, outcome: Known, now: Micros) -> Step:
    identity = outcome.key
    known = subject.outcomes.get(identity)
    if known is not None:
        if known.rank <= outcome.rank:
            outcome = known.told_again(outcome.recorded)
            if outcome is known:
                return Step(subject, _said_of(key, subject, known), _REPEATED)
        else:
            outcome = outcome.told_again(known.recorded)
    if is_erased(subject.marks, outcome):
        return Step(subject, (), _ERASED)
    outcomes = {**subject.outcomes, identity: outcome}
    if not subject.waits:
        return Step(Subject(outcomes, {}, subject.marks), (), _EARLY)
    waits = subject.waits.copy()
    facts: tuple[Fact, ...] = ()
    happened: tuple[Happening, ...] = ()
    for wait_id, waiting in subject.waits.items():
        question = waiting.question
        rule = question.rule
        reading = read(rule, question, outcome)
        if known is None and reading is IRRELEVANT:
            continue
        if type(reading) is Unusable and waiting.cancelled_at is None:
            facts += (Refused(key, question, outcome, reading.detail),)
        heard = [(o, reading if o is outcome else read(rule, question, o)) for o in outcomes.values()]
        waits[wait_id], revision = _revise(waiting, rule, heard, now)
        if revision is not None:
            facts += (_announced(key, question, revision, outcomes.values()),)
        name = _name_of(waiting, revision)
        if name not in happened:
            happened += (name,)
    return Step(Subject(outcomes, waits, subject.marks), facts, happened or _EARLY)


def _cancel(subject: Subject, arrival: Cancelled, now: Micros) -> Step:
    key, cancellation = arrival.subject, arrival.cancellation
    waiting = subject.waits.get(arrival.wait_id)
    if waiting is None or (waiting.question.reply_to or "") != arrival.reply_to:
        after = note_cancellation(subject, arrival.wait_id, arrival.reply_to, cancellation, now)
        return Step(after, (), _REPEATED if after is subject else _CANCELLED)
    if not cancellation.outranks(waiting.cancellation):
        return Step(subject, _said_to(key, waiting, subject, ()), _REPEATED)
    question, known = waiting.question, subject.outcomes.values()
    heard = _heard(question.rule, question, known)
    cancelled, revision = _revise(
        msgspec.structs.replace(waiting, cancellation=cancellation), question.rule, heard, now
    )
    after = Subject(subject.outcomes, {**subject.waits, arrival.wait_id: cancelled}, subject.marks)
    facts = () if revision is None else (_announced(key, question, revision, known),)
    return Step(after, facts, _CANCELLED)


def _ask(key: str, subject: Subject, question: Question, now: Micros) -> Step:
    waiting = subject.waits.get(question.wait_id)
    if waiting is not None and waiting.question.outranks(question):
        return Step(subject, _said_to(key, waiting, subject, subject.outcomes.values()), _REPEATED)
    if is_erased(subject.marks, question):
        return Step(subject, (), _ERASED)
    if waiting is None:
        subject, cancellation = early_cancellation(subject, question)
        asked = Waiting(question, now, cancellation=cancellation)
    else:
        judged_at = waiting.judged_at if waiting.question.is_the_same(question) else None
        asked = Waiting(question, now, judged_at, waiting.revisions, waiting.cancellation)
    if waiting is None and not subject.outcomes and asked.cancellation is None:
        return Step(Subject({}, {**subject.waits, question.wait_id: asked}, subject.marks), (), _OPENED)
    rule = question.rule
    heard = _heard(rule, question, subject.outcomes.values())
    answered, revision = _revise(asked, rule, heard, now)
    after = Subject(subject.outcomes, {**subject.waits, question.wait_id: answered}, subject.marks)
    facts = _refusals(key, question, heard)
    if revision is None:
        return Step(after, facts, _OPENED)
    return Step(after, (*facts, _announced(key, question, revision, subject.outcomes.values())), _ANSWERED)


def _revise(
    waiting: Waiting, rule: Rule, heard: Iterable[Heard], now: Micros
) -> tuple[Waiting, Revision | None]:
    """Decide anew; append a revision, and return it, where the verdict differs from the one announced last."""
    question, revisions = waiting.question, waiting.revisions
    judged, cancelled_at = waiting.judged_at is not None, waiting.cancelled_at
    if cancelled_at is None:
        found = verdict_of(rule, question, heard, judged)
    elif question.reply_to is None:
        found = cancelled_verdict(waiting, heard, cancelled_at)
    else:  # whoever asked needs no answer
        return waiting, None
    before = revisions[-1].verdict if revisions else None
    if found is None:
        if before is None or before.reason == "reopened":
            return waiting, None
        found = Verdict(None, "reopened", question.opened_at)
    if found == before:
        return waiting, None
    late = judged and found.reason == "outcome"
    revision = Revision(len(revisions) + 1, found, now, late)
    said = (*revisions, revision)
    return Waiting(question, waiting.arrived, waiting.judged_at, said, waiting.cancellation), revision


def _heard(rule: Rule, question: Question, outcomes: Iterable[Known]) -> list[Heard]:
    return [(outcome, read(rule, question, outcome)) for outcome in outcomes]


def _said_of(key: str, subject: Subject, outcome: Known) -> tuple[Fact, ...]:
    """All that was announced because of `outcome`: said again when it comes again."""
    facts: tuple[Fact, ...] = ()
    for waiting in subject.waits.values():
        if read(waiting.question.rule, waiting.question, outcome) is not IRRELEVANT:
            facts += _said_to(key, waiting, subject, [outcome])
    return facts


def _said_to(key: str, waiting: Waiting, subject: Subject, outcomes: Iterable[Known]) -> tuple[Fact, ...]:
    question, revisions = waiting.question, waiting.revisions
    # A follow-up needs the last alone; what decided those before may have been replaced.
    said = revisions if question.reply_to is None else revisions[-1:]
    refused = _refusals(key, question, _heard(question.rule, question, outcomes))
    known = subject.outcomes.values()
    return (*refused, *[_announced(key, question, revision, known) for revision in said])


def _announced(
    key: str, question: Question, revision: Revision, outcomes: Iterable[Known]
) -> Scored | Replied:
    if question.reply_to is None:
        return Scored(key, question, revision)
    return Replied(key, question, revision, _decider(revision, outcomes))


def _decider(revision: Revision, outcomes: Iterable[Known]) -> Known | None:
    verdict = revision.verdict
    if verdict.reason != "outcome":
        return None
    at, known_by = verdict.at, verdict.outcome_id
    return next(known for known in outcomes if known.time == at and known.fingerprint == known_by)


def _refusals(key: str, question: Question, heard: Iterable[Heard]) -> tuple[Fact, ...]:
    return tuple(
        [
            Refused(key, question, outcome, reading.detail)
            for outcome, reading in heard
            if type(reading) is Unusable
        ]
    )


def _name_of(before: Waiting, revision: Revision | None) -> Happening:
    if revision is None:
        return "noted"
    if revision.late:
        return "late"
    return "corrected" if before.revisions else "joined"


__all__ = [
    "Arrival",
    "Asked",
    "Cancelled",
    "Changes",
    "Erased",
    "Fact",
    "Happening",
    "Observed",
    "Refused",
    "Replied",
    "Scored",
    "Step",
    "correlate",
    "judge",
    "step",
]
