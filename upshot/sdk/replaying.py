"""The SDK's interface to a replay: whether a call is made, and where events go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from upshot.sdk.scope import CallReplay
from upshot.sdk.sender import Making
from upshot.streams.events.outgoing import OutgoingEvent


class EventSink(Protocol):
    """Takes events: an app's delivery, or the stand-in of the delivery during a replay."""

    def fact(self, message: OutgoingEvent) -> None:
        """Keep a fact and send it. Raises SpoolFull."""

    def telemetry(self, making: Making, size: int = 0) -> None:
        """Send the message made by `making`; drops are allowed."""


class Replaying(CallReplay, Protocol):
    """A replay of a run; see `upshot.replays`. All methods are called in the threads of the agent."""

    @property
    def event_sink(self) -> EventSink:
        """Where the events of the runs and of the code inside them go."""

    @property
    def marks(self) -> Mapping[str, Any]:
        """Further fields of the events of the replay's runs and scores."""

    def variant_of(self, experiment: str) -> str | None:
        """The variant to give: asked for, else recorded; None where the run was not exposed."""


__all__ = ["EventSink", "Replaying"]
