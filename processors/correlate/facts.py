"""The join's arrivals and facts: plain data on both sides of its decisions."""

from __future__ import annotations

from typing import Literal

import msgspec

from upshot.processors.correlate.state import Cancellation, Revision, StoredOutcome, StoredWait
from upshot.streams.events.instants import Micros


class OutcomeReceived(msgspec.Struct, frozen=True, gc=False):
    """An outcome arrived. `spelled` is its subject as it was told, where that isn't the spelling that joins."""

    subject: str
    outcome: StoredOutcome
    spelled: str | None = None


class WaitReceived(msgspec.Struct, frozen=True, gc=False):
    """A wait arrived."""

    subject: str
    question: StoredWait


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """A wait isn't needed any more: of this id, and asked by this follow-up (empty for a program)."""

    subject: str
    wait_id: str
    reply_to: str
    cancellation: Cancellation
    spelled: str | None = None


class SubjectErased(msgspec.Struct, frozen=True, gc=False):
    """What was asked and told of the subject up to `at` is to be forgotten; what `run_id` asked, where there is one."""

    subject: str
    at: Micros
    run_id: str | None = None
    spelled: str | None = None


Arrival = OutcomeReceived | WaitReceived | Cancelled | SubjectErased


class ScoreRevised(msgspec.Struct, frozen=True, gc=False):
    """A revision of a score, to be announced."""

    subject: str
    question: StoredWait
    revision: Revision

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two of them the same fact."""
        return self.subject, self.question.wait_id, self.revision.number


class Replied(msgspec.Struct, frozen=True, gc=False):
    """What a follow-up is told of its question; `outcome` is the one that decided, where one did."""

    subject: str
    question: StoredWait
    revision: Revision
    outcome: StoredOutcome | None = None

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two of them the same fact."""
        return self.subject, self.question.wait_id, self.revision.number


class UnusableOutcome(msgspec.Struct, frozen=True, gc=False):
    """An outcome that should decide a question but can't, to be dead-lettered."""

    subject: str
    question: StoredWait
    outcome: StoredOutcome
    detail: str

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What makes two of them the same fact."""
        return self.subject, self.question.wait_id, self.outcome.key, self.detail


Fact = ScoreRevised | Replied | UnusableOutcome

#: `early`: an outcome that nobody waits for yet. `joined`: one that a question was waiting for.
#: `noted`: one that a question waits for but that leaves its answer as it is. `repeated`: something known already. `opened`: a question without an answer yet. `answered`: one whose
#: answer was already here. `expired`: a deadline was judged. `late`: an outcome inside its window came
#: after the judgement. `corrected`: an answer was replaced by another. `cancelled`: a wait isn't needed any more.
#: `erased`: something was forgotten, or belongs to what was.
EventKind = Literal[
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

__all__ = [
    "Arrival",
    "Cancelled",
    "EventKind",
    "Fact",
    "OutcomeReceived",
    "Replied",
    "ScoreRevised",
    "SubjectErased",
    "UnusableOutcome",
    "WaitReceived",
]
