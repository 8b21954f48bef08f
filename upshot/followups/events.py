"""The events expected by a follow-up, and the events received."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from jmespath.exceptions import JMESPathError

from upshot.errors import Misuse
from upshot.processors.followups.execution import AnsweredBy
from upshot.schemas.expressions import ANY_OUTCOME, LEAST_STEPS, OverBudget, compiled
from upshot.schemas.fields import LONGEST_WINDOW
from upshot.streams.events.decoded import Preceding
from upshot.streams.events.instants import MICROSECOND, Micros, instant, micros

_LONGEST_SUBJECT, _LONGEST_TYPE, LONGEST_CONDITION = 512, 200, 500


@dataclass(frozen=True)
class Event:
    """An outcome, as reported. `time` is when the outcome happened."""

    id: str
    type: str
    subject: str
    time: datetime
    source: str = ""
    data: Any = None
    #: Events at the same instant received on the way to this event, each as (type, source, id).
    _received_before: tuple[tuple[str, str, str], ...] = field(default=(), repr=False, compare=False)
    #: Events received on the way to this event, and the event itself, each with the types waited for.
    _after: tuple[tuple[str, Preceding], ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True)
class Expected:
    """Events to wait for; made by `expect`."""

    types: tuple[str, ...]
    subject: str
    when: str | None = None


def expect(type: str | Sequence[str], *, subject: str, when: str | None = None) -> Expected:
    """Events of one type, or of any of several, about `subject`, fulfilling the JMESPath condition `when`.

    `when` looks at the whole event: `data.amount > `100``. Raises Misuse for impossible events.
    """
    types = (type,) if isinstance(type, str) else tuple(type)
    for kind in types:
        if not isinstance(kind, str) or not 0 < len(kind) <= _LONGEST_TYPE:
            raise Misuse(f"{kind!r:.100} is no type of event: write wait_for_event('ticket.reopened', …)")
    if not types:
        raise Misuse("there is no type of event to wait for: write wait_for_event('ticket.reopened', …)")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise Misuse(
            f"{subject!r:.100} is no subject: write subject=f'ticket:{{number}}', the key of the events"
        )
    if when is not None:
        _check_condition(when)
    return Expected(types, subject, when)


@lru_cache(maxsize=1024)
def _check_condition(when: str) -> None:
    if len(when) > LONGEST_CONDITION:
        raise Misuse(
            f"when has {len(when)} characters, {LONGEST_CONDITION} are allowed; look at event.data instead"
        )
    try:
        compiled(when).least_steps(ANY_OUTCOME, LEAST_STEPS)
    except OverBudget as error:
        raise Misuse(f"when={when!r} can't be evaluated, whatever the event says: {error}") from None
    except JMESPathError as error:
        raise Misuse(f"when={when!r} is no JMESPath expression: {error}") from None


def length_of(timeout: timedelta, example: str) -> Micros:
    """The length of a wait or a sleep. Raises Misuse."""
    if not isinstance(timeout, timedelta):
        raise Misuse(f"{timeout!r} has no unit: write {example}")
    if not timedelta(0) < timeout <= LONGEST_WINDOW:
        raise Misuse(f"{timeout!r} isn't longer than zero and at most ten years: write {example}")
    return timeout // MICROSECOND


def beginning_of(since: datetime | Event | None, run_start: Micros) -> Micros:
    """The instant from which events count. Raises Misuse for a datetime without an offset."""
    if since is None:
        return run_start
    if isinstance(since, Event):
        return micros(since.time)
    if not isinstance(since, datetime) or since.tzinfo is None:
        raise Misuse(
            f"since={since!r} is no instant: give an event, or a datetime with an offset (datetime.now(UTC))"
        )
    return micros(since)


def after_of(expected: Expected, since: datetime | Event | None) -> tuple[Preceding, ...]:
    """The events received before about the subject: neither they nor earlier events are received again."""
    if not isinstance(since, Event):
        return ()
    last_answer = [one for subject, one in since._after if subject == expected.subject]
    return tuple(one for one in last_answer if not set(expected.types).isdisjoint(one.types))


def conditions(expected: Expected, since: datetime | Event | None) -> tuple[dict[str, str | None], Micros]:
    """Conditions by type, and the window's delay after `since`, as of versions without an order of events.

    A following event may bear the same instant, since many clocks tick in seconds. So the window begins at
    the event's own time, without the event itself and the events leading to it.
    """
    on: dict[str, str | None] = dict.fromkeys(expected.types, expected.when)
    if not isinstance(since, Event):
        return on, 0
    for kind, source, ident in (*since._received_before, _name_of(since)):
        if kind in on:
            other = f"!(id == {_literal(ident)} && source == {_literal(source)})"
            before = on[kind]
            on[kind] = other if before is None else f"({before}) && {other}"
    if any(when is not None and len(when) > LONGEST_CONDITION for when in on.values()):
        # Ids of hundreds of characters: events at the same instant are then left out, too.
        return dict.fromkeys(expected.types, expected.when), 1
    return on, 0


def event_of(last_answer: AnsweredBy, since: datetime | Event | None, expected: Sequence[Expected]) -> Event:
    """An answer to one of the `expected`, as seen by the code."""
    before: tuple[tuple[str, str, str], ...] = ()
    if isinstance(since, Event) and micros(since.time) == last_answer.time:
        before = (*since._received_before, _name_of(since))
    data = json.loads(bytes(last_answer.data))
    about = (
        last_answer.id,
        last_answer.type,
        last_answer.subject,
        instant(last_answer.time),
        last_answer.source,
    )
    return Event(*about, data, before, _answering_event(last_answer, since, expected))


def _answering_event(
    last_answer: AnsweredBy, since: datetime | Event | None, expected: Sequence[Expected]
) -> tuple[tuple[str, Preceding], ...]:
    """With the events received before; among waits for the same types the last event is enough."""
    about = [one for one in expected if one.subject == last_answer.subject and last_answer.type in one.types]
    types = tuple(sorted({kind for one in about for kind in one.types} or {last_answer.type}))
    this = Preceding(
        types,
        last_answer.time,
        last_answer.id,
        last_answer.source,
        last_answer.sequence,
        last_answer.recorded,
    )
    before = since._after if isinstance(since, Event) else ()
    stored = [
        (subject, one) for subject, one in before if (subject, one.types) != (last_answer.subject, types)
    ]
    return (*stored, (last_answer.subject, this))


def _name_of(event: Event) -> tuple[str, str, str]:
    return event.type, event.source, event.id


def _literal(text: str) -> str:
    return "`" + json.dumps(text).replace("`", "\\u0060") + "`"


__all__ = ["Event", "Expected", "after_of", "beginning_of", "conditions", "event_of", "expect", "length_of"]
