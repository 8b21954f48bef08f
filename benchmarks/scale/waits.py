"""Open waits as the changelog keeps them, made by the join itself once and then numbered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from upshot.processors.correlate.deadlines import Horizons, next_look, open_waits
from upshot.processors.correlate.decide import step
from upshot.processors.correlate.facts import WaitReceived
from upshot.processors.correlate.state import as_stored_wait, encode_subject
from upshot.settings import Settings
from upshot.streams.events.decode import read_wait
from upshot.streams.state import frame

_NUMBER = 888_888_888
_DIGITS = b"888888888"
#: Longer than any deadline is ahead: all were opened in the past.
_AGE = timedelta(days=30)
TYPE = "pr.closed"


def subject(number: int) -> str:
    """The subject of wait `number`; all are equally long."""
    return f"pr:acme/web#{number:09d}"


def wait_event(number: int, deadline: datetime, opened_at: datetime | None = None) -> bytes:
    """Wait `number` in the SDK's form."""
    opened_at = opened_at or datetime.now(UTC)
    within = f"PT{max(1, int((deadline - opened_at).total_seconds()))}S"
    rule = {"on": {TYPE: {"score": "data.merged"}}, "within": within, "else": False}
    event = {
        "wait_id": f"wait-{number:09d}",
        "run_id": f"run-{number:09d}",
        "name": "merged",
        "subject": subject(number),
        "opened_at": opened_at.isoformat(),
        "agent": "reviewer",
        "rule": rule,
        "attributes": {"language": "Python", "repository": "acme/web"},
    }
    return json.dumps(event).encode()


def outcome_event(number: int) -> bytes:
    """The outcome deciding wait `number`."""
    return json.dumps({"type": TYPE, "subject": subject(number), "data": {"merged": True}}).encode()


class OpenWaits:
    """Framed values of open waits with the same deadline."""

    def __init__(self, deadline: datetime, settings: Settings) -> None:
        value = wait_event(_NUMBER, deadline, deadline - _AGE)
        record: Any = SimpleNamespace(
            topic=settings.topic("waits"),
            partition=0,
            offset=0,
            timestamp=int(datetime.now(UTC).timestamp() * 1000),
            key=subject(_NUMBER).encode(),
            value=value,
            headers=(),
        )
        key = subject(_NUMBER)
        known = step(
            {}, [WaitReceived(key, as_stored_wait(read_wait(record)))], record.timestamp * 1000
        ).subjects[key]
        horizons = Horizons(settings.look_back, settings.settled_retention, settings.deadline_grace)
        encoded = encode_subject(known)
        assert encoded is not None
        self._template = frame(encoded, next_look(known, horizons), open_waits(known))

    def value(self, number: int) -> bytes:
        """The changelog's value for wait `number`."""
        return self._template.replace(_DIGITS, b"%09d" % number)


__all__ = ["TYPE", "OpenWaits", "outcome_event", "subject", "wait_event"]
