"""The work on a crowded subject: its queue, how far the work is, and when standings are to be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from upshot.processors.correlate.crowded.crowd import Crowd, Strides
from upshot.processors.correlate.crowded.layout import Entry
from upshot.streams.events.instants import Micros

#: Bytes of a standing with its key, about. Standings are written once they're no more than so many times the
#: bytes of the entries weighed since they were written last, or after so many steps.
_STANDING = 120
STANDINGS_PER_ENTRIES = 2
STEPS_WEIGHED_AGAIN = 20_000


class CrowdWork:
    """A crowd with its queue, and the work begun on the crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.queue: deque[tuple[int, Sequence[Entry]]] = deque()
        self.sizes: dict[int, int] = {}
        self.going: Strides | None = None
        #: Whether all segments were read, so that new entries go into the queue; and whether the crowd is
        #: complete.
        self.is_read = self.is_ready = False
        #: Bytes of the entries weighed since the standings were written last, and steps.
        self.entries = self.steps = 0
        self.weight = 0
        self.upto: Micros = 0
        self.now: Micros = 0

    @property
    def stands(self) -> bool:
        """Whether the standings are to be written now."""
        crowd = self.crowd
        if crowd.is_past_repeating or crowd.is_empty or self.steps >= STEPS_WEIGHED_AGAIN:
            return True
        return len(crowd.changed) * _STANDING <= self.entries * STANDINGS_PER_ENTRIES


__all__ = ["STANDINGS_PER_ENTRIES", "STEPS_WEIGHED_AGAIN", "CrowdWork"]
