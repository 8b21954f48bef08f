"""What the SDK asks where a run is made again: whether a call is made, and where its events go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, Protocol, TypeVar

from upshot.sdk.scope import Scope
from upshot.sdk.sender import Making
from upshot.sdk.transport import OutgoingMessage

P = ParamSpec("P")
R = TypeVar("R")


class EventSink(Protocol):
    """Takes events: an app's delivery, or what stands before it while a run is made again."""

    def fact(self, message: OutgoingMessage) -> None:
        """Keep a fact and send it. Raises SpoolFull."""

    def telemetry(self, making: Making, size: int = 0) -> None:
        """Send what `making` gives; it may be dropped."""


class Replaying(Protocol):
    """A run that is made again; see `upshot.replays`. All of it is called in the threads of the agent."""

    @property
    def event_sink(self) -> EventSink:
        """Where the events of the runs and of the code inside them go."""

    @property
    def marks(self) -> Mapping[str, Any]:
        """What the events of its runs and scores say besides."""

    def entered(self, scope: Scope) -> None:
        """A run or a step began; the code around it is still the current place."""

    def stand_in(self, scope: Scope, function: Callable[P, R]) -> Callable[P, R]:
        """What is called instead of the function of this scope: itself, or one that gives what is recorded."""

    def admit(self, scope: Scope) -> None:
        """The code of a `with` is about to run. Raises where it must not."""


__all__ = ["EventSink", "Replaying"]
