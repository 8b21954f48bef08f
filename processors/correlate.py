"""The join: outcomes and questions about one subject become revisions of scores.

Pure functions of (what is known, what comes in, now). What is known only ever grows until it's retired,
and each verdict follows from the set of what is known; so the order of arrival, repetition and the way
that a log is cut into batches can't change where it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, assert_never

import msgspec

from upshot.processors.rules import Irrelevant, Undecided, Unusable, decide, read
from upshot.processors.state import Known, Micros, Question, Revision, Subject, Verdict, Waiting


class Observed(NamedTuple):
    """An outcome arrived."""

    subject: str
    outcome: Known


class Asked(NamedTuple):
    """A wait arrived."""

    subject: str
    question: Question


Arrival = Observed | Asked


class Scored(NamedTuple):
    """A revision of a score, to be announced."""

    subject: str
    question: Question
    revision: Revision

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two of them the same fact."""
        return ("scored", self.subject, self.question.wait_id, str(self.revision.number))


class Refused(NamedTuple):
    """An outcome that should decide a question but can't, to be dead-lettered."""

    subject: str
    question: Question
    outcome: Known
    detail: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two of them the same fact."""
        return ("refused", self.subject, self.question.wait_id, self.outcome.key, self.detail)


Fact = Scored | Refused

#: `early`: an outcome that nobody waits for yet. `joined`: one that a question was waiting for.
#: `noted`: one that a question waits for but that leaves its answer as it is. `repeated`: something known already. `opened`: a question without an answer yet. `answered`: one whose
#: answer was already here. `expired`: a deadline was judged. `late`: an outcome inside its window came
#: after the judgement. `corrected`: an answer was replaced by another.
Happening = Literal[
    "early", "joined", "noted", "repeated", "opened", "answered", "expired", "late", "corrected"
]


class Step(NamedTuple):
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
    facts: dict[tuple[str, ...], Fact] = {}
    happened: Counter[Happening] = Counter()
    for arrival in arrivals:
        key = arrival.subject
        before = subjects.get(key) or states.get(key) or Subject()
        taken = correlate(before, arrival, now)
        if taken.subject is not before:
            subjects[key] = taken.subject
        facts.update((fact.identity, fact) for fact in taken.facts)
        happened.update(taken.happened)
    return Changes(subjects, list(facts.values()), happened)


def correlate(subject: Subject, arrival: Arrival, now: Micros) -> Step:
    """Apply one arrival to one subject."""
    match arrival:
        case Observed(key, outcome):
            return _observe(key, subject, outcome, now)
        case Asked(key, question):
            return _ask(key, subject, question, now)
        case _:
            assert_never(arrival)


def judge(key: str, subject: Subject, upto: Micros, now: Micros) -> Step:
    """Judge every open question whose deadline is at or before `upto`.

    Call it only when everything that was written before `upto` has been applied.
    """
    waits = dict(subject.waits)
    facts: list[Fact] = []
    for wait_id, waiting in subject.waits.items():
        if waiting.is_open and waiting.question.deadline <= upto:
            judged = msgspec.structs.replace(waiting, judged_at=now)
            waits[wait_id], revised = _revise(judged, subject.outcomes.values(), now)
            facts += [Scored(key, waiting.question, revision) for revision in revised]
    if not facts:
        return Step(subject, (), ())
    expired: tuple[Happening, ...] = tuple("expired" for _ in facts)
    return Step(Subject(subject.outcomes, waits), tuple(facts), expired)


def _observe(key: str, subject: Subject, outcome: Known, now: Micros) -> Step:
    known = subject.outcomes.get(outcome.key)
    if known is not None and known.rank <= outcome.rank:
        return Step(subject, _said_of(key, subject, known), ("repeated",))
    outcomes = {**subject.outcomes, outcome.key: outcome}
    waits = dict(subject.waits)
    facts: list[Fact] = []
    happened: set[Happening] = set()
    for wait_id, waiting in subject.waits.items():
        reading = read(waiting.question, outcome)
        if known is None and isinstance(reading, Irrelevant):
            continue
        if isinstance(reading, Unusable):
            facts.append(Refused(key, waiting.question, outcome, reading.detail))
        waits[wait_id], revised = _revise(waiting, outcomes.values(), now)
        facts += [Scored(key, waiting.question, revision) for revision in revised]
        happened.add(_name_of(waiting, revised))
    names: tuple[Happening, ...] = tuple(happened) if happened else ("early",)
    return Step(Subject(outcomes, waits), tuple(facts), names)


def _ask(key: str, subject: Subject, question: Question, now: Micros) -> Step:
    waiting = subject.waits.get(question.wait_id)
    if waiting is not None and waiting.question.rank <= question.rank:
        return Step(subject, _said_to(key, waiting, subject.outcomes.values()), ("repeated",))
    asked = Waiting(question, arrived=now, revisions=waiting.revisions if waiting else ())
    answered, revised = _revise(asked, subject.outcomes.values(), now)
    after = Subject(subject.outcomes, {**subject.waits, question.wait_id: answered})
    facts = _refusals(key, question, subject.outcomes.values())
    facts += tuple(Scored(key, question, revision) for revision in revised)
    return Step(after, facts, ("answered",) if revised else ("opened",))


def _revise(waiting: Waiting, outcomes: Iterable[Known], now: Micros) -> tuple[Waiting, tuple[Revision, ...]]:
    """Decide anew; append a revision where the verdict differs from the one announced last."""
    found = decide(waiting.question, outcomes, judged=waiting.judged_at is not None)
    before = waiting.verdict
    if isinstance(found, Undecided):
        if before is None or before.reason == "reopened":
            return waiting, ()
        found = Verdict(None, "reopened", waiting.question.opened_at)
    if found == before:
        return waiting, ()
    late = waiting.judged_at is not None and found.reason == "outcome"
    revision = Revision(len(waiting.revisions) + 1, found, now, late)
    return msgspec.structs.replace(waiting, revisions=(*waiting.revisions, revision)), (revision,)


def _said_of(key: str, subject: Subject, outcome: Known) -> tuple[Fact, ...]:
    """All that was announced because of `outcome`: said again when it comes again."""
    facts: tuple[Fact, ...] = ()
    for waiting in subject.waits.values():
        if not isinstance(read(waiting.question, outcome), Irrelevant):
            facts += _said_to(key, waiting, [outcome])
    return facts


def _said_to(key: str, waiting: Waiting, outcomes: Iterable[Known]) -> tuple[Fact, ...]:
    scored = tuple(Scored(key, waiting.question, revision) for revision in waiting.revisions)
    return _refusals(key, waiting.question, outcomes) + scored


def _refusals(key: str, question: Question, outcomes: Iterable[Known]) -> tuple[Fact, ...]:
    return tuple(
        Refused(key, question, outcome, reading.detail)
        for outcome in outcomes
        if isinstance(reading := read(question, outcome), Unusable)
    )


def _name_of(before: Waiting, revised: tuple[Revision, ...]) -> Happening:
    if not revised:
        return "noted"
    if revised[0].late:
        return "late"
    return "corrected" if before.revisions else "joined"


__all__ = [
    "Arrival",
    "Asked",
    "Changes",
    "Fact",
    "Happening",
    "Observed",
    "Refused",
    "Scored",
    "Step",
    "correlate",
    "judge",
    "step",
]
