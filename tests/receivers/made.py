"""Messages and receivers for tests."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from upshot.receivers.configured import Receivers, read_receivers
from upshot.receivers.messages import AlertMessage, AlertSummary
from upshot.settings import Settings

NOON = 1_767_268_800_000_000
SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + b64encode(bytes(range(40, 72))).decode()
ROUTING_KEY = "0123456789abcdef0123456789ABCDEF"


def alert(number: int = 1, **fields: Any) -> AlertSummary:
    known = {
        "alert_id": f"{number:032x}",
        "name": "ticket reopened",
        "state": "firing",
        "raised_at": NOON,
        "message": "Ticket 7 was reopened",
        "group": {"agent": "support", "tier": "paying"},
        "value": False,
        "run_id": "r1",
    }
    return AlertSummary(**{**known, **fields})


def message(**fields: Any) -> AlertMessage:
    summary = alert(**fields)
    return AlertMessage(f"notice-{summary.state}", "alert", (summary,), 1, summary.raised_at)


def digest(count: int, **fields: Any) -> AlertMessage:
    return AlertMessage("digest-1", "digest", tuple(alert(n, **fields) for n in range(count)), count, NOON)


def configured(allow: str = "127.0.0.0/8", **receivers: dict[str, Any]) -> Receivers:
    return read_receivers(settings_of(allow, **receivers))


def settings_of(allow: str = "127.0.0.0/8", **receivers: dict[str, Any]) -> Settings:
    return Settings(receivers=json.dumps(receivers), receiver_allow=allow)  # type: ignore[arg-type]
