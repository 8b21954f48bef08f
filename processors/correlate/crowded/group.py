"""The waits of one rule, and the readings of outcomes: each outcome read once for all of the waits.

A wait's answer is looked up on the shelves, so a new outcome needs only to find the waits whose answer the
outcome can change: of modes `first` and `all` the waits lacking such an outcome, or holding a later outcome;
of the other modes all waits whose window contains the outcome.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import Any, NamedTuple

from upshot.processors.correlate.crowded.shelf import Shelf, ShelfRow, exact, rounded
from upshot.processors.correlate.rules import NoReading, Reading, Reads, is_inside, reading_of_rule
from upshot.processors.correlate.state import StoredOutcome, StoredRule, StoredWait
from upshot.streams.events.instants import Micros

_ONLY = ""


class Found(NamedTuple):
    """A wait's answer: its value, and the deciding outcome."""

    value: bool | float
    outcome: StoredOutcome


class WaitGroup:
    """The waits of one rule. `before`: waits of the version without widths and sequences."""

    def __init__(self, rule: StoredRule, *, before: bool) -> None:
        self.rule = rule
        self.unusable: dict[str, tuple[StoredOutcome, NoReading]] = {}
        self._before = before
        self._slotted = rule.mode in ("first", "all")
        #: By slot, then by width, since the windows of one width are one stretch of instants.
        self._shelves: dict[str, dict[Micros, Shelf]] = {}
        self._by_end: list[tuple[Micros, str]] = []
        #: By slot: the waits holding nothing there, by their end; all others, by the outcome they hold.
        self._lacking: dict[str, list[tuple[Micros, str]]] = {slot: [] for slot in self._slots}
        self._holding: dict[str, list[tuple[Any, ...]]] = {slot: [] for slot in self._slots}
        self._places: dict[str, dict[str, tuple[Any, ...] | None]] = {}

    @property
    def _slots(self) -> Iterable[str]:
        if not self._slotted:
            return ()
        return self.rule.on if self.rule.mode == "all" else (_ONLY,)

    def _slot(self, outcome: StoredOutcome) -> str:
        return outcome.type if self.rule.mode == "all" else _ONLY

    def _order(self, outcome: StoredOutcome) -> tuple[Any, ...]:
        return (outcome.time, outcome.id, outcome.source) if self._before else outcome.order

    @property
    def size(self) -> int:
        """How many waits there are."""
        return len(self._by_end)

    def says(self, outcome: StoredOutcome) -> Reading:
        """The reading of an outcome for all waits whose window contains the outcome."""
        return reading_of_rule(self.rule, outcome)

    def reaches(self, outcome: StoredOutcome) -> bool:
        """Whether a wait ends no earlier than an outcome."""
        return bool(self._by_end) and self._by_end[-1][0] >= outcome.time

    def add(self, outcome: StoredOutcome) -> Reading:
        """Take an outcome's reading."""
        reading = self.says(outcome)
        if type(reading) is Reads:
            by_width = self._shelves.setdefault(self._slot(outcome), {})
            width = 0 if self._before else outcome.width
            if width not in by_width:
                by_width[width] = Shelf(summed=self.rule.mode == "sum")
            by_width[width].add(self._order(outcome), ShelfRow(outcome, reading.value))
        elif type(reading) is NoReading:
            self.unusable[outcome.key] = outcome, reading
        return reading

    def drop(self, outcome: StoredOutcome) -> None:
        """Forget an outcome's reading."""
        self.unusable.pop(outcome.key, None)
        for shelf in self._shelves.get(self._slot(outcome), {}).values():
            shelf.discard(self._order(outcome))

    def touched(self, outcome: StoredOutcome) -> list[str]:
        """The waits whose answer may change when this outcome comes or goes, and a few more."""
        if not self._slotted:
            return self.until(outcome)
        slot = self._slot(outcome)
        lacking, holding = self._lacking.get(slot, []), self._holding.get(slot, [])
        found = [wait_id for _, wait_id in lacking[bisect_left(lacking, (outcome.time,)) :]]
        held = bisect_left(holding, (self._order(outcome),))
        return found + [wait_id for _, wait_id in holding[held:]]

    def until(self, outcome: StoredOutcome) -> list[str]:
        """The waits that end no earlier than an outcome."""
        return [wait_id for _, wait_id in self._by_end[bisect_left(self._by_end, (outcome.time,)) :]]

    def settle(self, wait: StoredWait) -> Found | None:
        """The answer of a wait from the outcomes so far; the group keeps the wait as it then stands."""
        firsts = {slot: self._first(slot, wait) for slot in self._slots}
        self._put(
            wait, {slot: None if row is None else self._order(row.known) for slot, row in firsts.items()}
        )
        match self.rule.mode:
            case "first":
                row = firsts[_ONLY]
                return None if row is None else Found(row.value, row.known)
            case "all":
                rows = [row for row in firsts.values() if row is not None]
                if len(rows) < len(firsts):
                    return None
                latest = max(rows, key=lambda row: self._order(row.known))
                return Found(min([row.value for row in rows]), latest.known)
        return self._so_far(wait)

    def forget(self, wait: StoredWait) -> None:
        """Remove a wait from the group."""
        place = self._places.pop(wait.wait_id)
        _remove(self._by_end, (wait.ends, wait.wait_id))
        for slot, order in place.items():
            if order is None:
                _remove(self._lacking[slot], (wait.ends, wait.wait_id))
            else:
                _remove(self._holding[slot], (order, wait.wait_id))

    def _so_far(self, wait: StoredWait) -> Found | None:
        if wait.after:
            return self._following(wait)
        shelves = self._within(_ONLY, wait)
        lasts = [row for shelf, low, high in shelves if (row := shelf.last(low, high))]
        if not lasts:
            return None
        last = max(lasts, key=lambda row: self._order(row.known))
        if self.rule.mode == "last":
            return Found(last.value, last.known)
        shelves = self._within(_ONLY, wait)
        if self.rule.mode == "count":
            return Found(float(sum([shelf.count(low, high) for shelf, low, high in shelves])), last.known)
        return Found(rounded(sum([shelf.total(low, high) for shelf, low, high in shelves])), last.known)

    def _first(self, slot: str, wait: StoredWait) -> ShelfRow | None:
        if wait.after:
            return next(self._rows(slot, wait), None)
        found = [row for shelf, low, high in self._within(slot, wait) if (row := shelf.first(low, high))]
        return min(found, key=lambda row: self._order(row.known), default=None)

    def _following(self, wait: StoredWait) -> Found | None:
        rows = list(self._rows(_ONLY, wait))
        if not rows:
            return None
        match self.rule.mode:
            case "last":
                return Found(rows[-1].value, rows[-1].known)
            case "count":
                return Found(float(len(rows)), rows[-1].known)
        return Found(rounded(sum([exact(row.value) for row in rows])), rows[-1].known)

    def _rows(self, slot: str, wait: StoredWait) -> Iterator[ShelfRow]:
        """The rows counting for a wait that follows earlier events, in order."""
        shelves = [shelf.rows(low, high) for shelf, low, high in self._within(slot, wait)]
        for row in merge(*shelves, key=lambda row: self._order(row.known)):
            if is_inside(wait, row.known):
                yield row

    def _within(self, slot: str, wait: StoredWait) -> Iterator[tuple[Shelf, Micros, Micros]]:
        """The shelves, and the stretch of each shelf inside the wait's window; see `rules.is_inside`."""
        start = wait.since - (wait.tolerance or 0)
        for width, shelf in self._shelves.get(slot, {}).items():
            yield shelf, start - width, wait.deadline if self._before else wait.ends

    def _put(self, wait: StoredWait, place: dict[str, tuple[Any, ...] | None]) -> None:
        wait_id, ends = wait.wait_id, wait.ends
        old = self._places.get(wait_id)
        if old is None:
            insort(self._by_end, (ends, wait_id))
        elif old == place:
            return
        for slot, order in place.items():
            if old is not None:
                if old[slot] == order:
                    continue
                held = old[slot]
                _remove(
                    *(
                        (self._lacking[slot], (ends, wait_id))
                        if held is None
                        else (self._holding[slot], (held, wait_id))
                    )
                )
            if order is None:
                insort(self._lacking[slot], (ends, wait_id))
            else:
                insort(self._holding[slot], (order, wait_id))
        self._places[wait_id] = place


def _remove(entries: list[Any], entry: tuple[Any, ...]) -> None:
    place = bisect_left(entries, entry)
    assert entries[place] == entry
    del entries[place]


__all__ = ["Found", "WaitGroup"]
