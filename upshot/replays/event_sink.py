"""Where the events of a replay go: all are looked at, those about the world stay here."""

from __future__ import annotations

import json
from threading import Lock
from typing import Any

from upshot.sdk.replaying import EventSink
from upshot.sdk.sender import Making
from upshot.sdk.transport import OutgoingMessage

#: What a run says of itself. Anything else would tell the world of something that didn't happen.
_OWN = frozenset({"runs", "steps", "scores"})


class ReplayEventSink:
    """Lets through what the runs of a replay say of themselves, unless nothing is to be recorded, and keeps all."""

    def __init__(self, behind: EventSink | None) -> None:
        #: The ids of the replay's runs.
        self.runs: set[str] = set()
        self._behind = behind
        self._lock = Lock()
        self._seen: list[OutgoingMessage] = []

    def fact(self, message: OutgoingMessage) -> None:
        """See Outlet."""
        if self._keep(message) and self._behind is not None:
            self._behind.fact(message)

    def telemetry(self, making: Making, size: int = 0) -> None:
        """See Outlet."""
        message = making()
        if message is not None and self._keep(message) and self._behind is not None:
            self._behind.telemetry(lambda: message, size)

    def events(self, topic: str) -> list[dict[str, Any]]:
        """What the replay's runs said of themselves."""
        with self._lock:
            return [json.loads(m.value) for m in self._seen if m.topic == topic and self._own(m)]

    def withheld(self) -> list[tuple[str, dict[str, Any]]]:
        """What was said of anything else: the topic and the event."""
        with self._lock:
            return [(m.topic, json.loads(m.value)) for m in self._seen if not self._own(m)]

    def _keep(self, message: OutgoingMessage) -> bool:
        with self._lock:
            self._seen.append(message)
        return self._own(message)

    def _own(self, message: OutgoingMessage) -> bool:
        return message.topic in _OWN and message.key in self.runs


__all__ = ["ReplayEventSink"]
