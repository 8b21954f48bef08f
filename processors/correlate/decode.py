"""Records of the topics `outcomes` and `waits` as arrivals of the join."""

from __future__ import annotations

from typing import assert_never

from upshot.processors.correlate.facts import Arrival, Cancelled, OutcomeReceived, SubjectErased, WaitReceived
from upshot.processors.correlate.state import Cancellation, as_stored_outcome, as_stored_wait
from upshot.streams.events.decode import plain_wait, read_outcome, read_wait
from upshot.streams.events.decoded import DecodedOutcome
from upshot.streams.events.instants import Micros
from upshot.streams.events.records import Record, made_of, place_of
from upshot.streams.events.withdrawals import (
    Cancelling,
    Erasing,
    is_tombstone,
    is_withdrawal,
    read_withdrawal,
)


def arrival_of_wait(record: Record, now: Micros, tolerance: Micros) -> Arrival:
    """A record of the topic `waits`; `tolerance` is that of waits which state none. Raises InvalidEvent."""
    wait = plain_wait(record)
    if wait is None:
        if is_withdrawal(record) and (withdrawn := read_withdrawal(record, now)) is not None:
            return _withdrawn(withdrawn)
        wait = read_wait(record)
    return WaitReceived(wait.subject, as_stored_wait(wait, tolerance))


def _withdrawn(event: Cancelling | Erasing) -> Arrival:
    match event:
        case Cancelling():
            cancellation = Cancellation(event.at, event.revision)
            return Cancelled(event.subject, event.wait_id, event.reply_to, cancellation, _other(event))
        case Erasing():
            return SubjectErased(event.subject, event.at, event.run_id, _other(event))
        case _:
            assert_never(event)


def arrival_of_outcome(record: Record, now: Micros) -> Arrival:
    """A record of the topic `outcomes`. Raises InvalidEvent."""
    if record.value is None and is_tombstone(record) and (withdrawn := read_withdrawal(record, now)):
        return _withdrawn(withdrawn)
    outcome = read_outcome(record)
    if record.headers:
        place = place_of(record)
        known = as_stored_outcome(outcome, now, place.partition, place.offset, place.made)
    else:
        known = as_stored_outcome(outcome, now, record.partition, record.offset, made_of(record))
    subject, spelled = outcome.subject, outcome.spelled
    return OutcomeReceived(subject, known, None if spelled is subject else _other(outcome))


def _other(read: DecodedOutcome | Cancelling | Erasing) -> str | None:
    """The subject as it was spelled, where that isn't the spelling that joins."""
    return read.spelled if read.spelled != read.subject else None


__all__ = ["arrival_of_outcome", "arrival_of_wait"]
