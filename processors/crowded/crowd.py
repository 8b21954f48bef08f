"""A crowded subject in memory: what is known of it, and the answers of its waits, changed one entry at a time.

The answers are those of `upshot.processors.correlate`. Work comes as iterators that give up after each wait, so that
whoever drives them may do something else in between; what is known changes at once, answers one after the other. A wait notes the
last entry that it was weighed against, so that what is weighed again after a crash counts once.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from heapq import heappop, heappush

from upshot.processors.correlate import Fact, Happening, Refused, Replied, Scored
from upshot.processors.crowded.group import Found, Group
from upshot.processors.crowded.held import Held, verdict_of
from upshot.processors.crowded.layout import Entry, Kept, Put, Standing, Told
from upshot.processors.crowded.ledger import Ledger
from upshot.processors.deadlines import Horizons
from upshot.processors.rules import IRRELEVANT, Unusable, is_inside
from upshot.processors.state import Known, Question, Revision, Verdict
from upshot.streams.instants import Micros

#: What came of one step: a fact to announce, and what happened; None for effort alone.
Stride = tuple[Fact | None, Happening | None]
Strides = Iterator[Stride]
_EFFORT: Stride = (None, None)
#: Outcomes that are read between two chances to stop.
_AT_ONCE = 50
#: Outcomes are looked at so often while they're kept.
_SWEEPS = 10


class Crowd:
    """What is known of subject `key`. `changed` has the waits that stand elsewhere since whoever drives it
    cleared it.
    """

    def __init__(self, key: str, horizons: Horizons, converted: int = 0) -> None:
        self.key = key
        self.ledger = Ledger()
        self.waits: dict[str, Held] = {}
        self.open_waits = 0
        self.changed: set[str] = set()
        self._horizons = horizons
        self._converted = converted
        self._groups: dict[tuple[bytes, bool], Group] = {}
        self._looks: list[tuple[Micros, str]] = []
        self._sweep_at: Micros | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.ledger.outcomes and not self.waits

    @property
    def next_look(self) -> Micros | None:
        """When it needs a look; None where there is nothing to come."""
        while self._looks and not self._is_due(*self._looks[0]):
            heappop(self._looks)
        dues = [at for at in (self._looks[0][0] if self._looks else None, self._sweep_at) if at is not None]
        return min(dues, default=None)

    # What was weighed before, from the table.

    def recall(self, segment: int, entries: Iterable[Entry]) -> None:
        """Take entries over that count already; then `stand`, once all of them are here."""
        for entry in entries:
            match entry:
                case Told(outcome):
                    merged = self.ledger.merged(outcome)
                    if merged is not self.ledger.outcomes.get(outcome.key):
                        self.ledger.keep(merged, segment)
                case Put(question, arrived):
                    self._recall_wait(Held(question, arrived, segment), segment)
                case Kept(waiting):
                    held = Held(waiting.question, waiting.arrived, segment)
                    held.judged_at, held.history = waiting.judged_at, waiting.revisions
                    held.last = waiting.revisions[-1] if waiting.revisions else None
                    self._recall_wait(held, segment)
        self.ledger.look_at(segment)

    def _recall_wait(self, held: Held, segment: int) -> None:
        known = self.waits.get(held.question.wait_id)
        if known is None:
            self.waits[held.question.wait_id] = held
            self.ledger.live(segment)
        elif held.question.rank < known.question.rank:
            self.ledger.died(known.segment)
            self.ledger.live(segment)
            known.question, known.segment = held.question, segment

    def stand(self, standings: Iterable[tuple[str, Standing | None]], now: Micros) -> Strides:
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
            self.open_waits += held.is_open
            group = yield from self._group_of(held.question)
            group.settle(held.question)
            self._look_later(held)
            yield _EFFORT
        self._sweep_later(now)

    # What comes.

    def weigh(self, ordinal: int, segment: int, entry: Entry, now: Micros) -> Strides:
        """Take one entry."""
        match entry:
            case Told(outcome):
                yield from self._told(ordinal, segment, outcome, now)
            case Put(question, arrived):
                yield from self._asked(ordinal, segment, Held(question, arrived, segment), now)
            case Kept(waiting):
                # Nobody appends such an entry.
                yield from self._asked(
                    ordinal, segment, Held(waiting.question, waiting.arrived, segment), now
                )

    def weighed(self, segment: int) -> None:
        """All entries of a segment were taken."""
        self.ledger.look_at(segment)

    def _told(self, ordinal: int, segment: int, outcome: Known, now: Micros) -> Strides:
        before = self.ledger.outcomes.get(outcome.key)
        merged = self.ledger.merged(outcome)
        if merged is before:
            yield from self._say_again(before, outcome)
            return
        groups = {id(group): group for group in self._groups_of(outcome.type)}
        touched: dict[str, Group] = {}
        if before is not None:
            groups |= {id(group): group for group in self._groups_of(before.type)}
            for group in groups.values():
                group.drop(before)
                touched |= dict.fromkeys(group.touched(before), group)
        self.ledger.keep(merged, segment)
        self._sweep_later(now)
        names: set[Happening] = set()
        for group in groups.values():
            reading = group.add(merged)
            if reading is not IRRELEVANT:
                touched |= dict.fromkeys(group.touched(merged), group)
            if type(reading) is Unusable:
                yield from self._refuse(group, merged, reading)
                names.add("noted")
            elif reading is not IRRELEVANT and group.size:
                names.add("noted")
        for wait_id, group in touched.items():
            held = self.waits[wait_id]
            question = held.question
            if not is_inside(question, merged) and (before is None or not is_inside(question, before)):
                continue
            fact, name = self._revise(held, group, ordinal, now)
            if name is not None:
                names = names - {"noted"} | {name}
            yield fact, None
        for name in names or {"early"}:
            yield None, name

    def _asked(self, ordinal: int, segment: int, held: Held, now: Micros) -> Strides:
        question = held.question
        wait_id = question.wait_id
        known = self.waits.get(wait_id)
        if known is not None:
            if known.question.rank <= question.rank:
                yield None, "repeated"
                if known.segment < self._converted:
                    yield from self._refused(known.question)
                    yield from self._say_history(known)
                return
            self._group(known.question).forget(known.question)
            self.ledger.died(known.segment)
            self.open_waits -= known.is_open
            held.last, held.history, held.seen = known.last, known.history, known.seen
            if known.seen >= ordinal:
                held.judged_at, held.arrived = known.judged_at, known.arrived
        if self.ledger.gone.pop(wait_id, None) is not None or known is not None:
            self.changed.add(wait_id)
        self.waits[wait_id] = held
        self.ledger.live(segment)
        self.open_waits += held.is_open
        group = yield from self._group_of(question)
        yield from self._refused(question)
        fact, name = self._revise(held, group, ordinal, now)
        self._look_later(held)
        yield fact, "opened" if name is None else "answered"

    def look(self, upto: Micros, now: Micros) -> Strides:
        """Judge what is due, given that all that was written before `upto` (less the grace) was taken; forget what is
        past its horizon.
        """
        waiting: list[tuple[Micros, str]] = []
        while self._looks and self._looks[0][0] <= now:
            at, wait_id = heappop(self._looks)
            if not self._is_due(at, wait_id):
                continue
            held = self.waits[wait_id]
            if not held.is_open:
                self._forget_wait(held, now)
                yield _EFFORT
            elif held.question.ends > upto - self._horizons.grace_micros:
                waiting.append((at, wait_id))
            else:
                yield self._judge(held, now)
        for entry in waiting:
            heappush(self._looks, entry)
        if self._sweep_at is not None and self._sweep_at <= now:
            yield from self._sweep(now)

    def _judge(self, held: Held, now: Micros) -> Stride:
        self.open_waits -= 1
        held.judged_at = now
        self.changed.add(held.question.wait_id)
        fact = self._decided(held, self._group(held.question), now)
        self.open_waits += held.is_open
        self._look_later(held)
        return fact, "expired" if fact is not None else None

    def _sweep(self, now: Micros) -> Strides:
        for number, outcome in enumerate(list(self.ledger.outcomes.values())):
            if self._horizons.outcome_ends(outcome) <= now and not self._is_needed(outcome):
                for group in self._groups_of(outcome.type):
                    group.drop(outcome)
                self.ledger.drop(outcome)
            if number % _AT_ONCE == 0:
                yield _EFFORT
        self._sweep_at = now + self._horizons.between_sweeps(_SWEEPS) if self.ledger.outcomes else None

    def _sweep_later(self, now: Micros) -> None:
        """Sweep when the first outcome's time is up, and then now and then."""
        if self._sweep_at is None and self.ledger.outcomes:
            self._sweep_at = max(now, min(map(self._horizons.outcome_ends, self.ledger.outcomes.values())))

    def _is_needed(self, outcome: Known) -> bool:
        """Whether a wait may still go by it; some that none does are kept longer, since asking each takes time."""
        return any(
            group.reaches(outcome) and group.says(outcome) is not IRRELEVANT
            for group in self._groups_of(outcome.type)
        )

    # What is known.

    def _forget_wait(self, held: Held, now: Micros) -> None:
        wait_id = held.question.wait_id
        self._group(held.question).forget(held.question)
        del self.waits[wait_id]
        self.ledger.gone[wait_id] = held.segment, now
        self.changed.add(wait_id)
        self.ledger.died(held.segment)

    def standing(self, wait_id: str) -> Standing:
        """Where a wait stands that changed."""
        held = self.waits.get(wait_id)
        return Standing(-1, self.ledger.gone[wait_id][1], gone=True) if held is None else held.standing

    def _group(self, question: Question) -> Group:
        return self._groups[bytes(question.rule_json), question.tolerance is None]

    def _groups_of(self, kind: str) -> list[Group]:
        return [group for group in self._groups.values() if kind in group.rule.on]

    def _group_of(self, question: Question) -> Generator[Stride, None, Group]:
        """The group of a question; a new one hears all that is known."""
        key = bytes(question.rule_json), question.tolerance is None
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(question.rule, before=question.tolerance is None)
            for kind in group.rule.on:
                for number, outcome in enumerate(self.ledger.of(kind)):
                    group.add(outcome)
                    if number % _AT_ONCE == 0:
                        yield _EFFORT
        return group

    # Answers.

    def _revise(self, held: Held, group: Group, ordinal: int, now: Micros) -> Stride:
        if held.seen >= ordinal:
            # It was weighed against this entry before a crash.
            group.settle(held.question)
            return _EFFORT
        before = held.last
        was_open = held.is_open
        fact = self._decided(held, group, now)
        if fact is None:
            return _EFFORT
        held.seen = ordinal
        self.open_waits += held.is_open - was_open
        self._look_later(held)
        assert held.last is not None
        if held.last.late:
            return fact, "late"
        return fact, "corrected" if before else "joined"

    def _decided(self, held: Held, group: Group, now: Micros) -> Scored | Replied | None:
        """Decide anew; the revision, where the verdict differs from the one announced last. See `correlate`."""
        question, last = held.question, held.last
        found = group.settle(question)
        verdict = verdict_of(question, found, held.judged_at is not None)
        before = last.verdict if last else None
        if verdict is None:
            if before is None or before.reason == "reopened":
                return None
            verdict = Verdict(None, "reopened", question.opened_at)
        if verdict == before:
            return None
        late = held.judged_at is not None and verdict.reason == "outcome"
        held.last = Revision(last.number + 1 if last else 1, verdict, now, late)
        self.changed.add(question.wait_id)
        return self._announced(question, held.last, found)

    def _announced(self, question: Question, revision: Revision, found: Found | None) -> Scored | Replied:
        if question.reply_to is None:
            return Scored(self.key, question, revision)
        decided = revision.verdict.reason == "outcome" and found is not None
        return Replied(self.key, question, revision, found.outcome if decided and found else None)

    def _refused(self, question: Question) -> Strides:
        for outcome, reading in list(self._group(question).unusable.values()):
            if is_inside(question, outcome):
                yield Refused(self.key, question, outcome, reading.detail), None

    def _refuse(self, group: Group, outcome: Known, reading: Unusable) -> Strides:
        for wait_id in group.until(outcome):
            question = self.waits[wait_id].question
            if is_inside(question, outcome):
                yield Refused(self.key, question, outcome, reading.detail), None

    def _say_again(self, known: Known | None, outcome: Known) -> Strides:
        """What was announced because of a record that is read again; only of before the subject was crowded, since all
        that came later was announced before it was remembered.
        """
        yield None, "repeated"
        if known is None or (known.partition, known.offset) != (outcome.partition, outcome.offset):
            return
        if self.ledger.home(known) >= self._converted:
            return
        for group in self._groups_of(known.type):
            reading = group.says(known)
            for wait_id in group.until(known) if reading is not IRRELEVANT else ():
                held = self.waits[wait_id]
                if is_inside(held.question, known):
                    if type(reading) is Unusable:
                        yield Refused(self.key, held.question, known, reading.detail), None
                    yield from self._say_history(held, known.arrived)

    def _say_history(self, held: Held, since: Micros = 0) -> Strides:
        """The revisions of before the subject was crowded that were decided since then."""
        question, group = held.question, self._group(held.question)
        if not held.history:
            return
        if question.reply_to is not None and held.last is not None:
            yield self._announced(question, held.last, group.settle(question)), None
            return
        for revision in held.history:
            if revision.decided_at >= since:
                yield Scored(self.key, question, revision), None

    # When.

    def _look_at(self, held: Held) -> Micros:
        if held.is_open:
            return held.question.ends + self._horizons.grace_micros
        return self._horizons.ends(held.question, held.arrived)

    def _look_later(self, held: Held) -> None:
        heappush(self._looks, (self._look_at(held), held.question.wait_id))

    def _is_due(self, at: Micros, wait_id: str) -> bool:
        held = self.waits.get(wait_id)
        return held is not None and self._look_at(held) == at


__all__ = ["Crowd", "Stride", "Strides"]
