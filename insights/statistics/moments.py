"""Sums over units, as ClickHouse adds them up: the only thing that the statistics read of the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Moments:
    """The sums of one variant: y is a unit's value, m its denominator (its runs), x its covariate.

    `n` counts units. A metric without a denominator has m = 1 for each unit; one without a covariate x = 0.
    Two groups of units are added with `+`.
    """

    n: int = 0
    y: float = 0.0
    yy: float = 0.0
    m: float = 0.0
    mm: float = 0.0
    ym: float = 0.0
    x: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    @classmethod
    def of(
        cls,
        values: Iterable[float],
        denominators: Iterable[float] | None = None,
        covariates: Iterable[float] | None = None,
    ) -> Moments:
        """The sums of units given one by one."""
        y = [float(value) for value in values]
        m = [1.0] * len(y) if denominators is None else [float(value) for value in denominators]
        x = [0.0] * len(y) if covariates is None else [float(value) for value in covariates]
        return cls(
            n=len(y),
            y=sum(y),
            yy=sum(value * value for value in y),
            m=sum(m),
            mm=sum(value * value for value in m),
            ym=sum(a * b for a, b in zip(y, m, strict=True)),
            x=sum(x),
            xx=sum(value * value for value in x),
            xy=sum(a * b for a, b in zip(x, y, strict=True)),
        )

    @classmethod
    def of_successes(cls, n: int, successes: int) -> Moments:
        """The sums of n units with a boolean value."""
        return cls(n=n, y=successes, yy=successes, m=n, mm=n, ym=successes)

    def __add__(self, other: Moments) -> Moments:
        return Moments(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def mean(self) -> float:
        """The mean of y over units; needs one unit."""
        return self.y / self.n

    @property
    def variance(self) -> float:
        """The sample variance of y, with n - 1; needs two units."""
        return _variance(self.n, self.y, self.yy)

    @property
    def variance_m(self) -> float:
        """The sample variance of the denominator."""
        return _variance(self.n, self.m, self.mm)

    @property
    def variance_x(self) -> float:
        """The sample variance of the covariate."""
        return _variance(self.n, self.x, self.xx)

    @property
    def covariance_ym(self) -> float:
        """The sample covariance of value and denominator."""
        return _covariance(self.n, self.y, self.m, self.ym)

    @property
    def covariance_xy(self) -> float:
        """The sample covariance of covariate and value."""
        return _covariance(self.n, self.x, self.y, self.xy)


def _variance(n: int, a: float, aa: float) -> float:
    """Rounding can take the difference of large sums slightly below zero; a variance never is."""
    return max(_covariance(n, a, a, aa), 0.0)


def _covariance(n: int, a: float, b: float, ab: float) -> float:
    return (ab - a * b / n) / (n - 1)


__all__ = ["Moments"]
