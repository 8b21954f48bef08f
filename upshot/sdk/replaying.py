"""The SDK's interface to a replay: whether a call is made, and where events go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

from upshot.sdk.scope import Scope
from upshot.sdk.sender import Making
from upshot.streams.events.outgoing import OutgoingEvent

P = ParamSpec("P")
R = TypeVar("R")


class EventSink(Protocol):
    """Takes events: an app's delivery, or the stand-in of the delivery during a replay."""

    def fact(self, message: OutgoingEvent) -> None:
        """Keep a fact and send it. Raises SpoolFull."""

    def telemetry(self, making: Making, size: int = 0) -> None:
        """Send the message made by `making`; drops are allowed."""


class Replaying(Protocol):
    """A replay of a run; see `upshot.replays`. All methods are called in the threads of the agent."""

    @property
    def event_sink(self) -> EventSink:
        """Where the events of the runs and of the code inside them go."""

    @property
    def marks(self) -> Mapping[str, Any]:
        """Further fields of the events of the replay's runs and scores."""

    def entered(self, scope: Scope) -> None:
        """A run or a step began; the code around the scope is still the current place."""

    def variant_of(self, experiment: str) -> str | None:
        """The variant to give: asked for, else recorded; None where the run was not exposed."""

    def stand_in(self, scope: Scope, function: Callable[P, R]) -> Callable[P, R]:
        """The function to call for this scope: `function`, or a function returning the recorded result."""

    def admit(self, scope: Scope) -> None:
        """The code of a `with` is about to run. Raises where the code must not run."""


__all__ = ["EventSink", "Replaying"]
