"""An invented day of a support agent: tickets of many users, answered by two variants of a prompt.

The variant `warm` pleases the judge more, costs more, and has more of its tickets reopened: a team that looks
at the judge's scores would ship the wrong variant. Every number here is made up, and the events say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from upshot.experiments.assignment import Assigned, Assigner
from upshot.experiments.definition import of_record
from upshot.schemas.experiments import Experiment
from upshot.streams.events.outgoing import OutgoingEvent, outgoing

EXPERIMENT, AGENT = "reply-tone", "support"
SOLVED, JUDGE = "stays_solved", "helpful"
WITHIN = timedelta(days=7)
WITHIN_TEXT = f"P{WITHIN.days}D"
TICKETS = 3_000

_FIRST, _LAST = timedelta(days=24), timedelta(days=9)
_INVENTED = {"data": "invented"}


@dataclass(frozen=True)
class Habits:
    """How a variant fares, as the demo invents it."""

    reopened: float
    """The share of its tickets reopened within a week."""
    helpful: float
    """The judge's mean score."""
    cost_usd: float


HABITS = {"plain": Habits(0.24, 0.68, 0.011), "warm": Habits(0.34, 0.76, 0.014)}


@dataclass(frozen=True)
class Ticket:
    """A ticket's events in the order in which they come, and how it ended."""

    variant: str
    is_reopened: bool
    helpful: float
    events: tuple[OutgoingEvent, ...]


def registered(now: datetime) -> Experiment:
    """The experiment, as the registry has it."""
    return Experiment.model_validate(
        {
            "experiment": EXPERIMENT,
            "strategy": "bucket",
            "variants": {"plain": 1, "warm": 1},
            "control": "plain",
            "unit": "user",
            "changed_at": now - _FIRST - timedelta(hours=1),
            "reason": "invented for the demo",
            "planned_units": TICKETS,
            "mde": 0.05,
            "metrics": [
                {"name": SOLVED, "kind": "rate", "role": "decision", "window": WITHIN_TEXT},
                {
                    "name": "cost_usd",
                    "kind": "mean",
                    "role": "guardrail",
                    "better": "lower",
                    "margin": 0.2,
                },
                {"name": JUDGE, "kind": "mean", "role": "exploratory"},
            ],
        }
    )


def experiment_event(experiment: Experiment) -> OutgoingEvent:
    """The record of the registry as an event."""
    return outgoing("experiments", experiment.experiment, experiment)


def tickets(experiment: Experiment, now: datetime, seed: int) -> Iterator[Ticket]:
    """All tickets, the same for each seed."""
    assigner = Assigner(of_record(experiment, "registry"))
    for number in range(TICKETS):
        yield _ticket(number, assigner, now, Random(f"{seed}/{number}"))


def _ticket(number: int, assigner: Assigner, now: datetime, random: Random) -> Ticket:
    given = assigner.assign(f"user-{number}", {})
    if not isinstance(given, Assigned):
        raise TypeError(f"the demo's experiment takes every user, and left one out: {given}")
    habits = HABITS[given.variant]
    began = now - _FIRST + random.random() * (_FIRST - _LAST)
    ended = began + timedelta(seconds=random.uniform(4, 40))
    run, subject = f"ticket-{number}", f"ticket:{number}"
    is_reopened = random.random() < habits.reopened
    helpful = round(min(max(random.gauss(habits.helpful - 0.1 * is_reopened, 0.12), 0.0), 1.0), 2)
    exposure = {"experiment": EXPERIMENT, "variant": given.variant, "phase": given.phase}
    events = [
        _event(
            "runs",
            run,
            agent=AGENT,
            status="completed",
            started_at=_text(began),
            ended_at=_text(ended),
            attributes=_INVENTED | {"plan": random.choice(("free", "pro"))},
        ),
        _event(
            "steps",
            run,
            step_id="reply",
            name="draft reply",
            kind="model",
            status="ok",
            started_at=_text(began),
            ended_at=_text(ended),
            cost_usd=round(habits.cost_usd * random.uniform(0.7, 1.3), 6),
        ),
        _event(
            "exposures",
            run,
            **exposure,
            unit=given.unit,
            strategy=given.strategy,
            probability=given.probability,
            exposed_at=_text(began),
        ),
        _event("scores", run, name=JUDGE, value=helpful, source="judge", decided_at=_text(ended)),
        _event(
            "waits",
            run,
            subject,
            subject=subject,
            name=SOLVED,
            opened_at=_text(ended),
            rule={"on": {"ticket.reopened": {"score": False}}, "within": WITHIN_TEXT, "else": True},
        ),
    ]
    if is_reopened:
        at = ended + timedelta(hours=random.uniform(1, 160))
        events.append(_reopened(subject, at))
    return Ticket(given.variant, is_reopened, helpful, tuple(events))


def _reopened(subject: str, at: datetime) -> OutgoingEvent:
    event = {
        "specversion": "1.0",
        "type": "ticket.reopened",
        "source": "demo",
        "id": f"{subject}-reopened",
        "subject": subject,
        "time": _text(at),
        "data": _INVENTED,
    }
    return OutgoingEvent("outcomes", subject, msgspec.json.encode(event))


def _event(topic: str, run: str, key: str = "", **fields: Any) -> OutgoingEvent:
    return OutgoingEvent(topic, key or run, msgspec.json.encode({"run_id": run} | fields))


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


__all__ = [
    "EXPERIMENT",
    "HABITS",
    "JUDGE",
    "SOLVED",
    "TICKETS",
    "Ticket",
    "experiment_event",
    "registered",
    "tickets",
]
