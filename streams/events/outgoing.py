"""An event to send, from where the event is made to the producer: one type for every way in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel

Headers = Sequence[tuple[str, bytes]]


class OutgoingEvent(NamedTuple):
    """A record to send: the short name of its topic, its key, and its JSON.

    `event_id` is the event's id where known: an outcome stating none gets its id from its place.
    """

    topic: str
    key: str | None
    value: bytes
    headers: Headers = ()
    event_id: str | None = None

    @property
    def key_bytes(self) -> bytes | None:
        """The key as Kafka has it."""
        return None if self.key is None else self.key.encode()


def outgoing(topic: str, key: str, event: BaseModel) -> OutgoingEvent:
    """The event with its stated fields only, as JSON."""
    return OutgoingEvent(topic, key, event.model_dump_json(exclude_unset=True).encode())


__all__ = ["Headers", "OutgoingEvent", "outgoing"]
