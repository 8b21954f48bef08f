"""The event sink of a replay: keeps every event, and withholds events addressed to other systems."""

from __future__ import annotations

import json
from threading import Lock
from typing import Any

from upshot.sdk.replaying import EventSink
from upshot.sdk.sender import Making
from upshot.streams.events.outgoing import OutgoingEvent

#: The topics with a run's own events. Others would inform other systems of something that never happened.
_OWN = frozenset({"runs", "steps", "scores"})


class ReplayEventSink:
    """Passes on the replay's own events, unless nothing is to be recorded, and keeps all events."""

    def __init__(self, behind: EventSink | None) -> None:
        #: The ids of the replay's runs.
        self.runs: set[str] = set()
        self._behind = behind
        self._lock = Lock()
        self._seen: list[OutgoingEvent] = []

    def fact(self, message: OutgoingEvent) -> None:
        """See EventSink."""
        if self._keep(message) and self._behind is not None:
            self._behind.fact(message)

    def telemetry(self, making: Making, size: int = 0) -> None:
        """See EventSink."""
        message = making()
        if message is not None and self._keep(message) and self._behind is not None:
            self._behind.telemetry(lambda: message, size)

    def events(self, topic: str) -> list[dict[str, Any]]:
        """The events of a topic about the replay's own runs."""
        with self._lock:
            return [json.loads(m.value) for m in self._seen if m.topic == topic and self._own(m)]

    def withheld(self) -> list[tuple[str, dict[str, Any]]]:
        """All other events: the topic and the event."""
        with self._lock:
            return [(m.topic, json.loads(m.value)) for m in self._seen if not self._own(m)]

    def _keep(self, message: OutgoingEvent) -> bool:
        with self._lock:
            self._seen.append(message)
        return self._own(message)

    def _own(self, message: OutgoingEvent) -> bool:
        return message.topic in _OWN and message.key in self.runs


__all__ = ["ReplayEventSink"]
