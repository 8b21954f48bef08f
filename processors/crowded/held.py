"""A wait of a crowded subject, and where it stands."""

from __future__ import annotations

from upshot.processors.crowded.group import Found
from upshot.processors.crowded.layout import Standing
from upshot.processors.state import Question, Revision, Verdict
from upshot.streams.instants import Micros


class Held:
    """A wait and where it stands."""

    __slots__ = ("arrived", "history", "judged_at", "last", "question", "seen", "segment")

    def __init__(self, question: Question, arrived: Micros, segment: int) -> None:
        self.question = question
        self.arrived = arrived
        self.segment = segment
        self.judged_at: Micros | None = None
        self.last: Revision | None = None
        #: The revisions from before the subject was crowded.
        self.history: tuple[Revision, ...] = ()
        self.seen = -1

    @property
    def is_open(self) -> bool:
        """Whether its deadline is still to be judged."""
        return self.judged_at is None and (self.last is None or self.last.verdict.reason == "reopened")

    @property
    def standing(self) -> Standing:
        """What is kept of it, beside the entry that asked."""
        last = self.last
        if last is None:
            return Standing(self.seen, self.arrived, self.judged_at)
        return Standing(
            self.seen, self.arrived, self.judged_at, last.number, last.verdict, last.decided_at, last.late
        )


def verdict_of(question: Question, found: Found | None, judged: bool) -> Verdict | None:
    """A question's answer, given what the outcomes say and whether its deadline was judged."""
    if found is not None:
        outcome = found.outcome
        known_by = outcome.id if question.reply_to is None else outcome.fingerprint
        return Verdict(found.value, "outcome", outcome.time, known_by)
    if not judged:
        return None
    value = question.rule.nothing_came
    return Verdict(value, "expired" if value is None else "deadline", question.deadline)


__all__ = ["Held", "verdict_of"]
