"""The join's arrivals and facts: plain data on both sides of its decisions."""

from __future__ import annotations

from typing import Literal

import msgspec

from upshot.processors.correlate.state import Cancellation, Revision, StoredOutcome, StoredWait
from upshot.streams.events.instants import Micros


class OutcomeReceived(msgspec.Struct, frozen=True, gc=False):
    """An outcome arrived. `spelled` is its subject as received, where spelled unlike the join's subject."""

    subject: str
    outcome: StoredOutcome
    spelled: str | None = None


class WaitReceived(msgspec.Struct, frozen=True, gc=False):
    """A wait arrived."""

    subject: str
    wait: StoredWait


class Cancelled(msgspec.Struct, frozen=True, gc=False):
    """A wait isn't needed any more: the wait of this id, opened by this follow-up (empty for a program)."""

    subject: str
    wait_id: str
    reply_to: str
    cancellation: Cancellation
    spelled: str | None = None


class SubjectErased(msgspec.Struct, frozen=True, gc=False):
    """Waits and outcomes of the subject up to `at` are to be forgotten; with `run_id` only its waits."""

    subject: str
    at: Micros
    run_id: str | None = None
    spelled: str | None = None


Arrival = OutcomeReceived | WaitReceived | Cancelled | SubjectErased


class ScoreRevised(msgspec.Struct, frozen=True, gc=False):
    """A revision of a score, to be announced."""

    subject: str
    wait: StoredWait
    revision: Revision

    @property
    def identity(self) -> tuple[str | int, ...]:
        """Two revisions with equal identity are the same fact."""
        return self.subject, self.wait.wait_id, self.revision.number


class Replied(msgspec.Struct, frozen=True, gc=False):
    """The answer to a follow-up's wait; `outcome` is the deciding outcome, where an outcome decided."""

    subject: str
    wait: StoredWait
    revision: Revision
    outcome: StoredOutcome | None = None

    @property
    def identity(self) -> tuple[str | int, ...]:
        """Two answers with equal identity are the same fact."""
        return self.subject, self.wait.wait_id, self.revision.number


class UnusableOutcome(msgspec.Struct, frozen=True, gc=False):
    """An outcome that should decide a wait but can't, to be dead-lettered."""

    subject: str
    wait: StoredWait
    outcome: StoredOutcome
    detail: str

    @property
    def identity(self) -> tuple[str | int, ...]:
        """Two refusals with equal identity are the same fact."""
        return self.subject, self.wait.wait_id, self.outcome.key, self.detail


Fact = ScoreRevised | Replied | UnusableOutcome

#: `early`: an outcome without a wait yet. `joined`: an outcome awaited by a wait. `noted`: an awaited outcome
#: leaving the wait's answer as before. `repeated`: an event known already. `opened`: a wait without an answer
#: yet. `answered`: a wait whose answer was already here. `expired`: a deadline was evaluated. `late`: an
#: outcome inside its window came after the evaluation. `corrected`: an answer was replaced by another.
#: `cancelled`: a wait isn't needed any more. `erased`: an event was forgotten, or belongs to an erasure.
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
