"""When a failed try is repeated."""

from __future__ import annotations

from upshot.streams.events.instants import Micros

SECOND: Micros = 1_000_000
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
#: The pause before each try; after the last a notice is given up. Three days in all, as Standard Webhooks
#: advises: a receiver that is away over a weekend misses nothing.
PAUSES = (
    0,
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
)
#: A pause is up to so much longer, by the notice's id: many notices don't come back in one moment.
JITTER = 0.1
#: A try that hasn't ended after so long is looked at again: its worker lives, or another one took over.
FIRST_LEASE: Micros = 10 * MINUTE


def next_try(identity: str, attempts: int, wished: float | None, now: Micros) -> Micros | None:
    """When the next try is due after so many failed ones; None where there is none any more.

    `wished` is the receiver's own wish in seconds, if longer.
    """
    if attempts >= len(PAUSES):
        return None
    share = int(identity[:8], 16) / 0xFFFFFFFF if _is_hex(identity[:8]) else 0.5
    pause = int(PAUSES[attempts] * (1 + JITTER * share))
    return now + max(pause, int((wished or 0.0) * SECOND))


def _is_hex(text: str) -> bool:
    return len(text) == 8 and all(c in "0123456789abcdef" for c in text)


__all__ = ["FIRST_LEASE", "HOUR", "JITTER", "MINUTE", "PAUSES", "SECOND", "next_try"]
