"""Checking events before they are sent, by the very decoding of the processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import time
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel

from upshot.errors import InvalidEvent
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.schemas.deferrals import Deferral
from upshot.schemas.experiments import Experiment
from upshot.schemas.exposures import Exposure
from upshot.schemas.outcomes import Outcome
from upshot.schemas.runs import Run
from upshot.schemas.scores import Score
from upshot.schemas.steps import Step
from upshot.schemas.waits import Wait
from upshot.schemas.withdrawals import WaitCancellation
from upshot.streams.events.decode import read_outcome
from upshot.streams.events.outgoing import Headers, OutgoingEvent
from upshot.streams.events.reading import InputEvent
from upshot.streams.events.records import decode, decode_deferral, decode_score, decode_wait, place_of
from upshot.streams.events.topics import Topic


class Unsent(NamedTuple):
    """A record as the processors would see a sent record."""

    value: bytes
    timestamp: int
    topic: str
    headers: Headers = ()
    key: bytes | None = None
    # Nowhere: what a place is made into, such as an outcome's id, is told apart from what was said.
    partition: int = -1
    offset: int = -1


class Refusal(NamedTuple):
    """Why an event would be dead-lettered."""

    where: str
    reason: str
    detail: str


#: What tells the events of a kind apart.
_IDENTITIES: Mapping[type[BaseModel], Callable[[Any], str]] = MappingProxyType(
    {
        Run: lambda event: event.run_id,
        Step: lambda event: event.step_id,
        Wait: lambda event: event.wait_id,
        WaitCancellation: lambda event: event.identity,
        Exposure: lambda event: event.identity,
        Score: lambda event: event.identity,
        Deferral: lambda event: event.identity,
        Alert: lambda event: event.alert_id,
        AlertRule: lambda event: event.name,
        Experiment: lambda event: event.experiment,
    }
)


def now_ms() -> int:
    """Now, as Kafka stamps records."""
    return int(time() * 1000)


def check(topic: Topic, value: bytes, headers: Headers = (), at: int | None = None) -> OutgoingEvent:
    """The event in `value`, ready to be sent to `topic`. Raises InvalidEvent for an event to be
    dead-lettered.
    """
    record = Unsent(value, now_ms() if at is None else at, topic.name, headers)
    if topic.schema is Outcome:
        seen = read_outcome(record)
        states_id = seen.id != place_of(record).ident
        return OutgoingEvent(topic.name, seen.spelled, value, headers, seen.id if states_id else None)
    event = _decoded(topic, record)
    identity = _IDENTITIES.get(type(event))
    key = str(getattr(event, topic.key)) if topic.key else ""
    return OutgoingEvent(topic.name, key, value, headers, identity(event) if identity else None)


def check_all(topic: Topic, entries: Iterable[InputEvent]) -> tuple[list[OutgoingEvent], list[Refusal]]:
    """The sendable part of `entries`, and the part to be dead-lettered."""
    taken: list[OutgoingEvent] = []
    refused: list[Refusal] = []
    at = now_ms()
    for entry in entries:
        try:
            taken.append(check(topic, entry.value, entry.headers, at))
        except InvalidEvent as error:
            refused.append(Refusal(entry.where, error.reason, error.detail))
    return taken, refused


def _decoded(topic: Topic, record: Unsent) -> BaseModel:
    if topic.schema is Wait:
        return decode_wait(record)
    if topic.schema is Deferral:
        return decode_deferral(record)
    if topic.schema is Score:
        return decode_score(record)
    return decode(topic.schema, record)


__all__ = ["Headers", "Refusal", "Unsent", "check", "check_all", "now_ms"]
