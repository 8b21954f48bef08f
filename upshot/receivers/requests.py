"""The HTTP request of a message, for each kind of receiver. Pure: now is passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec
from standardwebhooks import Webhook

from upshot.receivers.kinds import (
    AlertmanagerSettings,
    HttpReceiverSettings,
    PagerDutySettings,
    SlackSettings,
    WebhookSettings,
)
from upshot.receivers.messages import AlertMessage, AlertSummary, cut, details, headline, rfc3339, title
from upshot.streams.events.instants import instant

#: The largest body of a webhook, a little under the 20 KB of Standard Webhooks.
MAX_BODY_BYTES = 19_500
_LONGEST_DEDUP_KEY = 255
_LONGEST_SUMMARY = 1_024
_LONGEST_SECTION = 2_900
_MOST_SECTIONS = 20
#: Alertmanager takes labels of these names for its own.
_OWN_LABELS = frozenset({"alertname", "alert_id", "severity", "kind"})
_SEVERITIES = {"page": "critical", "warning": "warning", "info": "info"}


@dataclass(frozen=True)
class HttpRequest:
    """A POST to send."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def webhook_request(receiver: WebhookSettings, message: AlertMessage, now: datetime) -> HttpRequest:
    """Standard Webhooks: the same id and body at every try, signed by each secret at this moment."""
    body = webhook_body(message)
    at = now.astimezone(UTC)
    signed = (
        Webhook(secret.get_secret_value()).sign(message.notice_id, at, body.decode())
        for secret in receiver.secret
    )
    headers = {
        "content-type": "application/json",
        "webhook-id": message.notice_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signed),
    }
    return HttpRequest(receiver.address, headers, body)


def webhook_body(message: AlertMessage) -> bytes:
    """`{type, timestamp, data}` as JSON, of less than 20 KB: long digests list fewer alerts."""
    return _fitting(message, _webhook_body)


def _webhook_body(message: AlertMessage) -> bytes:
    data: dict[str, Any] = {"notice_id": message.notice_id, "count": message.count}
    if message.kind == "digest":
        data["alerts"] = [_shown(alert) for alert in message.alerts]
        kind = "upshot.alerts.digest"
    else:
        data |= _shown(message.first)
        kind = "upshot.alert.test" if message.kind == "test" else f"upshot.alert.{message.first.state}"
    return msgspec.json.encode({"type": kind, "timestamp": rfc3339(message.at), "data": data})


def _shown(alert: AlertSummary) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(alert)
    return {**fields, "severity": alert.severity, "kind": alert.kind, "raised_at": rfc3339(alert.raised_at)}


def _fitting(message: AlertMessage, encode: Callable[[AlertMessage], bytes]) -> bytes:
    """The encoded message, with fewer alerts and shorter texts until it fits."""
    body = encode(message)
    most = len(message.alerts)
    while len(body) > MAX_BODY_BYTES and most > 1:
        most = max(1, most // 2)
        body = encode(message.with_alerts(most))
    longest = 2_000
    while len(body) > MAX_BODY_BYTES and longest > 0:
        longest //= 2
        body = encode(msgspec.structs.replace(message, alerts=(_shortened(message.first, longest),)))
    return body


def _shortened(alert: AlertSummary, most: int) -> AlertSummary:
    """An alert whose free texts have this many characters at the most. Its ids stay as they are."""
    return msgspec.structs.replace(
        alert,
        message=cut(alert.message, most) if most else "",
        threshold=cut(alert.threshold, most) if most else "",
        group={cut(name, most): cut(value, most) for name, value in alert.group.items()} if most else {},
        link=alert.link if alert.link and len(alert.link) <= most else None,
    )


def slack_request(receiver: SlackSettings, message: AlertMessage, now: datetime) -> HttpRequest:
    """Text for notifications, and blocks. A resolved alert is a new message."""
    sections = [f"*{_mrkdwn(title(message))}*"]
    if message.kind == "alert":
        alert = message.first
        sections.append("\n".join(f"*{_mrkdwn(name)}:* {_mrkdwn(fact)}" for name, fact in details(alert)))
        if alert.message:
            sections.append(_mrkdwn(alert.message))
    elif message.kind == "digest":
        sections += [_mrkdwn(headline(alert)) for alert in message.alerts[:_MOST_SECTIONS]]
        if (further := message.count - min(len(message.alerts), _MOST_SECTIONS)) > 0:
            sections.append(f"… and {further} more")
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": cut(section, _LONGEST_SECTION)}}
        for section in sections
        if section
    ]
    return _json(receiver.address, {"text": _mrkdwn(title(message)), "blocks": blocks})


