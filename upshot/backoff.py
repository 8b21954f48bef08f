"""Pauses between tries: doubled after each failure, up to the longest."""

from __future__ import annotations

from typing import TypeVar

N = TypeVar("N", int, float)

#: More doublings than any longest pause needs; keeps the numbers small.
_MOST_DOUBLINGS = 40


def pause_after(failures: int, first: N, longest: N) -> N:
    """The pause after so many failures in a row before this one, in the unit of `first` and `longest`."""
    return min(first * (1 << min(failures, _MOST_DOUBLINGS)), longest)


class Backoff:
    """The pauses of one loop of tries, in seconds."""

    def __init__(self, first: float, longest: float) -> None:
        self.first = first
        self.longest = longest
        self._failures = 0

    def pause(self) -> float:
        """The pause before the next try, after one more failure."""
        self._failures += 1
        return pause_after(self._failures - 1, self.first, self.longest)

    def reset(self) -> None:
        """The next pause is the first again."""
        self._failures = 0


__all__ = ["Backoff", "pause_after"]
