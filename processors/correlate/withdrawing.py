"""The effect of cancellations and erasures on a subject: parts of its state, in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from upshot.processors.correlate.rules import OutcomeReading, verdict_of
from upshot.processors.correlate.state import (
    Cancellation,
    Mark,
    StoredOutcome,
    StoredWait,
    Subject,
    Verdict,
    WaitState,
)
from upshot.schemas.ids import fact_id
from upshot.streams.events.instants import Micros

_ALL = "erased\n"


def cancelled_verdict(waiting: WaitState, readings: Iterable[OutcomeReading], at: Micros) -> Verdict:
    """The verdict of a wait cancelled at `at`: the decision made by then, else `cancelled`."""
    wait = waiting.wait
    rule = wait.rule
    if rule.mode in ("first", "all"):
        before = [(outcome, reading) for outcome, reading in readings if outcome.time <= at]
        decided = verdict_of(rule, wait, before, judged=False)
        if decided is not None:
            return decided
    return Verdict(None, "cancelled", at)


def early_cancellation(subject: Subject, wait: StoredWait) -> tuple[Subject, Cancellation | None]:
    """The cancellation received before its wait, taken out of the subject's marks."""
    name = cancelled_name(wait.wait_id, wait.reply_to or "")
    mark = subject.marks.get(name)
    if mark is None:
        return subject, None
    left = {key: other for key, other in subject.marks.items() if key != name}
    return Subject(subject.outcomes, subject.waits, left), mark.cancellation


def note_cancellation(
    subject: Subject, wait_id: str, reply_to: str, cancellation: Cancellation, now: Micros
) -> Subject:
    """The subject with a cancellation of an absent wait; the same object where nothing changes."""
    name = cancelled_name(wait_id, reply_to)
    mark = subject.marks.get(name)
    if mark is not None and not cancellation.outranks(mark.cancellation):
        return subject
    return replace(subject, marks={**subject.marks, name: Mark(now, cancellation)})


def erase(subject: Subject, run_id: str | None, at: Micros, now: Micros) -> Subject:
    """The subject without all waits and outcomes up to `at`, or without this run's waits.

    The erasure stays noted, by no more than a hash of the run's id: waits and outcomes coming again, or late,
    are left out as well.
    """
    name = erased_name(run_id)
    mark = subject.marks.get(name)
    if mark is not None and mark.erased_at >= at:
        return subject
    waits = {
        key: waiting
        for key, waiting in subject.waits.items()
        if waiting.wait.opened_at > at or run_id not in (None, waiting.wait.run_id)
    }
    outcomes, marks = subject.outcomes, subject.marks
    if run_id is None:
        outcomes = {key: outcome for key, outcome in outcomes.items() if outcome.time > at}
        marks = {key: other for key, other in marks.items() if other.cancellation is None}
    return Subject(outcomes, waits, {**marks, name: Mark(now, None, at)})


def is_erased(marks: Mapping[str, Mark], event: StoredWait | StoredOutcome) -> bool:
    """Whether a wait or an outcome belongs to an erasure, given a subject's marks."""
    if not marks:
        return False
    if isinstance(event, StoredOutcome):
        return _is_up_to(marks.get(_ALL), event.time)
    return _is_up_to(marks.get(_ALL), event.opened_at) or _is_up_to(
        marks.get(erased_name(event.run_id)), event.opened_at
    )


def _is_up_to(mark: Mark | None, at: Micros) -> bool:
    return mark is not None and at <= mark.erased_at


def cancelled_name(wait_id: str, reply_to: str) -> str:
    """The name of the mark for a wait's cancellation."""
    return f"cancelled\n{reply_to}\n{wait_id}"


def erased_name(run_id: str | None) -> str:
    """The name of the mark for an erasure: for a run's erasure, no more than a hash of the run's id."""
    return _ALL if run_id is None else _ALL + fact_id("erased", run_id)


__all__ = [
    "cancelled_name",
    "cancelled_verdict",
    "early_cancellation",
    "erase",
    "erased_name",
    "is_erased",
    "note_cancellation",
]
