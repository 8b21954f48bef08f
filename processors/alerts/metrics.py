"""The metrics of the role `alerts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from upshot.schemas.alerts import Alert
from upshot.streams.events.instants import Micros, micros
from upshot.streams.metrics.instruments import Instruments, Measured, watch_dead_letters


class Alerting(Protocol):
    """The part of the role read by the metrics."""

    #: Alerts by rule, state and reason of silence.
    counts: Counter[tuple[str, str, str]]
    #: By reason.
    dead_letters: Counter[str]
    #: Up to when the windows are judged; None without such rules.
    judged_upto: Micros | None

    def rules_in_force(self) -> int:
        """How many rules are judged."""


def watch_alerts(
    instruments: Instruments, role: Alerting, now: Callable[[], Micros]
) -> Callable[[Alert], None]:
    """Measure the role from now on; the result takes each alert that is notified of."""

    def alerts() -> Iterable[Measured]:
        return [(count, *key) for key, count in list(role.counts.items())]

    def behind() -> float | None:
        return None if role.judged_upto is None else (now() - role.judged_upto) / 1e6

    watch_dead_letters(instruments, role.dead_letters)
    delays = instruments.histogram("upshot.alerts.delay")
    instruments.watch("upshot.alerts.raised", alerts)
    instruments.watch_value("upshot.alerts.rules", lambda: float(role.rules_in_force()))
    instruments.watch_value("upshot.alerts.behind", behind)

    def measure(alert: Alert) -> None:
        if alert.detected_at is not None and not alert.silent:
            delays.record((micros(alert.detected_at) - micros(alert.raised_at)) / 1e6)

    return measure


__all__ = ["Alerting", "watch_alerts"]
