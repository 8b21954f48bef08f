"""The content of a crowded subject, as read from the table and kept, and when the subject needs a look."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from heapq import heappop, heappush

from upshot.processors.correlate.crowded.group import WaitGroup
from upshot.processors.correlate.crowded.held import CrowdedWait
from upshot.processors.correlate.crowded.layout import (
    Cut,
    EarlierWait,
    Entry,
    Marked,
    OutcomeRecalled,
    Put,
    WaitStanding,
)
from upshot.processors.correlate.crowded.ledger import Ledger
from upshot.processors.correlate.deadlines import Horizons
from upshot.processors.correlate.facts import EventKind, Fact
from upshot.processors.correlate.state import Cancellation, Mark, StoredOutcome, StoredWait
from upshot.processors.correlate.withdrawing import cancelled_name, is_erased
from upshot.streams.events.instants import Micros

#: The result of one step: a fact to announce, and its event kind; None for effort alone.
Stride = tuple[Fact | None, EventKind | None]
Strides = Iterator[Stride]
EFFORT: Stride = (None, None)
#: Outcomes read between two chances to stop.
AT_ONCE = 50


class Recalled:
    """The content of subject `key`. `changed`: waits with a new standing since the caller cleared the set."""

    def __init__(self, key: str, horizons: Horizons, converted: int = 0) -> None:
        self.key = key
        self.ledger = Ledger()
        self.waits: dict[str, CrowdedWait] = {}
        self.open_waits = 0
        self.changed: set[str] = set()
        #: Of cancellations before their waits, and of what was erased; see `processors.withdrawing`.
        self.marks: dict[str, Mark] = {}
        self._mark_homes: dict[str, int] = {}
        #: Segments still containing erased entries.
        self.rewritten: set[int] = set()
        #: Whether anything happened that weighing the entries again wouldn't repeat: a deadline, an erasure.
        self.is_past_repeating = False
        self._horizons = horizons
        self._converted = converted
        self._groups: dict[tuple[bytes, bool], WaitGroup] = {}
        self._looks: list[tuple[Micros, str]] = []
        self._sweep_at: Micros | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.ledger.outcomes and not self.waits and not self.marks

    @property
    def next_look(self) -> Micros | None:
        """When the subject needs a look; None where nothing is to come."""
        while self._looks and not self._is_due(*self._looks[0]):
            heappop(self._looks)
        dues = [at for at in (self._looks[0][0] if self._looks else None, self._sweep_at) if at is not None]
        return min(dues, default=None)

    def recall(self, segment: int, entries: Iterable[Entry]) -> None:
        """Take over entries already counted; then `stand`, once all entries are here."""
        for entry in entries:
            match entry:
                case OutcomeRecalled(outcome):
                    merged = self.ledger.merged(outcome)
                    if merged is not self.ledger.outcomes.get(outcome.key):
                        self.ledger.keep(merged, segment)
                case Put(wait, arrived):
                    self._recall_wait(CrowdedWait(wait, arrived, segment), segment)
                case EarlierWait(waiting):
                    held = CrowdedWait(waiting.wait, waiting.arrived, segment)
                    held.judged_at, held.history = waiting.judged_at, waiting.revisions
                    held.cancellation = waiting.cancellation
                    held.last = waiting.revisions[-1] if waiting.revisions else None
                    self._recall_wait(held, segment)
                case Cut(wait_id, reply_to, cancellation, arrived):
                    self._mark(cancelled_name(wait_id, reply_to), Mark(arrived, cancellation), segment)
                case Marked(name, mark):
                    self._mark(name, mark, segment)
        self.ledger.look_at(segment)

    def purge(self) -> None:
        """Remove erased entries from the recalled ones; cancellations find their waits."""
        for held in list(self.waits.values()):
            if is_erased(self.marks, held.wait):
                del self.waits[held.wait.wait_id]
                self.ledger.died(held.segment)
            elif early := self._take_mark(held.wait):
                held.cancellation = early if early.outranks(held.cancellation) else held.cancellation
        for outcome in list(self.ledger.outcomes.values()):
            if is_erased(self.marks, outcome):
                self.ledger.drop(outcome)

    def _mark(self, name: str, mark: Mark, segment: int) -> bool:
        """Note an erasure, or a cancellation before its wait; whether the mark says anything new."""
        before = self.marks.get(name)
        if before is not None:
            newer = mark.cancellation is not None and mark.cancellation.outranks(before.cancellation)
            if not newer and mark.erased_at <= before.erased_at:
                return False
            self.ledger.died(self._mark_homes[name])
        self.marks[name], self._mark_homes[name] = mark, segment
        self.ledger.live(segment)
        return True

    def _take_mark(self, wait: StoredWait) -> Cancellation | None:
        """The cancellation received before its wait: from now on kept with the wait."""
        name = cancelled_name(wait.wait_id, wait.reply_to or "")
        mark = self.marks.pop(name, None)
        if mark is None:
            return None
        self.ledger.died(self._mark_homes.pop(name))
        self.changed.add(wait.wait_id)
        return mark.cancellation

    def _recall_wait(self, held: CrowdedWait, segment: int) -> None:
        known = self.waits.get(held.wait.wait_id)
        if known is None:
            self.waits[held.wait.wait_id] = held
            self.ledger.live(segment)
        elif not known.wait.outranks(held.wait):
            self.ledger.died(known.segment)
            self.ledger.live(segment)
            known.wait, known.segment = held.wait, segment

    def stand(self, standings: Iterable[tuple[str, WaitStanding | None]], now: Micros) -> Strides:
        """Where each of the recalled waits stands."""
        for wait_id, standing in standings:
            held = self.waits[wait_id]
            if standing is not None and standing.gone and held.arrived <= standing.arrived:
                self.ledger.gone[wait_id] = held.segment, standing.arrived
                del self.waits[wait_id]
                self.ledger.died(held.segment)
                continue
            if standing is not None and not standing.gone:
                held.seen, held.arrived, held.judged_at = standing.seen, standing.arrived, standing.judged_at
                held.last = standing.revision
                if standing.cancellation is not None and standing.cancellation.outranks(held.cancellation):
                    held.cancellation = standing.cancellation
            self.open_waits += held.is_open
            group = yield from self._group_of(held.wait)
            group.settle(held.weighed)
            self._look_later(held)
            yield EFFORT
        self._sweep_later(now)

    def left_of(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries of a segment without erased ones."""
        return [entry for entry in entries if not self._is_erased(entry)]

    def _is_erased(self, entry: Entry) -> bool:
        match entry:
            case OutcomeRecalled(outcome):
                return is_erased(self.marks, outcome)
            case Put(wait):
                return is_erased(self.marks, wait)
            case EarlierWait(waiting):
                return is_erased(self.marks, waiting.wait)
        return False

    def _sweep_later(self, now: Micros) -> None:
        """Sweep when the first outcome's time is up, and then now and then."""
        if self._sweep_at is None and (self.ledger.outcomes or self.marks):
            retained: list[StoredOutcome | Mark] = [*self.ledger.outcomes.values(), *self.marks.values()]
            self._sweep_at = max(now, min(map(self._horizons.outcome_ends, retained)))

    def standing(self, wait_id: str) -> WaitStanding:
        """Where a changed wait stands."""
        held = self.waits.get(wait_id)
        return WaitStanding(-1, self.ledger.gone[wait_id][1], gone=True) if held is None else held.standing

    def _group(self, wait: StoredWait) -> WaitGroup:
        return self._groups[bytes(wait.rule_json), wait.tolerance is None]

    def _groups_of(self, kind: str) -> list[WaitGroup]:
        return [group for group in self._groups.values() if kind in group.rule.on]

    def _group_of(self, wait: StoredWait) -> Generator[Stride, None, WaitGroup]:
        """The group of a wait; a new group receives all stored outcomes."""
        key = bytes(wait.rule_json), wait.tolerance is None
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = WaitGroup(wait.rule, before=wait.tolerance is None)
            for kind in group.rule.on:
                for number, outcome in enumerate(self.ledger.of(kind)):
                    group.add(outcome)
                    if number % AT_ONCE == 0:
                        yield EFFORT
        return group

    def _look_at(self, held: CrowdedWait) -> Micros:
        if held.is_open:
            return held.wait.ends + self._horizons.grace_micros
        return self._horizons.ends(held.wait, held.arrived)

    def _look_later(self, held: CrowdedWait) -> None:
        heappush(self._looks, (self._look_at(held), held.wait.wait_id))

    def _is_due(self, at: Micros, wait_id: str) -> bool:
        held = self.waits.get(wait_id)
        return held is not None and self._look_at(held) == at


__all__ = ["AT_ONCE", "EFFORT", "Recalled", "Stride", "Strides"]
