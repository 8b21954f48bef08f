"""Rules, alerts and notices for the pages: of a score, a window, muted, failing; hostile texts."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tests.browser.story import HOSTILE, Event
from tests.upshot_process import WholeStack
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.kafka.producer import delivered, event_producer

RULE = "pull request not merged"
_KEYS = {"alert-rules": "name", "alerts": "alert_id", "notices": "alert_id"}


def raise_alerts(stack: WholeStack) -> int:
    """Write all of it as the roles do; the number of alerts. The browser's own loop runs in this thread."""
    story = _story(datetime.now(UTC))
    with ThreadPoolExecutor(1) as outside:
        outside.submit(asyncio.run, _send(stack, story)).result()
    return len({each["alert_id"] for each in story["alerts"]})


async def _send(stack: WholeStack, story: dict[str, list[Event]]) -> None:
    async with event_producer(stack.settings) as producer:
        for topic, events in story.items():
            sent = [OutgoingEvent(topic, each[_KEYS[topic]], json.dumps(each).encode()) for each in events]
            await delivered([await producer.send_event(event) for event in sent])


def _story(now: datetime) -> dict[str, list[Event]]:
    ago = [(now - timedelta(minutes=minutes)).isoformat() for minutes in range(200)]
    rules: list[Event] = [
        {"name": RULE, "kind": "score", "score": "merged", "equals": False, "where": {"tier": "pro"},
         "severity": "page", "notify": ["ops", "on-call"], "changed_at": ago[150],
         "changed_by": "rules.yaml"},
        {"name": "fewer merged", "kind": "rate", "score": "merged", "below": 0.6, "min_n": 5, "by": ["agent"],
         "window": "PT1H", "notify": ["ops"], "changed_at": ago[150], "enabled": False},
    ]  # fmt: skip
    alerts = [_alert(number, "firing", ago[number]) for number in range(1, 7)]
    alerts += [_alert(number, "resolved", ago[number - 1], 2) for number in (4, 5)]
    alerts[5]["silent"] = "muted"
    alerts += [
        {"alert_id": "window-1", "name": "fewer merged", "kind": "rate", "state": state, "revision": revision,
         "cause": f"agent=writer/{ago[90]}", "group": {"agent": "writer"}, "value": value, "notify": ["ops"],
         "threshold": "below 0.6", "message": f"merged is {value} over 40 scores", "raised_at": at,
         "detected_at": at}
        for state, revision, value, at in (("firing", 1, 0.41, ago[90]), ("resolved", 2, 0.72, ago[30]))
    ]  # fmt: skip
    notices = [
        _notice(1, "ops", "sent", 1, ago[1], 1),
        _notice(
            2, "ops", "retrying", 1, ago[3], 1, last_status=503, error="answered 503 Service Unavailable"
        ),
        _notice(2, "ops", "failed", 2, ago[2], 2, last_status=410, error="answered 410 Gone"),
        _notice(1, "on-call", "failed", 10, ago[1], 1, last_status=503, error="answered 503"),
        _notice(3, "on-call", "dropped", 0, ago[3], 1, error="the alert changed its state"),
    ]
    for place, text in enumerate(HOSTILE):
        name = f"r{place} {text[:190]}"
        rules.append({"name": name, "kind": "score", "score": text[:200], "below": 0.5,
                      "notify": [text[:200]],
                      "where": {text: text}, "changed_at": ago[5], "changed_by": text})  # fmt: skip
        alerts.append({**_alert(place, "firing", ago[5]), "alert_id": f"h{place} {text}", "name": name,
                       "cause": text, "group": {text: text, "agent": text}, "threshold": text,
                       "message": text, "notify": [text[:200]], "links": text})  # fmt: skip
        notices.append({**_notice(place, text[:200], "failed", 3, ago[4], 1, error=text),
                        "alert_id": f"h{place} {text}", "notice_id": f"hn{place}"})  # fmt: skip
    return {"alert-rules": rules, "alerts": alerts, "notices": notices}


def _alert(number: int, state: str, at: str, revision: int = 1) -> Event:
    return {
        "alert_id": f"alert-{number}", "name": RULE, "kind": "score", "state": state, "revision": revision,
        "cause": f"score-{number}", "severity": "page", "group": {"agent": "writer", "tier": "pro"},
        "run_id": f"run-{number:03d}", "score_id": f"score-{number}", "value": state == "resolved",
        "threshold": "equals false", "message": f"{RULE}: merged is false (agent writer, tier pro)",
        "raised_at": at, "detected_at": at, "notify": ["ops", "on-call"],
    }  # fmt: skip


def _notice(
    number: int, receiver: str, status: str, attempts: int, at: str, revision: int, **more: object
) -> Event:
    return {
        "notice_id": f"notice-{number}-{receiver[:9]}", "alert_id": f"alert-{number}", "name": RULE,
        "receiver": receiver, "receiver_kind": "webhook", "state": "firing", "status": status,
        "attempts": attempts, "raised_at": at, "changed_at": at, "revision": revision, **more,
    }  # fmt: skip


__all__ = ["RULE", "raise_alerts"]
