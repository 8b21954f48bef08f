"""One-sided bounds of a mean, and of the difference of two, at one look.

Shares get Wilson's score bound, which holds for few units and for shares of 0 and 1; other means get the
normal bound. The difference follows Newcombe's method 10 (Statistics in Medicine 17, 1998), which for the
normal bound is Welch's.
"""

from __future__ import annotations

from math import inf, sqrt
from statistics import NormalDist
from typing import NamedTuple


class Sums(NamedTuple):
    """The number of values, their sum, and the sum of their squares."""

    n: int
    y: float
    yy: float

    @property
    def mean(self) -> float:
        """Needs a value."""
        return self.y / self.n


def bounds(sums: Sums, sure: float) -> tuple[float, float]:
    """The lower and the upper bound of the mean, each exceeded with this confidence."""
    if sums.n == 0:
        return -inf, inf
    z = NormalDist().inv_cdf(sure)
    return _wilson(sums, z) if _is_share(sums) else _normal(sums, z)


def drop_of(earlier: Sums, now: Sums, sure: float) -> float:
    """The lower bound of the earlier mean less the mean of now."""
    if not earlier.n or not now.n:
        return -inf
    low, high = bounds(earlier, sure)[0], bounds(now, sure)[1]
    return earlier.mean - now.mean - sqrt((earlier.mean - low) ** 2 + (high - now.mean) ** 2)


def _is_share(sums: Sums) -> bool:
    """Whether all values are 0 or 1: no other values between the two have such squares."""
    return sums.y == sums.yy and 0 <= sums.y <= sums.n and float(sums.y).is_integer()


def _wilson(sums: Sums, z: float) -> tuple[float, float]:
    n, share = sums.n, sums.mean
    middle = share + z * z / (2 * n)
    width = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale)


def _normal(sums: Sums, z: float) -> tuple[float, float]:
    if sums.n < 2:
        return -inf, inf
    variance = max(0.0, (sums.yy - sums.y * sums.y / sums.n) / (sums.n - 1))
    width = z * sqrt(variance / sums.n)
    return sums.mean - width, sums.mean + width


__all__ = ["Sums", "bounds", "drop_of"]
