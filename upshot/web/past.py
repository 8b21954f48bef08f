"""The last half hour of each part: since when a part is not well, how far behind, how quickly it read."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime

from upshot.ops.health import Health

#: Seconds between two points, and the number of points: half an hour.
APART, _POINTS = 10.0, 180


class PartsPast:
    """Notes look after look. Pure: the times come from outside."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}
        self._lags: dict[str, deque[int]] = {}
        self._rates: dict[str, deque[float]] = {}
        self._read: tuple[float, Mapping[str, int]] | None = None

    def note(self, health: Health, at: datetime, now: float) -> None:
        """A look at an instant; `now` in seconds of a monotonic clock."""
        for part in health.parts:
            if part.ok:
                self._since.pop(part.name, None)
            else:
                self._since.setdefault(part.name, at)
        if self._read is None or now - self._read[0] >= APART:
            self._add_points(health, now)

    def _add_points(self, health: Health, now: float) -> None:
        for part in health.parts:
            if part.lag is not None:
                self._lags.setdefault(part.name, deque(maxlen=_POINTS)).append(part.lag)
        if self._read is not None:
            then, before = self._read
            for name in before.keys() & health.read.keys():
                # Places go back where a topic is made again.
                rate = max(0, health.read[name] - before[name]) / (now - then)
                self._rates.setdefault(name, deque(maxlen=_POINTS)).append(rate)
        self._read = now, health.read

    @property
    def since(self) -> Mapping[str, datetime]:
        """The look that first found each part not well; without the parts that are."""
        return dict(self._since)

    @property
    def lags(self) -> Mapping[str, list[int]]:
        """The records that each worker was behind."""
        return {name: list(points) for name, points in self._lags.items()}

    @property
    def rates(self) -> Mapping[str, list[float]]:
        """The records a second that each worker read, as far as they are committed."""
        return {name: list(points) for name, points in self._rates.items()}


__all__ = ["APART", "PartsPast"]
