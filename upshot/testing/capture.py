"""The events of an app, caught instead of sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from upshot.registry.definitions import Registry
from upshot.replays.history import Story, story_of
from upshot.schemas.steps import Step
from upshot.sdk.app import App
from upshot.sdk.delivery import Delivery
from upshot.sdk.spool import Spool
from upshot.testing.memory import MemoryTransport

_LIMIT = 1 << 30
_PATIENCE = 30.0


class CapturedStep(dict[str, Any]):
    """A step as sent; the status, and by `[…]` each field left out, being the default, is found too."""

    def get(self, name: str, default: Any = None) -> Any:
        """As in a dict; the status is always there."""
        return self["status"] if name == "status" else super().get(name, default)

    def __missing__(self, name: str) -> Any:
        field = Step.model_fields.get(name)
        if field is None or field.is_required():
            raise KeyError(name)
        return field.get_default(call_default_factory=True)


class Captured:
    """The events of an app, as plain dicts in the order of sending; each look waits until all are sent."""

    def __init__(self, delivery: Delivery, transport: MemoryTransport) -> None:
        self.transport = transport
        self._delivery = delivery

    def events(self, topic: str) -> list[dict[str, Any]]:
        """The events of a topic, by its short name: `runs`, `steps`, `scores`, `waits`, `outcomes`,
        `deferrals`."""
        if self.transport.available and not self._delivery.flush(_PATIENCE):
            raise AssertionError(f"events are still on their way after {_PATIENCE} seconds")
        sent = [message for message in self.transport.messages if message.topic == topic]
        events = [json.loads(message.value) for message in sent]
        return [CapturedStep(event) for event in events] if topic == "steps" else events

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The runs, each merged from its events, the later fact over the earlier."""
        merged: dict[str, dict[str, Any]] = {}
        for event in self.events("runs"):
            merged.setdefault(event["run_id"], {}).update(event)
        return list(merged.values())

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps, in the order in which they ended."""
        return self.events("steps")

    def read(self, run_id: str) -> Story:
        """The record of a run: as the `history` of `upshot.replay`. Raises ReplayRefused."""
        return story_of(run_id, self.events("runs"), self.steps, self.scores, self.exposures)

    @property
    def scores(self) -> list[dict[str, Any]]:
        """The given scores."""
        return self.events("scores")

    @property
    def waits(self) -> list[dict[str, Any]]:
        """The waits."""
        return self.events("waits")

    @property
    def exposures(self) -> list[dict[str, Any]]:
        """The exposures."""
        return self.events("exposures")

    @property
    def outcomes(self) -> list[dict[str, Any]]:
        """The reported outcomes."""
        return self.events("outcomes")

    @property
    def deferrals(self) -> list[dict[str, Any]]:
        """The deferred follow-ups."""
        return self.events("deferrals")


@contextmanager
def capture(app: App, *, clock: Callable[[], int] | None = None) -> Iterator[Captured]:
    """Catch the events sent by `app` inside this `with`: nothing reaches Kafka, nothing is written to disk.

    `clock` is the app's clock for that time, such as a FakeClock.
    """
    transport = MemoryTransport()
    delivery = Delivery(lambda: transport, lambda: Spool(None, _LIMIT))
    before = app.delivery, app.clock, app.registry
    app.delivery, app.clock, app.registry = delivery, clock or app.clock, Registry(None, None)
    try:
        yield Captured(delivery, transport)
    finally:
        app.delivery, app.clock, app.registry = before
        delivery.close(_PATIENCE)


__all__ = ["Captured", "capture"]
