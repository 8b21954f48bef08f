"""A message about alerts as plain data, and its words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from upshot.streams.events.instants import Micros, instant

AlertState = Literal["firing", "resolved"]
MessageKind = Literal["alert", "digest", "test"]

_LONGEST_TEXT = 2_000
_LONGEST_LABEL = 200
_MOST_LABELS = 32


class AlertSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """One alert, as receivers see it. Texts are cut: a message must fit its receiver."""

    alert_id: str
    name: str
    state: AlertState
    raised_at: Micros
    kind: str = "score"
    severity: str = "warning"
    revision: int = 1
    message: str = ""
    threshold: str = ""
    group: Mapping[str, str] = {}
    cause: str = ""
    value: bool | float | None = None
    run_id: str | None = None
    score_id: str | None = None
    link: str | None = None


class AlertMessage(msgspec.Struct, frozen=True):
    """What one notice tells a receiver: an alert's state, or a digest of alerts.

    `count` is the number of all alerts; `alerts` lists the first of them.
    """

    notice_id: str
    kind: MessageKind
    alerts: tuple[AlertSummary, ...]
    count: int
    #: The instant of the state, or of the digest.
    at: Micros

    @property
    def first(self) -> AlertSummary:
        """The alert, or a digest's first."""
        return self.alerts[0]

    @property
    def state(self) -> AlertState:
        """`resolved` where every listed alert is."""
        return "resolved" if all(alert.state == "resolved" for alert in self.alerts) else "firing"

    def with_alerts(self, most: int) -> AlertMessage:
        """The same message, listing fewer alerts."""
        return msgspec.structs.replace(self, alerts=self.alerts[:most])


def cut(text: str, most: int = _LONGEST_TEXT) -> str:
    """The text, shortened where it has more characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def cut_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The first labels, with short names and values."""
    shown = list(labels.items())[:_MOST_LABELS]
    return {cut(name, _LONGEST_LABEL): cut(value, _LONGEST_LABEL) for name, value in shown}


def rfc3339(at: Micros) -> str:
    """The instant as text."""
    return instant(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def title(message: AlertMessage) -> str:
    """The message in one line."""
    if message.kind == "test":
        return "Test notice: this receiver is set up for alerts of Upshot"
    if message.kind == "digest":
        names = sorted({alert.name for alert in message.alerts})
        return one_line(f"{message.count} alerts: {', '.join(names)}", 300)
    return headline(message.first)


def headline(alert: AlertSummary) -> str:
    """An alert in one line."""
    labels = ", ".join(f"{name}={value}" for name, value in alert.group.items())
    about = alert.message or alert.threshold or alert.run_id or alert.cause
    parts = (f"[{alert.state.upper()}] {alert.name}", f" ({labels})" if labels else "")
    return one_line("".join(parts) + (f": {about}" if about else ""), 500)


def details(alert: AlertSummary) -> list[tuple[str, str]]:
    """An alert's known facts, each with its name."""
    value = None if alert.value is None else str(alert.value).lower()
    facts = {
        "state": alert.state,
        "severity": alert.severity,
        "since": rfc3339(alert.raised_at),
        "value": value,
        "threshold": alert.threshold,
        "run": alert.run_id,
        "score": alert.score_id,
        **alert.group,
        "alert": alert.alert_id,
        "page": alert.link,
    }
    return [(name, cut(fact, 500)) for name, fact in facts.items() if fact]


def plain_body(message: AlertMessage) -> str:
    """The message as plain text of several lines."""
    if message.kind == "alert":
        alert = message.first
        lines = [headline(alert), "", *(f"{name}: {fact}" for name, fact in details(alert))]
        return "\n".join([*lines, "", cut(alert.message)] if alert.message else lines)
    lines = [title(message), ""]
    if message.kind == "digest":
        lines += [headline(alert) + (f" {alert.link}" if alert.link else "") for alert in message.alerts]
        if (further := message.count - len(message.alerts)) > 0:
            lines.append(f"… and {further} more: upshot alerts notices {message.notice_id}")
    return "\n".join(lines)


def one_line(text: str, most: int) -> str:
    """The text without breaks and control characters, shortened."""
    return cut(" ".join("".join(c if c.isprintable() else " " for c in text).split()), most)


def trial_message(notice_id: str, at: Micros) -> AlertMessage:
    """A message that trying a receiver sends."""
    alert = AlertSummary(
        notice_id, "test", "resolved", at, severity="info", message="A test notice: nothing is wrong."
    )
    return AlertMessage(notice_id, "test", (alert,), 1, at)


__all__ = [
    "AlertMessage",
    "AlertState",
    "AlertSummary",
    "MessageKind",
    "cut",
    "cut_labels",
    "details",
    "headline",
    "one_line",
    "plain_body",
    "rfc3339",
    "title",
    "trial_message",
]
