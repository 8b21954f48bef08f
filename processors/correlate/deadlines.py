"""When a subject must be looked at again, and when its parts may be forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from upshot.processors.correlate.rules import IRRELEVANT, read
from upshot.processors.correlate.state import Mark, StoredOutcome, StoredWait, Subject, WaitState
from upshot.streams.events.instants import MICROSECOND, Micros

#: Between two looks at parts past their horizon.
_SHORTEST: Micros = 1_000_000


@dataclass(frozen=True)
class Horizons:
    """How long outcomes and waits are kept, and how long after a deadline the deadline is evaluated."""

    look_back: timedelta
    settled: timedelta
    grace: timedelta

    @cached_property
    def grace_micros(self) -> Micros:
        """How long after its deadline a wait is evaluated."""
        return self.grace // MICROSECOND

    @cached_property
    def _look_back(self) -> Micros:
        return self.look_back // MICROSECOND

    @cached_property
    def _settled(self) -> Micros:
        return self.settled // MICROSECOND

    def outcome_ends(self, outcome: StoredOutcome | Mark) -> Micros:
        """When an outcome needed by no wait, or a mark, may be forgotten."""
        return outcome.arrived + self._look_back

    def wait_ends(self, waiting: WaitState) -> Micros:
        """When an answered wait may be forgotten: counted from its deadline, or from its arrival if later."""
        return self.ends(waiting.wait, waiting.arrived)

    def ends(self, wait: StoredWait, arrived: Micros) -> Micros:
        """The same, of a wait with this arrival."""
        return max(wait.deadline, arrived) + self._settled

    def between_sweeps(self, sweeps: int) -> Micros:
        """How long until outcomes are looked at again, with `sweeps` looks while one outcome is kept."""
        return max(self._look_back // sweeps, _SHORTEST)

    def judged_from(self, waiting: WaitState) -> Micros:
        """From when an open wait's deadline may be evaluated."""
        return waiting.wait.ends + self.grace_micros


def next_look(subject: Subject, horizons: Horizons) -> Micros | None:
    """The next instant at which this subject needs a look; None where nothing is to come."""
    waits = subject.waits
    if len(waits) == 1:
        [waiting] = waits.values()
        return _look_at(waiting, horizons)
    if waits:
        return min([_look_at(waiting, horizons) for waiting in waits.values()])
    if len(subject.outcomes) == 1 and not subject.marks:
        [outcome] = subject.outcomes.values()
        return horizons.outcome_ends(outcome)
    retained: list[StoredOutcome | Mark] = [*subject.outcomes.values(), *subject.marks.values()]
    return min([horizons.outcome_ends(one) for one in retained], default=None)


def open_waits(subject: Subject) -> int:
    """How many of the subject's deadlines are still to be evaluated."""
    if not subject.waits:
        return 0
    count = 0
    for waiting in subject.waits.values():
        count += waiting.is_open
    return count


def _look_at(waiting: WaitState, horizons: Horizons) -> Micros:
    return horizons.judged_from(waiting) if waiting.is_open else horizons.wait_ends(waiting)


def retire(subject: Subject, now: Micros, horizons: Horizons) -> Subject:
    """The subject without parts past their horizon: answered waits, and outcomes needed by no other wait."""
    waits = {
        wait_id: waiting
        for wait_id, waiting in subject.waits.items()
        if waiting.is_open or horizons.wait_ends(waiting) > now
    }
    outcomes = {
        key: outcome
        for key, outcome in subject.outcomes.items()
        if horizons.outcome_ends(outcome) > now or _is_needed(outcome, waits.values())
    }
    marks = {key: mark for key, mark in subject.marks.items() if horizons.outcome_ends(mark) > now}
    before = subject.waits, subject.outcomes, subject.marks
    if [len(waits), len(outcomes), len(marks)] == [len(part) for part in before]:
        return subject
    return Subject(outcomes, waits, marks)


def _is_needed(outcome: StoredOutcome, waits: Iterable[WaitState]) -> bool:
    return any(read(w.wait.rule, w.wait, outcome) is not IRRELEVANT for w in waits)


__all__ = ["Horizons", "next_look", "open_waits", "retire"]
