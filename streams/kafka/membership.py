"""Whether this worker still belongs to its group: the guard against writing over a successor's state."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Any

log = logging.getLogger(__name__)

#: Of the session timeout; the rest is for the way between the last check and the broker's disk.
FRESH = 0.8
#: A coordinator that is unknown for so many looks is away, not only being found.
LOOKS = 3


class Membership:
    """Knows when the broker last confirmed this member. Lives in the consumer's thread.

    A process stopped, swapped out or cut off for longer than the session timeout may have a successor without
    knowing yet. aiokafka keeps the time of the last heartbeat to itself, so its coordinator's `_do_heartbeat`
    is wrapped to note it.
    """

    def __init__(self, coordinator: Any, session_timeout: float) -> None:
        self._coordinator = coordinator
        self._fresh_for = session_timeout * FRESH
        self._confirmed_at = 0.0
        self._looks_without = 0
        self._beat = coordinator._do_heartbeat
        coordinator._do_heartbeat = self._heartbeat

    @property
    def generation(self) -> int:
        """The group's generation with this member, or -1."""
        generation: int = self._coordinator.generation
        return generation

    def joined(self) -> None:
        """The broker has just taken this member into a new generation."""
        self._confirmed_at = monotonic()

    def is_fresh(self, generation: int) -> bool:
        """Whether no successor to `generation` can exist yet. Needs no request; callable from any thread."""
        return self.generation == generation and monotonic() - self._confirmed_at < self._fresh_for

    async def confirm(self, generation: int) -> bool:
        """Ask the broker until the answer says whether this is still a member of `generation`."""
        while self.generation == generation and not self._coordinator._closing.done():
            await self._coordinator.ensure_coordinator_known()
            if await self._heartbeat():
                return self.generation == generation
            await asyncio.sleep(self._coordinator._retry_backoff_ms / 1000)
        return False

    async def _heartbeat(self) -> bool:
        sent_at = monotonic()
        member: bool = await self._beat()
        if member:
            self._confirmed_at = sent_at
        return member

    def look(self) -> bool:
        """Whether a broker can be reached. Logs when no broker can, and when a broker can again. Called now
        and then.
        """
        if self._coordinator.coordinator_id is None:
            self._looks_without += 1
            if self._looks_without == LOOKS:
                log.warning("Kafka does not answer: trying again, nothing is lost")
        else:
            if self._looks_without >= LOOKS:
                log.warning("Kafka answers again")
            self._looks_without = 0
        return self._looks_without < LOOKS


__all__ = ["Membership"]
