"""A crowded subject in memory: its outcomes, marks and waits with their answers, changed one entry at a time.

The answers equal the answers of `upshot.processors.correlate.decide`. Work comes as iterators pausing after
each wait, so that their caller may do something else in between; outcomes change at once, answers one after
the other. A wait notes the last entry weighed against the wait, so that an entry weighed again after a crash
counts once.
"""

from __future__ import annotations

from heapq import heappop, heappush

from upshot.processors.correlate.crowded.group import Found, WaitGroup
from upshot.processors.correlate.crowded.held import CrowdedWait, verdict_of
from upshot.processors.correlate.crowded.layout import (
    Cut,
    EarlierWait,
    Entry,
    Marked,
    OutcomeRecalled,
    Put,
    Reminder,
)
from upshot.processors.correlate.crowded.recalled import AT_ONCE, EFFORT, Recalled, Stride, Strides
from upshot.processors.correlate.facts import EventKind, Replied, ScoreRevised, UnusableOutcome
from upshot.processors.correlate.rules import IRRELEVANT, NoReading, is_inside
from upshot.processors.correlate.state import Mark, Revision, StoredOutcome, StoredWait, Verdict
from upshot.processors.correlate.withdrawing import cancelled_name, is_erased
from upshot.streams.events.instants import Micros

#: Sweeps over an outcome while the outcome is kept.
_SWEEPS = 10