def _mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pagerduty_request(receiver: PagerDutySettings, message: AlertMessage, now: datetime) -> HttpRequest:
    """An event of the Events API v2: an alert is an incident of its own, a digest is one incident."""
    alert = message.first
    single = message.kind != "digest"
    action = "resolve" if single and message.state == "resolved" else "trigger"
    severities = [_SEVERITIES.get(alert.severity, "warning") for alert in message.alerts]
    event: dict[str, Any] = {
        "routing_key": receiver.routing_key.get_secret_value(),
        "event_action": action,
        "dedup_key": dedup_key(alert.alert_id if single else message.notice_id),
        "client": "Upshot",
        "payload": {
            "summary": cut(title(message), _LONGEST_SUMMARY),
            "source": alert.group.get("agent", "upshot"),
            "severity": min(severities, key=list(_SEVERITIES.values()).index),
            "timestamp": rfc3339(message.at),
            "class": alert.name,
            "custom_details": {**dict(details(alert)), "notice": message.notice_id, "count": message.count},
        },
    }
    if alert.link:
        event["client_url"] = alert.link
    return _json(receiver.url.get_secret_value(), event)


def dedup_key(identity: str) -> str:
    """An id that PagerDuty takes: a longer one is hashed."""
    if len(identity) <= _LONGEST_DEDUP_KEY:
        return identity
    return blake2b(identity.encode("utf-8", "replace"), digest_size=16).hexdigest()


def alertmanager_request(receiver: AlertmanagerSettings, message: AlertMessage, now: datetime) -> HttpRequest:
    """All alerts of the message. A firing one ends far away, a resolved one in the past.

    Without an end, Alertmanager would take an alert for resolved after minutes.
    """
    alerts = [_alertmanager_alert(receiver, alert, now) for alert in message.alerts]
    headers = {"authorization": f"Bearer {receiver.token.get_secret_value()}"} if receiver.token else {}
    return _json(receiver.address.partition("#")[0].rstrip("/") + "/api/v2/alerts", alerts, headers)


def _alertmanager_alert(receiver: AlertmanagerSettings, alert: AlertSummary, now: datetime) -> dict[str, Any]:
    at = min(instant(alert.raised_at), now)
    labels = {_label(name): value for name, value in alert.group.items() if value}
    shown: dict[str, Any] = {
        "labels": {
            **{name: value for name, value in labels.items() if name not in _OWN_LABELS},
            "alertname": alert.name,
            "alert_id": alert.alert_id,
            "kind": alert.kind,
            "severity": alert.severity,
        },
        "annotations": {"summary": headline(alert), "description": alert.message, **_facts(alert)},
    }
    if alert.state == "resolved":
        shown["endsAt"] = at.isoformat()
    else:
        shown["startsAt"] = at.isoformat()
        shown["endsAt"] = (now + timedelta(days=receiver.ends_after_days)).isoformat()
    if alert.link:
        shown["generatorURL"] = alert.link
    return shown


def _facts(alert: AlertSummary) -> dict[str, str]:
    return {f"upshot_{name}": fact for name, fact in details(alert) if name in ("value", "run", "score")}


def _label(name: str) -> str:
    """A label's name as Prometheus takes it."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain


def _json(url: str, body: Any, headers: Mapping[str, str] | None = None) -> HttpRequest:
    return HttpRequest(
        url, {"content-type": "application/json", **(headers or {})}, msgspec.json.encode(body)
    )


def http_request(receiver: HttpReceiverSettings, message: AlertMessage, now: datetime) -> HttpRequest:
    """The request for a receiver of any kind."""
    match receiver:
        case WebhookSettings():
            return webhook_request(receiver, message, now)
        case SlackSettings():
            return slack_request(receiver, message, now)
        case PagerDutySettings():
            return pagerduty_request(receiver, message, now)
        case AlertmanagerSettings():
            return alertmanager_request(receiver, message, now)
        case _:
            raise TypeError(f"{type(receiver).__name__} is no receiver over HTTP")


__all__ = [
    "MAX_BODY_BYTES",
    "HttpRequest",
    "alertmanager_request",
    "dedup_key",
    "http_request",
    "pagerduty_request",
    "slack_request",
    "webhook_body",
    "webhook_request",
]
