"""The surroundings of a follow-up in a test: the real join, fed with events as on the topics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from upshot.processors.correlate.deadlines import Horizons, next_look
from upshot.processors.correlate.decide import correlate, expire
from upshot.processors.correlate.encode import encode_resumption
from upshot.processors.correlate.facts import Arrival, Cancelled, Fact, OutcomeReceived, Replied, WaitReceived
from upshot.processors.correlate.state import Cancellation, Subject, as_stored_outcome, as_stored_wait
from upshot.processors.followups.decode import read_resumed
from upshot.processors.followups.facts import Arrival as News
from upshot.streams.events.decode import read_outcome, read_wait
from upshot.streams.events.instants import Micros
from upshot.streams.events.resolution import EXACT
from upshot.streams.events.withdrawals import Cancelling, read_withdrawal

_FOR_EVER = timedelta(days=1_000_000)
#: Nothing is forgotten, and deadlines are evaluated at once.
_HORIZONS = Horizons(_FOR_EVER, _FOR_EVER, timedelta(0))
_UNKNOWN = Subject()


class RecordedEvent(NamedTuple):
    """An event as a record of its topic."""

    topic: str
    value: bytes
    timestamp: int
    offset: int = 0
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class World:
    """Takes outcomes and waits, and keeps deadlines; gives the events meant for follow-ups."""

    def __init__(self) -> None:
        self._subjects: dict[str, Subject] = {}
        self._offset = 0
        #: The facts stated by the join, in their order.
        self.facts: list[Fact] = []

    def tell(self, event: bytes, now: Micros) -> list[News]:
        """Receive an outcome."""
        record = self._record("outcomes", event, now)
        read = read_outcome(record)
        # The times of a test are exact, with or without zeros at the end.
        outcome = msgspec.structs.replace(as_stored_outcome(read, now, 0, record.offset), width=EXACT)
        return self._take(OutcomeReceived(read.subject, outcome), now)

    def ask(self, wait: bytes, now: Micros) -> list[News]:
        """Receive a follow-up's wait."""
        asking = read_wait(self._record("waits", wait, now))
        return self._take(WaitReceived(asking.subject, as_stored_wait(asking)), now)

    def cancel(self, cancellation: bytes, now: Micros) -> list[News]:
        """Receive the cancellation of a follow-up's wait."""
        read = read_withdrawal(self._record("waits", cancellation, now), now)
        assert isinstance(read, Cancelling)
        emitted = Cancellation(read.at, read.revision)
        return self._take(Cancelled(read.subject, read.wait_id, read.reply_to, emitted), now)

    def judge(self, now: Micros) -> list[News]:
        """Evaluate the passed deadlines."""
        news: list[News] = []
        for key, subject in list(self._subjects.items()):
            step = expire(key, subject, now, now)
            self._subjects[key] = step.subject
            news += self._news(step.facts, now)
        return news

    def next_look(self) -> Micros | None:
        """The time of the next deadline."""
        looks = [next_look(subject, _HORIZONS) for subject in self._subjects.values()]
        return min((look for look in looks if look is not None), default=None)

    def _take(self, arrival: Arrival, now: Micros) -> list[News]:
        step = correlate(self._subjects.get(arrival.subject, _UNKNOWN), arrival, now)
        self._subjects[arrival.subject] = step.subject
        return self._news(step.facts, now)

    def _news(self, facts: Sequence[Fact], now: Micros) -> list[News]:
        self.facts += facts
        resumptions = [encode_resumption(fact) for fact in facts if isinstance(fact, Replied)]
        return [read_resumed(self._record("resumptions", event, now), now) for event in resumptions]

    def _record(self, topic: str, value: bytes, now: Micros) -> RecordedEvent:
        self._offset += 1
        return RecordedEvent(topic, value, now // 1000, self._offset)


__all__ = ["RecordedEvent", "World"]
