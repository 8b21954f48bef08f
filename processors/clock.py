"""The clock of workers; handed to deciding code, which has no clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime

from upshot.streams.events.instants import Micros, micros


def wall_clock() -> Micros:
    """Now, by this machine's clock."""
    return micros(datetime.now(UTC))


__all__ = ["wall_clock"]
