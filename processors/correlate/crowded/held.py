"""A wait of a crowded subject, and where it stands."""

from __future__ import annotations

from msgspec.structs import replace

from upshot.processors.correlate.crowded.group import Found
from upshot.processors.correlate.crowded.layout import WaitStanding
from upshot.processors.correlate.state import Cancellation, Revision, StoredWait, Verdict, ended_by
from upshot.streams.events.instants import Micros


class CrowdedWait:
    """A wait and where it stands."""

    __slots__ = ("arrived", "cancellation", "history", "judged_at", "last", "seen", "segment", "wait")

    def __init__(self, wait: StoredWait, arrived: Micros, segment: int) -> None:
        self.wait = wait
        self.arrived = arrived
        self.segment = segment
        self.judged_at: Micros | None = None
        self.last: Revision | None = None
        self.cancellation: Cancellation | None = None
        #: The revisions from before the subject was crowded.
        self.history: tuple[Revision, ...] = ()
        self.seen = -1

    @property
    def cancelled_at(self) -> Micros | None:
        """When the wait ended by cancellation; None where not cancelled."""
        return ended_by(self.cancellation, self.wait)

    @property
    def weighed(self) -> StoredWait:
        """The wait as compared with outcomes: no longer than until its cancellation."""
        at, wait = self.cancelled_at, self.wait
        return wait if at is None else replace(wait, deadline=min(at, wait.ends), width=0)

    @property
    def is_open(self) -> bool:
        """Whether the wait's deadline is still to be evaluated."""
        if self.cancelled_at is not None:
            return False
        return self.judged_at is None and (self.last is None or self.last.verdict.reason == "reopened")

    @property
    def standing(self) -> WaitStanding:
        """The kept state of the wait, beside the entry with the wait itself."""
        last = self.last
        if last is None:
            return WaitStanding(self.seen, self.arrived, self.judged_at, cancellation=self.cancellation)
        stated = last.number, last.verdict, last.decided_at, last.late
        return WaitStanding(self.seen, self.arrived, self.judged_at, *stated, cancellation=self.cancellation)


def verdict_of(wait: StoredWait, found: Found | None, judged: bool) -> Verdict | None:
    """A wait's answer, given the outcomes' reading and whether the deadline was evaluated."""
    if found is not None:
        outcome = found.outcome
        known_by = outcome.id if wait.reply_to is None else outcome.fingerprint
        return Verdict(found.value, "outcome", outcome.time, known_by)
    if not judged:
        return None
    value = wait.rule.nothing_came
    return Verdict(value, "expired" if value is None else "deadline", wait.deadline)


__all__ = ["CrowdedWait", "verdict_of"]
