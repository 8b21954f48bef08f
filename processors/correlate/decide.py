"""The join: outcomes and waits about one subject become revisions of scores.

Pure functions of (stored state, arrival, now). Stored state only ever grows until retired, and each verdict
follows from the set of stored outcomes and waits; so the order of arrival, repetition and the cutting of a
log into batches can't change the final state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, assert_never

import msgspec

from upshot.processors.correlate.facts import (
    Arrival,
    Cancelled,
    EventKind,
    Fact,
    OutcomeReceived,
    Replied,
    ScoreRevised,
    SubjectErased,
    UnusableOutcome,
    WaitReceived,
)
from upshot.processors.correlate.rules import IRRELEVANT, NoReading, OutcomeReading, read, verdict_of
from upshot.processors.correlate.state import (
    Revision,
    StoredOutcome,
    StoredRule,
    StoredWait,
    Subject,
    Verdict,
    WaitState,
)
from upshot.processors.correlate.withdrawing import (
    cancelled_verdict,
    early_cancellation,
    erase,
    is_erased,
    note_cancellation,
)
from upshot.streams.events.instants import Micros

_UNKNOWN = Subject()

_REPEATED: tuple[EventKind, ...] = ("repeated",)
_EARLY: tuple[EventKind, ...] = ("early",)
_OPENED: tuple[EventKind, ...] = ("opened",)
_ANSWERED: tuple[EventKind, ...] = ("answered",)
_CANCELLED: tuple[EventKind, ...] = ("cancelled",)
_ERASED: tuple[EventKind, ...] = ("erased",)


class Correlated(msgspec.Struct, frozen=True, gc=False):
    """The changes by one arrival: the subject afterwards, the facts to announce, and the event kinds."""

    subject: Subject
    facts: tuple[Fact, ...]
    happened: tuple[EventKind, ...]


class Changes(NamedTuple):
    """The changes by a batch: the changed subjects, the facts to announce, and counts of event kinds."""

    subjects: dict[str, Subject]
    facts: list[Fact]
    happened: Counter[EventKind]


def step(states: Mapping[str, Subject], arrivals: Sequence[Arrival], now: Micros) -> Changes:
    """Apply a batch. `states` holds every subject named by the batch and known already.

    A batch applied again to its own result changes nothing and announces the same facts again.
    """
    subjects: dict[str, Subject] = {}
    facts: list[Fact] = []
    happened: list[EventKind] = []
    repeated: set[str] = set()
    for arrival in arrivals:
        key = arrival.subject
        before = subjects.get(key) or states.get(key) or _UNKNOWN
        if type(arrival) is OutcomeReceived:  # most arrivals: two calls less
            taken = _observe(key, before, arrival.outcome, now)
        else:
            taken = correlate(before, arrival, now)
        if taken.subject is not before:
            subjects[key] = taken.subject
        elif taken.facts:
            repeated.add(key)
        facts += taken.facts
        happened += taken.happened
    return Changes(subjects, list(_once(facts, repeated)) if repeated else facts, Counter(happened))


def _once(facts: Iterable[Fact], repeated: Container[str]) -> Iterator[Fact]:
    """The facts, none of them twice; only facts about the `repeated` subjects can repeat."""
    identities: set[tuple[str | int, ...]] = set()
    for fact in facts:
        if fact.subject in repeated:
            if fact.identity in identities:
                continue
            identities.add(fact.identity)
        yield fact


def correlate(subject: Subject, arrival: Arrival, now: Micros) -> Correlated:
    """Apply one arrival to one subject."""
    match arrival:
        case OutcomeReceived():
            return _observe(arrival.subject, subject, arrival.outcome, now)
        case WaitReceived():
            return _ask(arrival.subject, subject, arrival.wait, now)
        case Cancelled():
            return _cancel(subject, arrival, now)
        case SubjectErased():
            after = erase(subject, arrival.run_id, arrival.at, now)
            return Correlated(after, (), _REPEATED if after is subject else _ERASED)
        case _:
            assert_never(arrival)


def expire(key: str, subject: Subject, upto: Micros, now: Micros) -> Correlated:
    """Expire every open wait whose deadline is at or before `upto`.

    Call `expire` only when every record written before `upto` has been applied.
    """
    waits = dict(subject.waits)
    facts: list[Fact] = []
    for wait_id, waiting in subject.waits.items():
        if waiting.is_open and waiting.wait.ends <= upto:
            wait = waiting.wait
            judged = msgspec.structs.replace(waiting, judged_at=now)
            readings = _readings(wait.rule, wait, subject.outcomes.values())
            waits[wait_id], revision = _revise(judged, wait.rule, readings, now)
            if revision is not None:
                facts.append(_announced(key, wait, revision, subject.outcomes.values()))
    if not facts:
        return Correlated(subject, (), ())
    expired: tuple[EventKind, ...] = tuple("expired" for _ in facts)
    return Correlated(Subject(subject.outcomes, waits, subject.marks), tuple(facts), expired)


def _observe(key: str, subject: Subject, outcome: StoredOutcome, now: Micros) -> Correlated:
    identity = outcome.key
    known = subject.outcomes.get(identity)
    if known is not None:
        if known.rank <= outcome.rank:
            outcome = known.with_earlier_record(outcome.recorded)
            if outcome is known:
                return Correlated(subject, _announced_because_of(key, subject, known), _REPEATED)
        else:
            outcome = outcome.with_earlier_record(known.recorded)
    if subject.marks and is_erased(subject.marks, outcome):
        return Correlated(subject, (), _ERASED)
    outcomes = {**subject.outcomes, identity: outcome}
    if not subject.waits:
        return Correlated(Subject(outcomes, {}, subject.marks), (), _EARLY)
    waits = subject.waits.copy()
    facts: tuple[Fact, ...] = ()
    happened: tuple[EventKind, ...] = ()
    for wait_id, waiting in subject.waits.items():
        wait = waiting.wait
        rule = wait.rule
        reading = read(rule, wait, outcome)
        if known is None and reading is IRRELEVANT:
            continue
        if type(reading) is NoReading and waiting.cancelled_at is None:
            facts += (UnusableOutcome(key, wait, outcome, reading.detail),)
        readings = [(o, reading if o is outcome else read(rule, wait, o)) for o in outcomes.values()]
        waits[wait_id], revision = _revise(waiting, rule, readings, now)
        if revision is not None:
            facts += (_announced(key, wait, revision, outcomes.values()),)
        name = _name_of(waiting, revision)
        if name not in happened:
            happened += (name,)
    return Correlated(Subject(outcomes, waits, subject.marks), facts, happened or _EARLY)


def _cancel(subject: Subject, arrival: Cancelled, now: Micros) -> Correlated:
    key, cancellation = arrival.subject, arrival.cancellation
    waiting = subject.waits.get(arrival.wait_id)
    if waiting is None or (waiting.wait.reply_to or "") != arrival.reply_to:
        after = note_cancellation(subject, arrival.wait_id, arrival.reply_to, cancellation, now)
        return Correlated(after, (), _REPEATED if after is subject else _CANCELLED)
    if not cancellation.outranks(waiting.cancellation):
        return Correlated(subject, _announced_to(key, waiting, subject, ()), _REPEATED)
    wait, known = waiting.wait, subject.outcomes.values()
    readings = _readings(wait.rule, wait, known)
    cancelled, revision = _revise(
        msgspec.structs.replace(waiting, cancellation=cancellation), wait.rule, readings, now
    )
    after = Subject(subject.outcomes, {**subject.waits, arrival.wait_id: cancelled}, subject.marks)
    facts = () if revision is None else (_announced(key, wait, revision, known),)
    return Correlated(after, facts, _CANCELLED)


def _ask(key: str, subject: Subject, wait: StoredWait, now: Micros) -> Correlated:
    waiting = subject.waits.get(wait.wait_id)
    if waiting is not None and waiting.wait.outranks(wait):
        return Correlated(subject, _announced_to(key, waiting, subject, subject.outcomes.values()), _REPEATED)
    cancellation = None
    if subject.marks:
        if is_erased(subject.marks, wait):
            return Correlated(subject, (), _ERASED)
        if waiting is None:
            subject, cancellation = early_cancellation(subject, wait)
    if waiting is None:
        asked = WaitState(wait, now, cancellation=cancellation)
    else:
        judged_at = waiting.judged_at if waiting.wait.is_the_same(wait) else None
        asked = WaitState(wait, now, judged_at, waiting.revisions, waiting.cancellation)
    if waiting is None and not subject.outcomes and cancellation is None:
        return Correlated(Subject({}, {**subject.waits, wait.wait_id: asked}, subject.marks), (), _OPENED)
    rule = wait.rule
    readings = _readings(rule, wait, subject.outcomes.values())
    answered, revision = _revise(asked, rule, readings, now)
    after = Subject(subject.outcomes, {**subject.waits, wait.wait_id: answered}, subject.marks)
    facts = _refusals(key, wait, readings)
    if revision is None:
        return Correlated(after, facts, _OPENED)
    return Correlated(after, (*facts, _announced(key, wait, revision, subject.outcomes.values())), _ANSWERED)


def _revise(
    waiting: WaitState, rule: StoredRule, readings: Iterable[OutcomeReading], now: Micros
) -> tuple[WaitState, Revision | None]:
    """Decide anew; append and return a revision where the verdict differs from the verdict announced last."""
    wait, revisions = waiting.wait, waiting.revisions
    judged = waiting.judged_at is not None
    cancelled_at = None if waiting.cancellation is None else waiting.cancelled_at
    if cancelled_at is None:
        found = verdict_of(rule, wait, readings, judged)
    elif wait.reply_to is None:
        found = cancelled_verdict(waiting, readings, cancelled_at)
    else:  # whoever asked needs no answer
        return waiting, None
    before = revisions[-1].verdict if revisions else None
    if found is None:
        if before is None or before.reason == "reopened":
            return waiting, None
        found = Verdict(None, "reopened", wait.opened_at)
    if found == before:
        return waiting, None
    late = judged and found.reason == "outcome"
    revision = Revision(len(revisions) + 1, found, now, late)
    announced = (*revisions, revision)
    return WaitState(wait, waiting.arrived, waiting.judged_at, announced, waiting.cancellation), revision


def _readings(rule: StoredRule, wait: StoredWait, outcomes: Iterable[StoredOutcome]) -> list[OutcomeReading]:
    return [(outcome, read(rule, wait, outcome)) for outcome in outcomes]


def _announced_because_of(key: str, subject: Subject, outcome: StoredOutcome) -> tuple[Fact, ...]:
    """All facts announced because of `outcome`: announced again when the outcome comes again."""
    facts: tuple[Fact, ...] = ()
    for waiting in subject.waits.values():
        if read(waiting.wait.rule, waiting.wait, outcome) is not IRRELEVANT:
            facts += _announced_to(key, waiting, subject, [outcome])
    return facts


def _announced_to(
    key: str, waiting: WaitState, subject: Subject, outcomes: Iterable[StoredOutcome]
) -> tuple[Fact, ...]:
    wait, revisions = waiting.wait, waiting.revisions
    # A follow-up needs the last revision alone; outcomes behind earlier revisions may have been replaced.
    announced = revisions if wait.reply_to is None else revisions[-1:]
    refused = _refusals(key, wait, _readings(wait.rule, wait, outcomes))
    known = subject.outcomes.values()
    return (*refused, *[_announced(key, wait, revision, known) for revision in announced])


def _announced(
    key: str, wait: StoredWait, revision: Revision, outcomes: Iterable[StoredOutcome]
) -> ScoreRevised | Replied:
    if wait.reply_to is None:
        return ScoreRevised(key, wait, revision)
    return Replied(key, wait, revision, _decider(revision, outcomes))


def _decider(revision: Revision, outcomes: Iterable[StoredOutcome]) -> StoredOutcome | None:
    verdict = revision.verdict
    if verdict.reason != "outcome":
        return None
    at, known_by = verdict.at, verdict.outcome_id
    return next(known for known in outcomes if known.time == at and known.fingerprint == known_by)


def _refusals(key: str, wait: StoredWait, readings: Iterable[OutcomeReading]) -> tuple[Fact, ...]:
    return tuple(
        [
            UnusableOutcome(key, wait, outcome, reading.detail)
            for outcome, reading in readings
            if type(reading) is NoReading
        ]
    )


def _name_of(before: WaitState, revision: Revision | None) -> EventKind:
    if revision is None:
        return "noted"
    if revision.late:
        return "late"
    return "corrected" if before.revisions else "joined"


__all__ = ["Changes", "Correlated", "correlate", "expire", "step"]
