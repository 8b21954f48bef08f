"""How much of a long piece of work is done at once, so that other work needn't wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

#: Seconds that a slice should take.
AIM = 0.04
#: Keys of the first slice, and of the least and the largest.
FIRST, LEAST, LARGEST = 500, 50, 4_000


class Done:
    """The work done so far by one slice."""

    def __init__(self) -> None:
        self.keys = 0


class AdaptiveBatchSize:
    """A number of keys, adapted to take `AIM`; at most doubled from one slice to the next.

    `with slice.timed() as done:` runs one slice, and reports its number of keys in `done.keys`.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.keys = FIRST

    @contextmanager
    def timed(self) -> Iterator[Done]:
        """Time a slice, and learn from the result."""
        done, started = Done(), self._clock()
        yield done
        spent = self._clock() - started
        if done.keys >= LEAST:
            fitting = int(done.keys * AIM / spent) if spent > 0 else LARGEST
            self.keys = max(LEAST, min(fitting, 2 * self.keys, LARGEST))


__all__ = ["AIM", "LARGEST", "LEAST", "AdaptiveBatchSize"]
