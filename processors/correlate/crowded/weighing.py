"""All crowded subjects of a worker: arrivals are written down at once, and weighed between everything else.

The facts following from an arrival are announced before they're remembered: after a crash in between the
arrival is weighed again, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple, Protocol, assert_never

from msgspec.structs import replace

from upshot.processors.correlate.crowded.crowd import Crowd, Strides
from upshot.processors.correlate.crowded.layout import (
    Cut,
    Entry,
    Head,
    Marked,
    OutcomeRecalled,
    Put,
    Reminder,
    decode_segment,
    decode_standing,
    encode_head,
    encode_segment,
    encode_standing,
    entries_of,
    ordinal,
    segment_key,
    segments,
    standing_key,
)
from upshot.processors.correlate.crowded.work import CrowdWork
from upshot.processors.correlate.deadlines import Horizons, open_waits
from upshot.processors.correlate.facts import (
    Arrival,
    Cancelled,
    EventKind,
    Fact,
    OutcomeReceived,
    SubjectErased,
    WaitReceived,
)
from upshot.processors.correlate.state import Mark, Subject
from upshot.processors.correlate.withdrawing import erased_name
from upshot.streams.events.instants import Micros
from upshot.streams.runtime import Change

#: The due instant of a subject with arrivals to weigh: before all others.
AT_ONCE: Micros = 1
#: Seconds of one turn at the most.
SLICE = 0.04
#: Steps between two looks at the clock.
STRIDES = 8
#: Bytes of subjects kept in memory, as they lie in the table and a little for each arrival; beyond the limit,
#: the subjects longest at rest are read again.
IN_MEMORY = 256 * 1024 * 1024
_EACH = 1_000
_KEYS = 500


Changes = dict[bytes, Change | None]
Place = tuple[int, str]


class CrowdedTable(Protocol):
    """The part of the table read here; see `upshot.streams.runtime.TableView`."""

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]: ...


class Limits(NamedTuple):
    """The most that is kept of one subject: bytes in the table, outcomes and waits."""

    size: int
    arrivals: int


class WeighingTurn(NamedTuple):
    """The result of some work: facts to announce before the changes are made, and event kinds."""

    changes: Mapping[int, Changes]
    facts: Sequence[Fact]
    happened: Sequence[EventKind]


class Crowds:
    """The crowded subjects of this worker's partitions. For one thread."""

    def __init__(
        self, table: Callable[[], CrowdedTable], horizons: Horizons, clock: Callable[[], float] = monotonic
    ) -> None:
        self._table = table
        self._horizons = horizons
        self._clock = clock
        self._heads: dict[Place, Head] = {}
        self._work: dict[Place, CrowdWork] = {}
        #: Subjects with work to do now, in the order of their turns.
        self._pending: dict[Place, None] = {}
        self._weight = 0
        #: As the heads are in the table.
        self._written: dict[Place, Head] = {}

    def forget(self) -> None:
        """The partitions are no longer this worker's, or have just been assigned to the worker."""
        self._heads.clear()
        self._written.clear()
        self._work.clear()
        self._pending.clear()
        self._weight = 0

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do now."""
        return bool(self._pending)

    def head(self, partition: int, key: str, found: Head) -> Head:
        """The head of a subject, given the head found in the table."""
        place = partition, key
        if place not in self._heads:
            self._heads[place] = self._written[place] = found
        return self._heads[place]

    def convert(self, partition: int, key: str, subject: Subject, due: Micros | None) -> Changes:
        """Keep a subject in parts from now on."""
        name, changes = key.encode(), Changes()
        number = size = 0
        for number, (value, _) in enumerate(segments(entries_of(subject)), 1):
            changes[segment_key(name, number - 1)] = Change(value)
            size += len(value)
        count = len(subject.outcomes) + len(subject.waits)
        opened = open_waits(subject)
        head = Head(
            weighed=number,
            after=number,
            stood=number,
            converted=number,
            arrivals=count,
            size=size,
            open_waits=opened,
            due=due,
        )
        self._heads[partition, key] = self._written[partition, key] = head
        changes[name] = _change(head)
        return changes

    def append(
        self, partition: int, key: str, arrivals: Iterable[Arrival], now: Micros, limits: Limits
    ) -> Changes | None:
        """Write down the arrivals of a subject whose `head` was asked for; to be weighed in their own turn.

        None where the subject would exceed the limits.
        """
        return self._written_down((partition, key), (_entry(arrival, now) for arrival in arrivals), limits)

    def remind(self, partition: int, key: str, upto: Micros) -> Changes:
        """Have the deadlines up to this instant evaluated before any arrival written down from now on."""
        return self._written_down((partition, key), [Reminder(upto)], None) or Changes()

    def _written_down(self, place: Place, entries: Iterable[Entry], limits: Limits | None) -> Changes | None:
        name, changes = place[1].encode(), Changes()
        head, work = self._heads[place], self._work.get(place)
        size, count = head.size, head.arrivals
        parts = list(segments(entries))
        size += sum(len(value) for value, _ in parts)
        count += sum(len(within) for _, within in parts)
        if limits is not None and (size > limits.size or count > limits.arrivals):
            return None
        for number, (value, within) in enumerate(parts, head.after):
            changes[segment_key(name, number)] = Change(value)
            if work is not None and work.is_read:
                work.queue.append((number, within))
                work.sizes[number] = len(value)
        self._heads[place] = self._written[place] = head = replace(
            head, after=head.after + len(parts), size=size, arrivals=count
        )
        changes[name] = _change(head)
        self._pending[place] = None
        return changes

    def look_at(self, partition: int, key: str) -> None:
        """A subject whose `head` was asked for is due."""
        self._pending[partition, key] = None

    def turn(self, upto: Callable[[int], Micros], now: Micros) -> WeighingTurn:
        """Do some of the work: a slice of time for the next subject, or for several with little work.

        Deadlines of a partition are evaluated `upto` an instant.
        """
        changes: dict[int, Changes] = {}
        facts: list[Fact] = []
        happened: list[EventKind] = []
        until = self._clock() + SLICE
        while self._pending and self._clock() < until:
            place = next(iter(self._pending))
            del self._pending[place]
            work = self._begun(place)
            work.upto, work.now = upto(place[0]), now
            if not self._advance(work, until, facts, happened):
                self._pending[place] = None
            else:
                work.going = None
            if changed := self._changed(place, work):
                changes.setdefault(place[0], {}).update(changed)
        self._make_room()
        return WeighingTurn(changes, facts, happened)

    def _begun(self, place: Place) -> CrowdWork:
        work = self._work.pop(place, None)
        if work is None:
            work = CrowdWork(Crowd(place[1], self._horizons, self._heads[place].converted))
        self._work[place] = work
        if work.going is None:
            work.going = self._all(place, work)
        return work

    def _advance(self, work: CrowdWork, until: float, facts: list[Fact], happened: list[EventKind]) -> bool:
        """Whether there is nothing left to do."""
        assert work.going is not None
        for number, (fact, name) in enumerate(work.going):
            work.steps += 1
            if fact is not None:
                facts.append(fact)
            if name is not None:
                happened.append(name)
            if number % STRIDES == STRIDES - 1 and self._clock() >= until:
                return False
        return True

    def _all(self, place: Place, work: CrowdWork) -> Strides:
        crowd = work.crowd
        if not work.is_ready:
            yield from self._load(place, work)
        while work.queue:
            segment, entries = work.queue[0]
            for number, entry in enumerate(entries):
                yield from crowd.weigh(ordinal(segment, number), segment, entry, work.now)
                yield None, None
            crowd.weighed(segment)
            work.entries += work.sizes[segment]
            work.queue.popleft()
            self._heads[place] = replace(self._heads[place], weighed=segment + 1)
        yield from crowd.look(work.upto, work.now)

    def _load(self, place: Place, work: CrowdWork) -> Strides:
        """Read the kept segments. Segments appended meanwhile are read, too: they're in the table already."""
        partition, name, crowd = place[0], place[1].encode(), work.crowd
        number, stood = self._heads[place].first, self._heads[place].weighed_again_from
        again: list[tuple[int, Sequence[Entry]]] = []
        while number < self._heads[place].after:
            stop = min(number + _KEYS, self._heads[place].after)
            keys = [segment_key(name, n) for n in range(number, stop)]
            for value in self._table().get_many(partition, keys):
                work.sizes[number] = len(value or b"")
                # One is only missing where all that there was was being deleted.
                entries = () if value is None else decode_segment(value)
                if number < stood:
                    crowd.recall(number, entries)
                elif number < self._heads[place].weighed:
                    again.append((number, entries))
                else:
                    work.queue.append((number, entries))
                number += 1
                yield None, None
        work.is_read = True
        crowd.purge()
        waits = list(crowd.waits)
        for first in range(0, len(waits), _KEYS):
            part = waits[first : first + _KEYS]
            values = self._table().get_many(partition, [standing_key(name, wait_id) for wait_id in part])
            standings = [None if value is None else decode_standing(value) for value in values]
            yield from crowd.stand(zip(part, standings, strict=True), work.now)
        yield from crowd.stand((), work.now)
        yield from self._weigh_again(work, again)
        work.is_ready = True

    def _weigh_again(self, work: CrowdWork, again: Iterable[tuple[int, Sequence[Entry]]]) -> Strides:
        """Bring the standings up to the head. All that follows was announced before the head was written."""
        for segment, entries in again:
            for number, entry in enumerate(entries):
                for _ in work.crowd.weigh(ordinal(segment, number), segment, entry, work.now):
                    yield None, None
            work.crowd.weighed(segment)
            work.entries += work.sizes[segment]

    def _changed(self, place: Place, work: CrowdWork) -> Changes:
        """The parts differing now, the head last."""
        name, crowd, changes = place[1].encode(), work.crowd, Changes()
        head = self._heads[place]
        if not work.is_ready:
            return changes
        stood = head.weighed_again_from
        if work.stands:
            stood, work.entries, work.steps = head.weighed, 0, 0
            for wait_id in crowd.changed:
                changes[standing_key(name, wait_id)] = Change(encode_standing(crowd.standing(wait_id)))
            crowd.changed.clear()
            crowd.is_past_repeating = False
        changes |= self._rewritten(place, crowd)
        first = head.first
        while first < head.weighed and first in work.sizes and not work.sizes[first]:
            # Gone with an earlier turn.
            first += 1
        emptied = sorted(crowd.ledger.take_emptied(stood))
        gone: Changes = {segment_key(name, number): None for number in emptied}
        gone |= {standing_key(name, wait_id): None for wait_id in crowd.ledger.forgotten(emptied)}
        if crowd.is_empty and not head.is_waiting and work.going is None:
            self._weight -= self._work.pop(place).weight
            del self._heads[place], self._written[place]
            return changes | gone | {name: None}
        retained = (
            len(crowd.ledger.outcomes) + len(crowd.waits) + sum(len(entries) for _, entries in work.queue)
        )
        size = head.size - sum(work.sizes[number] for number in emptied)
        work.sizes |= dict.fromkeys(emptied, 0)
        head = replace(
            head,
            first=first,
            size=size,
            arrivals=retained,
            open_waits=crowd.open_waits,
            due=crowd.next_look,
            stood=stood,
        )
        self._heads[place] = head
        self._weight += (weight := head.size + _EACH * retained) - work.weight
        work.weight = weight
        if head == self._written.get(place) and not changes and not gone:
            return changes
        self._written[place] = head
        # What is weighed is said before anything of it may be missing.
        return changes | {name: _change(head)} | gone

    def _rewritten(self, place: Place, crowd: Crowd) -> Changes:
        """Segments without their erased entries."""
        name, weighed = place[1].encode(), self._heads[place].weighed
        numbers = sorted(number for number in crowd.rewritten if number < weighed)
        crowd.rewritten -= {*numbers}
        keys = [segment_key(name, number) for number in numbers]
        values = self._table().get_many(place[0], keys)
        return {
            key: Change(encode_segment(crowd.left_of(decode_segment(value))))
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }

    def _make_room(self) -> None:
        if self._weight <= IN_MEMORY:
            return
        for place in [place for place in self._work if place not in self._pending]:
            self._weight -= self._work.pop(place).weight
            if self._weight <= IN_MEMORY:
                return


def _entry(arrival: Arrival, now: Micros) -> Entry:
    match arrival:
        case WaitReceived():
            return Put(arrival.wait, now)
        case OutcomeReceived():
            return OutcomeRecalled(arrival.outcome)
        case Cancelled():
            return Cut(arrival.wait_id, arrival.reply_to, arrival.cancellation, now)
        case SubjectErased():
            return Marked(erased_name(arrival.run_id), Mark(now, None, arrival.at))
        case _:
            assert_never(arrival)


def _change(head: Head) -> Change:
    return Change(encode_head(head), AT_ONCE if head.is_waiting else head.due, head.open_waits)


__all__ = ["AT_ONCE", "IN_MEMORY", "SLICE", "Crowds", "Limits", "WeighingTurn"]
