"""The metrics of the role `alerts`; `declared.py` has all."""

from __future__ import annotations

from upshot.streams.metrics.metric import AGES, Metric

ALERTS = (
    Metric(
        "upshot.alerts.raised",
        "counter",
        "{alert}",
        "States of alerts written, by rule, state and the reason of silence (empty: receivers are notified).",
        ("rule", "state", "silent"),
        when="a rule fired or an alert was resolved",
    ),
    Metric("upshot.alerts.rules", "gauge", "{rule}", "Rules in force.", when="the role is alerts"),
    Metric(
        "upshot.alerts.delay",
        "histogram",
        "s",
        "From the time of an alert's cause to its detection, of alerts that receivers are notified of.",
        (),
        AGES,
        when="a rule fired",
    ),
    Metric(
        "upshot.alerts.behind",
        "gauge",
        "s",
        "Age of the instant up to which rules about windows are judged.",
        when="there are such rules and the partition 0 of `scores` is this worker's",
    ),
)

__all__ = ["ALERTS"]
