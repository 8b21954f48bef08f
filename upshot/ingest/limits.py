"""How much one request may hold."""

from __future__ import annotations

#: Events of one request.
MAX_EVENTS = 10_000

__all__ = ["MAX_EVENTS"]
