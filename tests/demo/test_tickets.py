"""The demo's invented tickets: the same for each seed, and events of the contract."""

from __future__ import annotations

from datetime import UTC, datetime

from upshot.demo.tickets import HABITS, experiment_event, registered, tickets
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_seed_gives_the_same_tickets() -> None:
    experiment = registered(NOW)
    first, again, other = (list(tickets(experiment, NOW, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [ticket.variant for ticket in first] == [ticket.variant for ticket in other]


def test_the_variants_fare_as_they_are_invented() -> None:
    played = list(tickets(registered(NOW), NOW, 1))
    for name, habits in HABITS.items():
        own = [ticket for ticket in played if ticket.variant == name]
        assert abs(len(own) / len(played) - 0.5) < 0.05
        assert abs(sum(ticket.is_reopened for ticket in own) / len(own) - habits.reopened) < 0.05


def valid(event: OutgoingEvent) -> bool:
    model = TOPICS[event.topic].schema
    return model is not None and model.model_validate_json(event.value) is not None


def test_every_event_is_one_of_the_contract() -> None:
    experiment = registered(NOW)
    assert valid(experiment_event(experiment))
    for ticket in list(tickets(experiment, NOW, 1))[:50]:
        assert all(valid(event) for event in ticket.events if event.topic != "outcomes")
        assert all(b"invented" in each.value for each in ticket.events if each.topic in ("runs", "outcomes"))
