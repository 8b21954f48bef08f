"""Instants as whole microseconds since 1970 in UTC: exact, small, and quick to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

Micros = int
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(instant: datetime) -> Micros:
    """An aware datetime as microseconds since 1970."""
    return (instant - EPOCH) // MICROSECOND


def instant(at: Micros) -> datetime:
    """Microseconds since 1970 as a datetime in UTC."""
    return EPOCH + timedelta(0, 0, at)


__all__ = ["EPOCH", "MICROSECOND", "Micros", "instant", "micros"]
