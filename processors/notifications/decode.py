"""Records of `alerts` and `notice-requests`, decoded."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from upshot.errors import InvalidEvent
from upshot.processors.notifications.state import AlertUpdate, RequestPlace
from upshot.receivers.messages import AlertSummary, cut, cut_labels
from upshot.schemas.alerts import Alert
from upshot.schemas.notices import NoticeRequest
from upshot.streams.events.instants import Micros, micros
from upshot.streams.events.records import Record, decode, place_of
from upshot.streams.events.topics import MAX_EVENT_BYTES
from upshot.streams.runtime import Output

#: A larger request is not stored beside its notice: a dead letter of it names its place alone.
MOST_ORIGINAL_BYTES = 16 * 1024
#: What a request says besides its alert.
MAX_REQUEST_BYTES = MAX_EVENT_BYTES + 65_536
#: Seconds that notices are gathered for at the most.
LONGEST_INTERVAL = 30 * 86_400.0
#: Receivers of one alert at the most; more are a mistake.
MOST_RECEIVERS = 50

#: A larger cap is none.
_MOST_CAP = 2**31

_encode = msgspec.json.Encoder().encode


def read_alert(record: Record) -> Alert:
    """The alert in a record. Raises InvalidEvent."""
    return decode(Alert, record)


def requests_of(alert: Alert, record: Record, topic: str) -> Sequence[Output]:
    """A request for each receiver of an alert, with the alert's bytes as they are.

    Raises InvalidEvent for an alert with too many receivers.
    """
    receivers = list(dict.fromkeys(alert.notify))
    if len(receivers) > MOST_RECEIVERS:
        stated = f"notify: names {len(receivers)} receivers, at most {MOST_RECEIVERS} are notified"
        raise InvalidEvent("invalid_value", f"{stated}; nobody was: name fewer, or a receiver of several")
    return [
        Output(
            topic,
            None,
            receiver.encode(),
            b'{"receiver":%b,"alert":%b}' % (_encode(receiver), record.value or b""),
        )
        for receiver in receivers
    ]


def read_request(record: Record, now: Micros) -> AlertUpdate:
    """A request as a state of its alert. Raises InvalidEvent."""
    request = decode(NoticeRequest, record, MAX_REQUEST_BYTES)
    alert, value, place = request.alert, record.value or b"", place_of(record)
    return AlertUpdate(
        request.receiver,
        summary_of(alert),
        alert.silent,
        _interval(alert.digest_seconds),
        _interval(alert.cooldown_seconds),
        RequestPlace(place.partition, place.offset, record.timestamp, place.made),
        value if len(value) <= MOST_ORIGINAL_BYTES else b"",
        min(alert.cap_per_hour or 0, _MOST_CAP),
        request.retry or "",
    )


def _interval(seconds: float | None) -> Micros:
    return int(min(seconds or 0.0, LONGEST_INTERVAL) * 1_000_000)


def summary_of(alert: Alert) -> AlertSummary:
    """An alert as receivers see it."""
    return AlertSummary(
        alert_id=alert.alert_id,
        name=alert.name,
        state=alert.state,
        raised_at=micros(alert.raised_at),
        kind=alert.kind,
        severity=alert.severity,
        revision=alert.revision,
        message=cut(alert.message),
        threshold=cut(alert.threshold),
        group=cut_labels(alert.group),
        cause=cut(alert.cause),
        value=alert.value,
        run_id=alert.run_id,
        score_id=alert.score_id,
        link=alert.links if alert.links and len(alert.links) <= 2_000 else None,
    )


__all__ = [
    "MAX_REQUEST_BYTES",
    "MOST_ORIGINAL_BYTES",
    "read_alert",
    "read_request",
    "requests_of",
    "summary_of",
]
