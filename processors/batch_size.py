"""How much of a long piece of work is done at once, so that what else there is doesn't wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

#: Seconds that a slice should take.
AIM = 0.04
#: Keys of the first slice, and of the least and the largest.
FIRST, LEAST, LARGEST = 500, 50, 4_000


class Done:
    """What one slice has done so far."""

    def __init__(self) -> None:
        self.keys = 0


class AdaptiveBatchSize:
    """A number of keys that moves to what takes `AIM`; at most doubled from one slice to the next.

    `with slice.timed() as done:` does one, and tells it in `done.keys` how many keys it was.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.keys = FIRST

    @contextmanager
    def timed(self) -> Iterator[Done]:
        """Time a slice, and learn from it."""
        done, started = Done(), self._clock()
        yield done
        spent = self._clock() - started
        if done.keys >= LEAST:
            fitting = int(done.keys * AIM / spent) if spent > 0 else LARGEST
            self.keys = max(LEAST, min(fitting, 2 * self.keys, LARGEST))


__all__ = ["AIM", "LARGEST", "LEAST", "AdaptiveBatchSize"]
