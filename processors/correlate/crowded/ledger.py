"""The outcomes that a crowded subject holds, and the segments with anything left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from upshot.processors.correlate.state import StoredOutcome
from upshot.streams.events.instants import Micros


class Ledger:
    """Outcomes by key and by type; the segments of each outcome, and of each wait."""

    def __init__(self) -> None:
        self.outcomes: dict[str, StoredOutcome] = {}
        self._kinds: dict[str, dict[str, StoredOutcome]] = {}
        self._homes: dict[str, tuple[int, ...]] = {}
        self._alive: Counter[int] = Counter()
        #: Segments with nothing left, and the segment weighed when that happened.
        self._emptied: dict[int, int] = {}
        #: The segment being weighed, or weighed last.
        self.weighing = -1
        #: Forgotten waits: the segment of the wait, and when the wait was forgotten.
        self.gone: dict[str, tuple[int, Micros]] = {}

    def of(self, kind: str) -> list[StoredOutcome]:
        """The outcomes of one type."""
        return list(self._kinds.get(kind, {}).values())

    def merged(self, outcome: StoredOutcome) -> StoredOutcome:
        """The stored outcome merged with this outcome; the same object where this outcome adds nothing."""
        known = self.outcomes.get(outcome.key)
        if known is None:
            return outcome
        if known.rank <= outcome.rank:
            return known.with_earlier_record(outcome.recorded)
        return outcome.with_earlier_record(known.recorded)

    def keep(self, outcome: StoredOutcome, segment: int) -> None:
        """Keep this outcome, contained in the segment."""
        key = outcome.key
        before = self.outcomes.get(key)
        if before is not None:
            del self._kinds[before.type][key]
        self.outcomes[key] = outcome
        self._kinds.setdefault(outcome.type, {})[key] = outcome
        homes = self._homes.get(key, ())
        if segment not in homes:
            # The kept outcome may combine both segments.
            self._homes[key] = (*homes, segment)
            self.live(segment)

    def drop(self, outcome: StoredOutcome) -> None:
        """Forget an outcome."""
        key = outcome.key
        del self.outcomes[key], self._kinds[outcome.type][key]
        for segment in self._homes.pop(key):
            self.died(segment)

    def home(self, outcome: StoredOutcome) -> int:
        """The first segment with an outcome."""
        return min(self._homes[outcome.key])

    def homes(self, outcome: StoredOutcome) -> set[int]:
        """The segments with an outcome."""
        return set(self._homes[outcome.key])

    def live(self, segment: int) -> None:
        """One more entry of a segment is kept."""
        self._alive[segment] += 1

    def died(self, segment: int) -> None:
        """One entry less of a segment is kept."""
        self._alive[segment] -= 1
        self.look_at(segment)

    def look_at(self, segment: int) -> None:
        """Notice where nothing of a segment is kept."""
        if not self._alive[segment]:
            self._emptied[segment] = self.weighing

    def is_left(self, segment: int) -> bool:
        """Whether anything is left of a segment."""
        return self._alive[segment] > 0

    def take_emptied(self, below: int) -> set[int]:
        """The segments below `below` emptied by entries below `below`; each segment is reported once.

        A segment emptied by a later entry is needed as long as the later entry may be weighed again.
        """
        found = {segment for segment, by in self._emptied.items() if max(segment, by) < below}
        for segment in found:
            del self._emptied[segment]
        return {segment for segment in found if not self.is_left(segment)}

    def forgotten(self, segments: Iterable[int]) -> list[str]:
        """The forgotten waits of these segments: once the segments go, nothing of the waits need be kept."""
        if not (left := set(segments)):
            return []
        found = [wait_id for wait_id, (segment, _) in self.gone.items() if segment in left]
        for wait_id in found:
            del self.gone[wait_id]
        return found


__all__ = ["Ledger"]
