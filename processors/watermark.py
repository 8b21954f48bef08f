"""The instant up to which every written record has been applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from upshot.streams.events.instants import Micros
from upshot.streams.runtime import TP, BatchContext, Unsettled


class Watermark:
    """Answers "up to when have all written records been applied?", so that a backlog can't expire a wait.

    Asked at an instant, the watermark notes where the partitions end, and answers once they are read up to
    there. A record read from the wrong partition goes on to the right partition, behind the noted ends: so
    the watermark reads twice, the second time with the records forwarded on the way.
    """

    def __init__(self, context: BatchContext, now: Callable[[], Micros]) -> None:
        self._context = context
        self._now = now
        self.forget()

    def forget(self) -> None:
        """Begin anew: the partitions have changed."""
        self._asked_at: Micros = 0
        self._ends: Mapping[TP, int] = {}
        self._round = 0

    async def as_of(self) -> Micros | None:
        """The latest instant for which it holds; None while it's still reading up to the one it noted.

        And while a topic isn't what is being read: gone, made anew, or with other partitions. It begins again
        then.
        """
        try:
            return await self._as_of()
        except Unsettled:
            self.forget()
            return None

    async def _as_of(self) -> Micros | None:
        if self._round == 0:
            self._asked_at = self._now()
            await self._note_ends()
        if not self._read_to_the_ends():
            return None
        if self._round == 1:
            await self._note_ends()
            if not self._read_to_the_ends():
                return None
        self._round = 0
        return self._asked_at

    def unread(self) -> Mapping[TP, int]:
        """How many records are to be read up to the noted ends; callable from any thread."""
        ends = self._ends if self._round else {}
        try:
            left = {tp: end - self._context.position(tp) for tp, end in ends.items()}
        except KeyError:  # they are being taken away
            return {}
        return {tp: count for tp, count in left.items() if count > 0}

    async def _note_ends(self) -> None:
        await self._context.flush_outputs()
        self._ends = await self._context.end_offsets(self._context.assignment())
        self._round += 1

    def _read_to_the_ends(self) -> bool:
        return all(self._context.position(tp) >= end for tp, end in self._ends.items())


__all__ = ["Watermark"]
