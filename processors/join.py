"""The agent of the join: records in, decisions by the pure core, state and facts out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry.metrics import Meter

from upshot.errors import InvalidEvent
from upshot.processors.announce import encode_resumption, encode_score, outcome_bytes, refusal
from upshot.processors.caught_up import CaughtUp
from upshot.processors.clock import wall_clock
from upshot.processors.correlate import Arrival, Asked, Fact, Observed, Refused, Replied, Scored, judge, step
from upshot.processors.deadlines import Horizons, next_look, open_waits, retire
from upshot.processors.intake import Intake
from upshot.processors.slices import Slice
from upshot.processors.state import Subject, decode_subject, encode_subject, known_of, question_of
from upshot.processors.vitals import watch_join
from upshot.settings import Settings
from upshot.streams.arrivals import read_outcome, read_wait
from upshot.streams.batch import TP, BatchApp, BatchContext, Change, Effects, Output, Pace, batch_app
from upshot.streams.batch.fetch import Fetched
from upshot.streams.codec import Place, Record, made_of, place_of
from upshot.streams.dead_letters import dead_letter
from upshot.streams.instants import Micros
from upshot.streams.instruments import Instruments

ROLE = "correlate"
TABLE = "subjects"
#: Bytes that a subject may take in the table, which takes 16 MiB at the most: deadlines and corrections add a little.
LARGEST_SUBJECT = 12 * 1024 * 1024

log = logging.getLogger(__name__)


class Join:
    """Reads `outcomes` and `waits`, keeps a table by subject, writes `scores`, `resumptions` and `dead-letters`.

    A record on a partition that isn't its subject's goes on to the right one. `counts` tells what
    happened how often since the start.
    """

    def __init__(
        self, context: BatchContext, settings: Settings, now: Callable[[], Micros] = wall_clock
    ) -> None:
        self._context = context
        self._settings = settings
        self._now = now
        self._outcomes = settings.topic("outcomes")
        self._waits = settings.topic("waits")
        self._resumptions = settings.topic("resumptions")
        self._scores = settings.topic("scores")
        self._horizons = Horizons(settings.look_back, settings.settled_retention, settings.deadline_grace)
        self._caught_up = CaughtUp(context, now)
        #: Everything that was written until then has been applied.
        self._upto: Micros = 0
        self._slice = Slice()
        self._intake = Intake[Arrival](context, settings, ("outcomes", "waits"), key="subject")
        self.counts = self._intake.counts
        #: By reason.
        self.dead_letters = self._intake.dead_letters
        #: When the next subject needs a look, as of the last tick.
        self.next_deadline: Micros | None = None

    @property
    def topics(self) -> Sequence[str]:
        """What it reads."""
        return self._intake.topics

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Check that the topics have the partitions that the table needs."""
        await self._intake.check()
        self._forget()

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Forget how far the topics were read."""
        self._forget()

    def _forget(self) -> None:
        self._caught_up.forget()
        self._upto = 0

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """One decode pass, one pure step for each partition."""
        effects = Effects()
        now = self._now()
        partitions: dict[int, dict[TP, Sequence[Record]]] = {}
        for tp, records in batches.items():
            partitions.setdefault(tp.partition, {})[tp] = records
        # One to its end before the next: what was just read is still near.
        for partition, theirs in partitions.items():
            arrivals: list[Arrival] = []
            for tp, records in theirs.items():
                arrivals += self._intake.take(tp, records, self._read(tp), now, effects)
            if full := self._apply(partition, arrivals, now, effects):
                self._refuse(full, theirs, effects)
        return effects

    async def tick(self) -> Effects:
        """Judge the deadlines that are due, once all that was written before them has been applied."""
        self._intake.tell(log, self._now())
        nearest = self.next_deadline = self._context.table.nearest_due()
        if nearest is None or nearest > self._now():
            return Effects()
        if nearest > self._upto:
            self._upto = await self._caught_up.as_of() or self._upto
        return self._look(self._upto) if nearest <= self._upto else Effects()

    async def flush(self) -> None:
        """Nothing: the table and the outputs are the room's."""

    def open_waits(self) -> Mapping[int, int]:
        """Waits without an answer whose deadline is still to be judged, by partition. Callable from any thread."""
        return {partition: self._context.table.waiting(partition) for partition in self._partitions()}

    def unread(self) -> Mapping[TP, int]:
        """Records that must be read before due deadlines can be judged. Callable from any thread."""
        return self._caught_up.unread()

    def _apply(self, partition: int, arrivals: list[Arrival], now: Micros, effects: Effects) -> set[str]:
        """Returns the subjects that would be too large: they stay as they were."""
        states = self._known(partition, {arrival.subject for arrival in arrivals})
        changes = step(states, arrivals, now)
        full = self._keep(partition, changes.subjects, effects, LARGEST_SUBJECT)
        if full:
            changes = step(states, [arrival for arrival in arrivals if arrival.subject not in full], now)
        self.counts.update(changes.happened)
        effects.outputs += self._announced(changes.facts)
        return full

    def _refuse(self, full: set[str], batches: Mapping[TP, Sequence[Record]], effects: Effects) -> None:
        """Keep what was said about these subjects as dead letters."""
        error = InvalidEvent(
            "too_large",
            f"with it, what is kept of its subject would take more than {LARGEST_SUBJECT:,} bytes: ask and tell about "
            "smaller things, each a subject of its own, or keep long content elsewhere and send a link",
        )
        for tp, records in batches.items():
            for record in records:
                if self._subject_of(tp, record) in full:
                    self._intake.refuse(record, error, effects)

    def _subject_of(self, tp: TP, record: Record) -> str | None:
        try:
            return self._read(tp)(record, 0).subject
        except InvalidEvent:
            return None

    def _read(self, tp: TP) -> Callable[[Record, Micros], Arrival]:
        return _asked if tp.topic == self._waits else _observed

    def _look(self, upto: Micros) -> Effects:
        """Look at as many of the due subjects as take little time, so that arrivals are joined in between."""
        effects = Effects(outputs_first=True)
        partitions = self._partitions()
        share = max(1, self._slice.keys // max(1, len(partitions)))
        with self._slice.timed() as looked:
            for partition in partitions:
                due = self._context.table.due(partition, upto, share)
                looked.keys += len(due)
                effects.more = effects.more or len(due) == share
                self._look_at(partition, due, upto, effects)
        return effects

    def _partitions(self) -> list[int]:
        return self._intake.units()

    def _look_at(self, partition: int, due: Iterable[bytes], upto: Micros, effects: Effects) -> None:
        now, after = self._now(), {}
        for key, before in self._known(partition, map(bytes.decode, due)).items():
            judged = judge(key, before, upto - self._horizons.grace_micros, now)
            after[key] = retire(judged.subject, now, self._horizons)
            self.counts.update(judged.happened)
            effects.outputs += self._announced(judged.facts)
        self._keep(partition, after, effects)

    def _known(self, partition: int, keys: Iterable[str]) -> dict[str, Subject]:
        names = list(keys)
        values = self._context.table.get_many(partition, [key.encode() for key in names])
        return {
            key: decode_subject(value) for key, value in zip(names, values, strict=True) if value is not None
        }

    def _keep(
        self, partition: int, subjects: Mapping[str, Subject], effects: Effects, largest: int = sys.maxsize
    ) -> set[str]:
        """Returns the subjects that have become too large, which it leaves out."""
        changes, full = effects.changes.setdefault(partition, {}), set()
        for key, subject in subjects.items():
            value = encode_subject(subject)
            if value is None:
                changes[key.encode()] = None
            elif len(value) <= largest:
                due = next_look(subject, self._horizons)
                changes[key.encode()] = Change(value, due, open_waits(subject))
            else:
                full.add(key)
        return full

    def _announced(self, facts: Iterable[Fact]) -> list[Output]:
        return [self._output(fact) for fact in facts]

    def _output(self, fact: Fact) -> Output:
        match fact:
            case Scored():
                return Output(self._scores, None, fact.question.run_id.encode(), encode_score(fact))
            case Replied():
                return Output(self._resumptions, None, _asker(fact), encode_resumption(fact))
            case Refused():
                return self._refused(fact)

    def _refused(self, fact: Refused) -> Output:
        outcome = fact.outcome
        record = Fetched(
            self._outcomes,
            outcome.partition,
            outcome.offset,
            outcome.arrived // 1000,
            fact.subject.encode(),
            outcome_bytes(fact.subject, outcome),
            (),
            outcome.made,
        )
        error = InvalidEvent("unusable_outcome", refusal(fact))
        self.dead_letters[error.reason] += 1
        return dead_letter(self._settings, record, error, about=fact.question.wait_id)


def _asked(record: Record, now: Micros) -> Arrival:
    wait = read_wait(record)
    return Asked(wait.subject, question_of(wait))


def _observed(record: Record, now: Micros) -> Arrival:
    outcome = read_outcome(record)
    place = place_of(record) if record.headers else record
    made = place.made if isinstance(place, Place) else made_of(record)
    return Observed(outcome.subject, known_of(outcome, now, place.partition, place.offset, made))


def _asker(fact: Replied) -> bytes:
    return (fact.question.reply_to or "").encode()


def join_app(settings: Settings, pace: Pace | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the join, measured on `meter`. Call it within a running event loop."""
    instruments = Instruments(ROLE, meter)

    def make(context: BatchContext) -> Join:
        join = Join(context, settings)
        watch_join(instruments, join, wall_clock)
        return join

    return batch_app(
        settings.app_id(ROLE), settings, make, table_name=TABLE, pace=pace, instruments=instruments
    )


__all__ = ["ROLE", "TABLE", "Join", "join_app"]
