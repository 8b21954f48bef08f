"""A clock set by a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, 12, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FakeClock:
    """Stands still until `advance`: an app's `clock`, nanoseconds since 1970."""

    def __init__(self, now: datetime = _START) -> None:
        self.now = now

    def __call__(self) -> int:
        return (self.now - _EPOCH) // timedelta(microseconds=1) * 1000

    def advance(self, length: timedelta) -> None:
        """Let time pass."""
        self.now += length


__all__ = ["FakeClock"]
