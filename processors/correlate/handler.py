"""The agent of the join: records in, decisions by the pure core, state and facts out."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from msgspec.structs import replace
from opentelemetry.metrics import Meter

from upshot.errors import InvalidEvent
from upshot.processors.batch_size import LARGEST, AdaptiveBatchSize
from upshot.processors.clock import wall_clock
from upshot.processors.correlate.announce import Announcer
from upshot.processors.correlate.crowded import AT_ONCE, Crowds, Limits, decode_head, is_head
from upshot.processors.correlate.deadline_notes import DeadlineNotes
from upshot.processors.correlate.deadlines import Horizons, next_look, open_waits, retire
from upshot.processors.correlate.decide import expire, step
from upshot.processors.correlate.decode import arrival_of_outcome, arrival_of_wait
from upshot.processors.correlate.facts import (
    Arrival,
    WaitReceived,
)
from upshot.processors.correlate.metrics import watch_join
from upshot.processors.correlate.state import (
    Subject,
    decode_subject,
    encode_subject,
)
from upshot.processors.routing import Router
from upshot.processors.watermark import Watermark
from upshot.settings import Settings
from upshot.streams.events.instants import MICROSECOND, Micros
from upshot.streams.events.records import Record
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import (
    TP,
    BatchApp,
    BatchContext,
    Change,
    Effects,
    RoleApp,
    Timing,
    batch_app,
)

ROLE = "correlate"
TABLE = "subjects"
#: A subject of more bytes is kept in parts; see `upshot.processors.correlate.crowded`.
CROWDED_FROM = 16 * 1024
#: And so is one about which more arrives in one batch.
CROWDED_AT_ONCE = 100
#: Bytes, and outcomes and waits, that a subject may have in the table.
LARGEST_SUBJECT = 128 * 1024 * 1024
MOST_ARRIVALS = 250_000
#: Microseconds between two looks at deadlines while crowded subjects are weighed, which are due all the time.
_LOOK_EVERY: Micros = 250_000

_subject = attrgetter("subject")

log = logging.getLogger(__name__)


class Join:
    """Reads `outcomes` and `waits`, keeps a table by subject, writes `scores`, `resumptions` and
    `dead-letters`.

    A record on another partition than its subject's is forwarded. `counts` has the number of each event since
    the start.
    """

    def __init__(
        self, context: BatchContext, settings: Settings, now: Callable[[], Micros] = wall_clock
    ) -> None:
        self._context = context
        self._settings = settings
        self._now = now
        self._waits = settings.topic("waits")
        self._horizons = Horizons(settings.look_back, settings.settled_retention, settings.deadline_grace)
        self._caught_up = Watermark(context, now)
        #: Everything that was written until then has been applied.
        self._upto: Micros = 0
        self._notes = DeadlineNotes(lambda: context.table)
        self._tolerance = settings.since_tolerance // MICROSECOND
        self._slice = AdaptiveBatchSize()
        self._crowds = Crowds(lambda: context.table, self._horizons)
        self._look_again: Micros = 0
        self._router = Router[Arrival](context, settings, ("outcomes", "waits"), key="subject")
        self.counts = self._router.counts
        #: By reason.
        self.dead_letters = self._router.dead_letters
        self._announcer = Announcer(settings, self.dead_letters)
        #: When the next subject needs a look, as of the last tick.
        self.next_deadline: Micros | None = None

    @property
    def topics(self) -> Sequence[str]:
        """The full names of the topics read."""
        return self._router.topics

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Check that the topics have as many partitions as the table."""
        await self._router.check()
        self._forget()
        self._notes.recall(self._partitions())
        for partition in self._partitions():
            for key in self._context.table.due(partition, AT_ONCE, MOST_ARRIVALS):
                self._known(partition, [key.decode()])
                self._crowds.look_at(partition, key.decode())

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Forget how far the topics were read."""
        self._forget()

    def _forget(self) -> None:
        self._caught_up.forget()
        self._crowds.forget()
        self._notes.forget()
        self._upto = self._look_again = 0

    async def resume(self) -> Effects:
        """Evaluate again the deadlines that may have been announced and not remembered, before any record.

        One slice is enough: its answers are remembered before the next slice is announced.
        """
        effects = Effects(outputs_first=True)
        for partition in self._partitions():
            if upto := self._notes.as_of(partition):
                due = self._context.table.due(partition, upto, LARGEST)
                for key in self._look_at(partition, due, upto, effects):
                    reminder = self._crowds.remind(partition, key, upto)
                    effects.changes.setdefault(partition, {}).update(reminder)
        return effects

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
            strays: list[Arrival] = []
            for tp, records in theirs.items():
                arrivals += self._router.take(tp, records, self._read(tp), now, effects, strays)
            arrivals += self._as_spelled(partition, [*arrivals, *strays])
            if full := self._apply(partition, arrivals, now, effects):
                self._refuse(full, theirs, effects)
        effects.more = self._crowds.is_busy
        return effects

    async def tick(self) -> Effects:
        """Evaluate due deadlines, once every record written before them has been applied."""
        self._router.tell(log, self._now())
        self._notes.landed()
        effects, nearest, now = Effects(), self._context.table.nearest_due(), self._now()
        if nearest == AT_ONCE:
            # Other due subjects are hidden behind subjects to be weighed.
            nearest = max(now, self._look_again)
        self.next_deadline = nearest
        if nearest is not None and nearest <= now:
            if nearest > self._upto:
                self._upto = await self._caught_up.as_of() or self._upto
                self._look_again = now + _LOOK_EVERY
            if nearest <= self._upto:
                notes = self._notes.write(self._partitions(), self._upto)
                effects = Effects(notes, more=True) if notes else self._look()
        self._weigh(effects)
        return effects

    def _weigh(self, effects: Effects) -> None:
        """Go on with the crowded subjects, for a little."""
        if self._crowds.is_busy:
            turn = self._crowds.turn(self._notes.as_of, self._now())
            effects.outputs_first = True
            self.counts.update(turn.happened)
            effects.outputs += self._announcer.outputs(turn.facts)
            for partition, changes in turn.changes.items():
                effects.changes.setdefault(partition, {}).update(changes)
            effects.more = effects.more or self._crowds.is_busy

    async def flush(self) -> None:
        """Nothing: the table and the outputs are the batch engine's."""

    def open_waits(self) -> Mapping[int, int]:
        """Waits without an answer whose deadline is still to be evaluated, by partition.

        Callable from any thread.
        """
        return {partition: self._context.table.waiting(partition) for partition in self._partitions()}

    def unread(self) -> Mapping[TP, int]:
        """Records to be read before due deadlines can be evaluated. Callable from any thread."""
        return self._caught_up.unread()

    def _apply(self, partition: int, arrivals: list[Arrival], now: Micros, effects: Effects) -> set[str]:
        """Apply the arrivals; returns the subjects left unchanged, since they would be too large."""
        subjects = Counter(map(_subject, arrivals))
        states, crowded = self._known(partition, subjects)
        if subjects and max(subjects.values()) > CROWDED_AT_ONCE:
            self._convert(partition, states, crowded, subjects, effects)
        crammed = self._append(partition, crowded, arrivals, now, effects) if crowded else set()
        if crowded:
            arrivals = [arrival for arrival in arrivals if arrival.subject not in crowded]
        changes = step(states, arrivals, now)
        full = self._keep(partition, changes.subjects, effects, LARGEST_SUBJECT)
        if full:
            changes = step(states, [arrival for arrival in arrivals if arrival.subject not in full], now)
        self.counts.update(changes.happened)
        effects.outputs += self._announcer.outputs(changes.facts)
        return full | crammed

    def _convert(
        self,
        partition: int,
        states: dict[str, Subject],
        crowded: set[str],
        subjects: Mapping[str, int],
        effects: Effects,
    ) -> None:
        """Keep subjects with many arrivals at once in parts from now on."""
        for key, count in subjects.items():
            if count > CROWDED_AT_ONCE and key not in crowded:
                subject = states.pop(key, Subject())
                due = next_look(subject, self._horizons)
                effects.changes.setdefault(partition, {}).update(
                    self._crowds.convert(partition, key, subject, due)
                )
                crowded.add(key)

    def _append(
        self, partition: int, crowded: set[str], arrivals: Iterable[Arrival], now: Micros, effects: Effects
    ) -> set[str]:
        """Append arrivals about crowded subjects; returns the subjects already at their limit."""
        limits, full = Limits(LARGEST_SUBJECT, MOST_ARRIVALS), set()
        theirs: dict[str, list[Arrival]] = {key: [] for key in crowded}
        for arrival in arrivals:
            if arrival.subject in crowded:
                theirs[arrival.subject].append(arrival)
        for key, some in theirs.items():
            changes = self._crowds.append(partition, key, some, now, limits)
            if changes is None:
                full.add(key)
            else:
                changed = effects.changes.setdefault(partition, {})
                changed.pop(key.encode(), None)  # the head comes last
                changed.update(changes)
        return full

    def _as_spelled(self, partition: int, arrivals: Iterable[Arrival]) -> list[Arrival]:
        """News about subjects as they are spelled, where waits were opened before spellings were joined."""
        respelled = [
            (a, a.spelled) for a in arrivals if not isinstance(a, WaitReceived) and a.spelled is not None
        ]
        if not respelled:
            return []
        states, crowded = self._known(partition, {spelled for _, spelled in respelled})
        waited = crowded | {key for key, state in states.items() if state.waits}
        return [replace(a, subject=spelled, spelled=None) for a, spelled in respelled if spelled in waited]

    def _refuse(self, full: set[str], batches: Mapping[TP, Sequence[Record]], effects: Effects) -> None:
        """Keep the records about these subjects as dead letters."""
        error = InvalidEvent(
            "too_large",
            f"with this record, its subject's state would be more than {LARGEST_SUBJECT:,} bytes or "
            f"{MOST_ARRIVALS:,} outcomes and waits, and nothing was changed: its answers go on from the "
            "state before; use smaller things as subjects, or keep long content "
            "elsewhere and send a link",
        )
        for tp, records in batches.items():
            for record in records:
                if self._subject_of(tp, record) in full:
                    self._router.refuse(record, error, effects)

    def _subject_of(self, tp: TP, record: Record) -> str | None:
        try:
            return self._read(tp)(record, 0).subject
        except InvalidEvent:
            return None

    def _read(self, tp: TP) -> Callable[[Record, Micros], Arrival]:
        return self._read_wait if tp.topic == self._waits else arrival_of_outcome

    def _read_wait(self, record: Record, now: Micros) -> Arrival:
        return arrival_of_wait(record, now, self._tolerance)

    def _look(self) -> Effects:
        """Look at a few due subjects, for a short time, so that arrivals are joined in between."""
        effects = Effects(outputs_first=True)
        partitions = self._partitions()
        share = max(1, self._slice.keys // max(1, len(partitions)))
        with self._slice.timed() as looked:
            for partition in partitions:
                upto = self._notes.as_of(partition)
                due = self._context.table.due(partition, upto, share)
                looked.keys += len(due)
                effects.more = effects.more or len(due) == share
                self._look_at(partition, due, upto, effects)
        return effects

    def _partitions(self) -> list[int]:
        return self._router.units()

    def _look_at(self, partition: int, due: Iterable[bytes], upto: Micros, effects: Effects) -> set[str]:
        """Returns the crowded subjects, whose turn comes."""
        now, after = self._now(), {}
        states, crowded = self._known(partition, map(bytes.decode, due))
        for key in crowded:
            self._crowds.look_at(partition, key)
        for key, before in states.items():
            judged = expire(key, before, upto - self._horizons.grace_micros, now)
            after[key] = retire(judged.subject, now, self._horizons)
            self.counts.update(judged.happened)
            effects.outputs += self._announcer.outputs(judged.facts)
        self._keep(partition, after, effects)
        return crowded

    def _known(self, partition: int, keys: Iterable[str]) -> tuple[dict[str, Subject], set[str]]:
        """The stored state of each subject, and the crowded subjects among them."""
        names = list(keys)
        values = self._context.table.get_many(partition, [key.encode() for key in names])
        states: dict[str, Subject] = {}
        crowded: set[str] = set()
        for key, value in zip(names, values, strict=True):
            if value is None:
                continue
            if is_head(value):
                self._crowds.head(partition, key, decode_head(value))
                crowded.add(key)
            else:
                states[key] = decode_subject(value)
        return states, crowded

    def _keep(
        self, partition: int, subjects: Mapping[str, Subject], effects: Effects, largest: int = sys.maxsize
    ) -> set[str]:
        """Encode changed subjects into `effects`; returns the omitted subjects, too large now."""
        changes, full = effects.changes.setdefault(partition, {}), set()
        for key, subject in subjects.items():
            value = encode_subject(subject)
            if value is None:
                changes[key.encode()] = None
            elif len(value) > largest:
                full.add(key)
            else:
                due = next_look(subject, self._horizons)
                if len(value) > CROWDED_FROM:
                    changes.update(self._crowds.convert(partition, key, subject, due))
                else:
                    changes[key.encode()] = Change(value, due, open_waits(subject))
        return full


def join_app(settings: Settings, timing: Timing | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of the join, measured on `meter`. Call it within a running event loop."""
    instruments = Instruments(ROLE, meter)

    def make(context: BatchContext) -> Join:
        join = Join(context, settings)
        watch_join(instruments, join, wall_clock)
        return join

    return batch_app(
        settings.app_id(ROLE), settings, make, table_name=TABLE, timing=timing, instruments=instruments
    )


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it."""
    return RoleApp(join_app)


__all__ = ["ROLE", "TABLE", "Join", "join_app", "role_app"]