class Crowd(Recalled):
    """The outcomes, waits and marks of a subject, and the answers of the waits."""

    def weigh(self, ordinal: int, segment: int, entry: Entry, now: Micros) -> Strides:
        """Take one entry."""
        self.ledger.weighing = segment
        match entry:
            case OutcomeRecalled(outcome):
                yield from self._reported(ordinal, segment, outcome, now)
            case Put(wait, arrived):
                yield from self._asked(ordinal, segment, CrowdedWait(wait, arrived, segment), now)
            case Cut(wait_id, reply_to, cancellation, arrived):
                mark = Mark(arrived, cancellation)
                yield from self._cancelled(ordinal, segment, wait_id, reply_to, mark, now)
            case Marked(name, mark):
                yield from self._erased(segment, name, mark, now)
            case Reminder(upto):
                yield from self.look(upto, now)
            case EarlierWait(waiting):
                # No code appends such an entry.
                yield from self._asked(
                    ordinal, segment, CrowdedWait(waiting.wait, waiting.arrived, segment), now
                )

    def weighed(self, segment: int) -> None:
        """All entries of a segment were taken."""
        self.ledger.look_at(segment)

    def _reported(self, ordinal: int, segment: int, outcome: StoredOutcome, now: Micros) -> Strides:
        before = self.ledger.outcomes.get(outcome.key)
        merged = self.ledger.merged(outcome)
        if merged is before:
            yield from self._say_again(before, outcome)
            return
        if is_erased(self.marks, outcome):
            yield None, "erased"
            return
        groups = {id(group): group for group in self._groups_of(outcome.type)}
        touched: dict[str, WaitGroup] = {}
        if before is not None:
            groups |= {id(group): group for group in self._groups_of(before.type)}
            for group in groups.values():
                group.drop(before)
                touched |= dict.fromkeys(group.touched(before), group)
        self.ledger.keep(merged, segment)
        self._sweep_later(now)
        names: set[EventKind] = set()
        for group in groups.values():
            reading = group.add(merged)
            if reading is not IRRELEVANT:
                touched |= dict.fromkeys(group.touched(merged), group)
            if type(reading) is NoReading:
                yield from self._refuse(group, merged, reading)
                names.add("noted")
            elif reading is not IRRELEVANT and group.size:
                names.add("noted")
        for wait_id, group in touched.items():
            held = self.waits[wait_id]
            wait = held.weighed
            if not is_inside(wait, merged) and (before is None or not is_inside(wait, before)):
                continue
            fact, name = self._revise(held, group, ordinal, now)
            if name is not None:
                names = names - {"noted"} | {name}
            yield fact, None
        for name in names or {"early"}:
            yield None, name

    def _asked(self, ordinal: int, segment: int, held: CrowdedWait, now: Micros) -> Strides:
        wait = held.wait
        wait_id = wait.wait_id
        known = self.waits.get(wait_id)
        if known is not None and known.wait.outranks(wait):
            yield None, "repeated"
            if known.segment < self._converted:
                yield from self._refused(known.wait)
                yield from self._say_history(known)
            return
        if is_erased(self.marks, wait):
            yield None, "erased"
            return
        if known is None:
            held.cancellation = self._take_mark(wait)
        else:
            self._group(known.wait).forget(known.weighed)
            self.ledger.died(known.segment)
            self.open_waits -= known.is_open
            held.last, held.history, held.seen = known.last, known.history, known.seen
            held.cancellation = known.cancellation
            if known.wait.is_the_same(wait):
                held.judged_at = known.judged_at
            if known.seen >= ordinal:
                held.judged_at, held.arrived = known.judged_at, known.arrived
        if self.ledger.gone.pop(wait_id, None) is not None or known is not None:
            self.changed.add(wait_id)
        self.waits[wait_id] = held
        self.ledger.live(segment)
        self.open_waits += held.is_open
        group = yield from self._group_of(wait)
        yield from self._refused(wait)
        fact, name = self._revise(held, group, ordinal, now)
        self._look_later(held)
        yield fact, "opened" if name is None else "answered"

    def _cancelled(
        self, ordinal: int, segment: int, wait_id: str, reply_to: str, mark: Mark, now: Micros
    ) -> Strides:
        held, cancellation = self.waits.get(wait_id), mark.cancellation
        assert cancellation is not None
        if held is None or (held.wait.reply_to or "") != reply_to:
            new = self._mark(cancelled_name(wait_id, reply_to), mark, segment)
            self._sweep_later(now)
            yield None, "cancelled" if new else "repeated"
            return
        if not cancellation.outranks(held.cancellation):
            yield None, "repeated"
            if held.cancellation == cancellation and held.seen < ordinal and held.segment < self._converted:
                yield from self._say_history(held)
            return
        group = self._group(held.wait)
        group.forget(held.weighed)
        self.open_waits -= held.is_open
        held.cancellation = cancellation
        self.open_waits += held.is_open
        self.changed.add(wait_id)
        fact, _ = self._revise(held, group, ordinal, now)
        self._look_later(held)
        yield fact, "cancelled"

    def _erased(self, segment: int, name: str, mark: Mark, now: Micros) -> Strides:
        if not self._mark(name, mark, segment):
            yield None, "repeated"
            return
        self.is_past_repeating = True
        for held in [held for held in self.waits.values() if is_erased(self.marks, held.wait)]:
            self.open_waits -= held.is_open
            self.rewritten.add(held.segment)
            self._forget_wait(held, now)
        for outcome in [o for o in self.ledger.outcomes.values() if is_erased(self.marks, o)]:
            self.rewritten |= self.ledger.homes(outcome)
            for group in self._groups_of(outcome.type):
                group.drop(outcome)
            self.ledger.drop(outcome)
        for group in self._groups.values():
            for held in self.waits.values():
                if self._group(held.wait) is group:
                    group.settle(held.weighed)
        self._sweep_later(now)
        yield None, "erased"

    def look(self, upto: Micros, now: Micros) -> Strides:
        """Expire due waits, and forget parts past their horizon.

        All records written before `upto` (less the grace) must have been taken.
        """
        waiting: list[tuple[Micros, str]] = []
        while self._looks and self._looks[0][0] <= now:
            at, wait_id = heappop(self._looks)
            if not self._is_due(at, wait_id):
                continue
            held = self.waits[wait_id]
            self.is_past_repeating = True
            if not held.is_open:
                self._forget_wait(held, now)
                yield EFFORT
            elif held.wait.ends > upto - self._horizons.grace_micros:
                waiting.append((at, wait_id))
            else:
                yield self._judge(held, now)
        for entry in waiting:
            heappush(self._looks, entry)
        if self._sweep_at is not None and self._sweep_at <= now:
            yield from self._sweep(now)

    def _judge(self, held: CrowdedWait, now: Micros) -> Stride:
        self.open_waits -= 1
        held.judged_at = now
        self.changed.add(held.wait.wait_id)
        fact = self._decided(held, self._group(held.wait), now)
        self.open_waits += held.is_open
        self._look_later(held)
        return fact, "expired" if fact is not None else None

    def _sweep(self, now: Micros) -> Strides:
        self.is_past_repeating = True
        for number, outcome in enumerate(list(self.ledger.outcomes.values())):
            if self._horizons.outcome_ends(outcome) <= now and not self._is_needed(outcome):
                for group in self._groups_of(outcome.type):
                    group.drop(outcome)
                self.ledger.drop(outcome)
            if number % AT_ONCE == 0:
                yield EFFORT
        for name, mark in list(self.marks.items()):
            if self._horizons.outcome_ends(mark) <= now:
                del self.marks[name]
                self.ledger.died(self._mark_homes.pop(name))
        retained = self.ledger.outcomes or self.marks
        self._sweep_at = now + self._horizons.between_sweeps(_SWEEPS) if retained else None

    def _is_needed(self, outcome: StoredOutcome) -> bool:
        """Whether a wait may still use the outcome.

        Some outcomes used by none are kept longer, since asking each wait takes time.
        """
        return any(
            group.reaches(outcome) and group.says(outcome) is not IRRELEVANT
            for group in self._groups_of(outcome.type)
        )

    def _forget_wait(self, held: CrowdedWait, now: Micros) -> None:
        wait_id = held.wait.wait_id
        self._group(held.wait).forget(held.weighed)
        del self.waits[wait_id]
        self.ledger.gone[wait_id] = held.segment, now
        self.changed.add(wait_id)
        self.ledger.died(held.segment)

    def _revise(self, held: CrowdedWait, group: WaitGroup, ordinal: int, now: Micros) -> Stride:
        if held.seen >= ordinal:
            # The wait was weighed against this entry before a crash.
            group.settle(held.weighed)
            return EFFORT
        before = held.last
        was_open = held.is_open
        fact = self._decided(held, group, now)
        if fact is None:
            return EFFORT
        held.seen = ordinal
        self.open_waits += held.is_open - was_open
        self._look_later(held)
        assert held.last is not None
        if held.last.late:
            return fact, "late"
        return fact, "corrected" if before else "joined"

    def _decided(self, held: CrowdedWait, group: WaitGroup, now: Micros) -> ScoreRevised | Replied | None:
        """Decide anew; the revision, where the verdict differs from the last announced. See `correlate`."""
        wait, last = held.wait, held.last
        found, cancelled_at = group.settle(held.weighed), held.cancelled_at
        if cancelled_at is None:
            verdict = verdict_of(wait, found, held.judged_at is not None)
        elif wait.reply_to is not None:
            return None
        else:
            found = found if wait.rule.mode in ("first", "all") else None
            verdict = verdict_of(wait, found, judged=False) or Verdict(None, "cancelled", cancelled_at)
        before = last.verdict if last else None
        if verdict is None:
            if before is None or before.reason == "reopened":
                return None
            verdict = Verdict(None, "reopened", wait.opened_at)
        if verdict == before:
            return None
        late = held.judged_at is not None and verdict.reason == "outcome"
        held.last = Revision(last.number + 1 if last else 1, verdict, now, late)
        self.changed.add(wait.wait_id)
        return self._announced(wait, held.last, found)

    def _announced(self, wait: StoredWait, revision: Revision, found: Found | None) -> ScoreRevised | Replied:
        if wait.reply_to is None:
            return ScoreRevised(self.key, wait, revision)
        decided = revision.verdict.reason == "outcome" and found is not None
        return Replied(self.key, wait, revision, found.outcome if decided and found else None)

    def _refused(self, wait: StoredWait) -> Strides:
        for outcome, reading in list(self._group(wait).unusable.values()):
            if is_inside(wait, outcome):
                yield UnusableOutcome(self.key, wait, outcome, reading.detail), None

    def _refuse(self, group: WaitGroup, outcome: StoredOutcome, reading: NoReading) -> Strides:
        for wait_id in group.until(outcome):
            held = self.waits[wait_id]
            if held.cancelled_at is None and is_inside(held.wait, outcome):
                yield UnusableOutcome(self.key, held.wait, outcome, reading.detail), None

    def _say_again(self, known: StoredOutcome | None, outcome: StoredOutcome) -> Strides:
        """The facts of a record read again, from before the subject was crowded.

        All later facts were announced before their outcome was remembered.
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
                if is_inside(held.wait, known):
                    if type(reading) is NoReading:
                        yield UnusableOutcome(self.key, held.wait, known, reading.detail), None
                    yield from self._say_history(held, known.arrived)

    def _say_history(self, held: CrowdedWait, since: Micros = 0) -> Strides:
        """The revisions from before the subject was crowded, if decided at or after `since`."""
        wait, group = held.wait, self._group(held.wait)
        if not held.history:
            return
        if wait.reply_to is not None and held.last is not None:
            yield self._announced(wait, held.last, group.settle(held.weighed)), None
            return
        for revision in held.history:
            if revision.decided_at >= since:
                yield ScoreRevised(self.key, wait, revision), None


__all__ = ["Crowd", "Stride", "Strides"]
