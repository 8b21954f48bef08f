"""The agent of the join: records in, decisions by the pure core, state and facts out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from upshot.errors import ConfigurationError, InvalidEvent
from upshot.processors.alarms import Alarms
from upshot.processors.announce import encode_score, outcome_bytes, refusal
from upshot.processors.caught_up import CaughtUp
from upshot.processors.correlate import Arrival, Asked, Fact, Observed, Refused, Scored, judge, step
from upshot.processors.deadlines import Horizons, next_look, retire
from upshot.processors.state import (
    Micros,
    Subject,
    decode_subject,
    encode_subject,
    known_of,
    micros,
    question_of,
)
from upshot.settings import Settings
from upshot.streams.batch import TP, BatchApp, BatchContext, Effects, Output, Pace, batch_app
from upshot.streams.codec import FORWARDED_FROM, Record, decode_outcome, decode_wait, place_of
from upshot.streams.dead_letters import dead_letter
from upshot.streams.partitions import partition_for

ROLE = "correlate"
TABLE = "subjects"
#: Subjects that one tick looks at; the rest follows with the next.
_LOOKS_PER_TICK = 5_000
#: Microseconds between two lines of counts in the log.
_TELL_EVERY = 60_000_000

log = logging.getLogger(__name__)


def wall_clock() -> Micros:
    """Now, by this machine's clock."""
    return micros(datetime.now(UTC))


class _Refused(NamedTuple):
    """An outcome that gave no score, as the record that it was."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Join:
    """Reads `outcomes` and `waits`, keeps a table by subject, writes `scores` and `dead-letters`.

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
        self._scores = settings.topic("scores")
        self._horizons = Horizons(settings.look_back, settings.settled_retention, settings.deadline_grace)
        self._alarms = Alarms()
        self._caught_up = CaughtUp(context, now)
        self._partitions = 0
        self.counts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._tell_at: Micros = 0

    @property
    def topics(self) -> Sequence[str]:
        """What it reads."""
        return [self._outcomes, self._waits]

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Build the index of deadlines from the table."""
        counts = {topic: await self._context.partition_count(topic) for topic in self.topics}
        if len(set(counts.values())) > 1:
            raise ConfigurationError(
                f"outcomes and waits need the same number of partitions, they have {counts}: "
                "nothing was read; create them alike"
            )
        self._partitions = counts[self._outcomes]
        self._caught_up.forget()
        for partition in {tp.partition for tp in tps}:
            for key, value in self._context.table.items(partition):
                self._set_alarm(partition, key.decode(), decode_subject(value))

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Forget the index of what is no longer ours."""
        self._caught_up.forget()
        for partition in {tp.partition for tp in tps}:
            self._alarms.drop(partition)

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """One decode pass, one pure step for each partition."""
        effects = Effects()
        arrivals: dict[int, list[Arrival]] = {}
        now = self._now()
        for records in batches.values():
            for record in records:
                self._take(record, now, arrivals, effects)
        for partition, arrived in arrivals.items():
            self._apply(partition, arrived, now, effects)
        return effects

    async def tick(self) -> Effects:
        """Judge the deadlines that are due, once all that was written before them has been applied."""
        self._tell()
        nearest = self._alarms.nearest()
        if nearest is None or nearest > self._now():
            return Effects()
        upto = await self._caught_up.as_of()
        return Effects() if upto is None else self._look(upto)

    async def flush(self) -> None:
        """Nothing: the table and the outputs are the room's."""

    def _tell(self) -> None:
        """What happened since the start, in a line of the log now and then."""
        now = self._now()
        if now < self._tell_at or self.counts == self._told:
            return
        self._tell_at, self._told = now + _TELL_EVERY, self.counts.copy()
        log.info(
            "since the start: %s", ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        )

    def _take(
        self, record: Record, now: Micros, arrivals: dict[int, list[Arrival]], effects: Effects
    ) -> None:
        try:
            arrival = self._decode(record, now)
        except InvalidEvent as error:
            self.counts["dead_lettered"] += 1
            effects.outputs.append(dead_letter(self._settings, record, error))
            return
        right = partition_for(arrival.subject.encode(), self._partitions)
        if right == record.partition:
            arrivals.setdefault(right, []).append(arrival)
        else:
            self.counts["forwarded"] += 1
            effects.outputs.append(_forwarded(record, arrival.subject.encode(), right))

    def _decode(self, record: Record, now: Micros) -> Arrival:
        if record.topic == self._waits:
            wait = decode_wait(record)
            return Asked(wait.subject, question_of(wait))
        outcome = decode_outcome(record)
        place = place_of(record)
        return Observed(outcome.subject, known_of(outcome, now, place.partition, place.offset))

    def _apply(self, partition: int, arrivals: list[Arrival], now: Micros, effects: Effects) -> None:
        keys = {arrival.subject for arrival in arrivals}
        states = {
            key: decode_subject(value) for key in keys if (value := self._value(partition, key)) is not None
        }
        changes = step(states, arrivals, now)
        self.counts.update(changes.happened)
        self._keep(partition, changes.subjects, effects)
        effects.outputs += self._announced(changes.facts)

    def _look(self, upto: Micros) -> Effects:
        effects = Effects(outputs_first=True)
        now = self._now()
        grace = self._horizons.grace_micros
        for partition, key in self._alarms.due(upto, _LOOKS_PER_TICK):
            before = decode_subject(self._value(partition, key))
            judged = judge(key, before, upto - grace, now)
            after = retire(judged.subject, now, self._horizons)
            self.counts.update(judged.happened)
            effects.outputs += self._announced(judged.facts)
            if after is before:
                self._set_alarm(partition, key, after)
            else:
                self._keep(partition, {key: after}, effects)
        return effects

    def _keep(self, partition: int, subjects: Mapping[str, Subject], effects: Effects) -> None:
        changes = effects.changes.setdefault(partition, {})
        for key, subject in subjects.items():
            changes[key.encode()] = encode_subject(subject)
            self._set_alarm(partition, key, subject)

    def _set_alarm(self, partition: int, key: str, subject: Subject) -> None:
        self._alarms.set(partition, key, next_look(subject, self._horizons))

    def _value(self, partition: int, key: str) -> bytes | None:
        return self._context.table.get(partition, key.encode())

    def _announced(self, facts: Iterable[Fact]) -> Iterable[Output]:
        for fact in facts:
            match fact:
                case Scored():
                    yield Output(self._scores, None, fact.question.run_id.encode(), encode_score(fact))
                case Refused():
                    yield self._refused(fact)

    def _refused(self, fact: Refused) -> Output:
        outcome = fact.outcome
        record = _Refused(
            self._outcomes,
            outcome.partition,
            outcome.offset,
            outcome.arrived // 1000,
            fact.subject.encode(),
            outcome_bytes(fact.subject, outcome),
        )
        error = InvalidEvent("unusable_outcome", refusal(fact))
        return dead_letter(self._settings, record, error, about=fact.question.wait_id)


def _forwarded(record: Record, key: bytes, partition: int) -> Output:
    headers = [(name, value) for name, value in record.headers if name != FORWARDED_FROM]
    headers.append((FORWARDED_FROM, str(place_of(record)).encode()))
    return Output(record.topic, partition, key, record.value, headers, record.timestamp)


def join_app(settings: Settings, pace: Pace | None = None) -> BatchApp:
    """The Faust app of the join. Call it within a running event loop."""
    return batch_app(
        settings.app_id(ROLE), settings, lambda context: Join(context, settings), table_name=TABLE, pace=pace
    )


__all__ = ["ROLE", "TABLE", "Join", "join_app", "wall_clock"]
