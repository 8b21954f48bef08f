"""`/alerts` and `/alerts/{id}`: what fired, why, who was notified of it; failed notices tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from upshot.ingest.answers import Problem
from upshot.ingest.sending import IngestProducer
from upshot.insights.alerts.retries import retry_requests
from upshot.insights.pages import alerts as stored
from upshot.insights.pages.alert_rules import rule_row
from upshot.insights.pages.query import Row, Slice
from upshot.registry.notice_requests import request_event
from upshot.schemas.alert_rules import AlertRule
from upshot.web.actions import confirmed_reason, log_action
from upshot.web.formats import instant_of
from upshot.web.parameters import place
from upshot.web.site import PageRequest
from upshot.web.views import View

_SCREEN = 100
#: Firing alerts before a list that is longer than a screen.
_FIRING = 20
#: Kinds of rules judging a window that ends at the state's instant.
_OF_WINDOWS = ("rate", "silence")


async def alerts(asked: PageRequest) -> View:
    """The list, firing alerts first, then the latest change."""
    wanted = stored.AlertFilter(
        state=asked.query.choice("state", tuple(stored.ALERT_STATES), "all"),
        rule=asked.query.text("rule"),
        subject=asked.query.text("subject"),
        since=asked.query.instant("since"),
        until=asked.query.instant("until"),
        after=asked.query.after(),
    )
    query = stored.alerts_query(wanted)
    firing = stored.alerts_query(replace(wanted, state="firing"))
    is_start = wanted.state == "all" and not wanted.after
    found, counts, rules = await asyncio.gather(
        asked.read(query.first, asked.reader, _SCREEN),
        asked.rows(stored.alert_counts(wanted)),
        asked.rows(stored.ALERTING_RULES),
    )
    first = await asked.read(firing.first, asked.reader, _FIRING) if is_start and found.more else Slice([])
    last = found.rows[-1] if found.more else None
    data = {
        "alerts": found.rows if found.more or not is_start else firing_first(found.rows),
        "firing": first.rows,
        "counts": {state: int(counts[0][f"alerts {state}"]) for state in stored.ALERT_STATES},
        "state": wanted.state,
        "next": place(last["changed_at"], last["alert_id"]) if last else None,
    }
    extras = {"wanted": wanted, "rules": [row["name"] for row in rules]}
    return View("alerts.html", "Alerts", data, extras, export=query)


def firing_first(rows: Sequence[Row]) -> list[Row]:
    """The same rows, those of firing alerts before the others."""
    return sorted(rows, key=lambda row: row["state"] != "firing")


async def alert(asked: PageRequest) -> View:
    """One alert: its cause, its states, its notices with every try."""
    return await _view(asked)


class NoticeRetrying:
    """Tries the failed notices of an alert again."""

    def __init__(self, producer: IngestProducer) -> None:
        self._producer = producer

    async def retry(self, asked: PageRequest) -> View:
        """Send the requests to the role, and log who did so and why."""
        ident, form = asked.part("alert"), await asked.request.post()
        why = confirmed_reason(form, "nothing was sent")
        requests = await asked.read(retry_requests, asked.reader, ident)
        await self._producer.send([request_event(one) for one in requests])
        retried = ", ".join(f"{one.retry} to {one.receiver}" for one in requests)
        log_action(f"retried {retried} of alert {ident}", asked.request.remote, asked.frame.role, why)
        return await _view(asked, retried=[one.receiver for one in requests])


async def _view(asked: PageRequest, retried: Sequence[str] = ()) -> View:
    ident = asked.part("alert")
    found = await asked.read(stored.alert, asked.reader, ident)
    if found is None:
        raise Problem(404, f"there is no alert {ident[:200]!r}; it may not be stored yet")
    history = stored.alert_history(ident)
    of_notices, of_score = stored.notice_tries(ident), stored.alert_scores(found["score_id"])
    states, tries, revisions, rule = await asyncio.gather(
        asked.rows(history),
        asked.read(of_notices.first, asked.reader, stored.MOST_TRIES),
        asked.read(of_score.first, asked.reader, stored.MOST_REVISIONS),
        asked.read(rule_row, asked.reader, found["name"]),
    )
    notices, scores = stored.with_tries(tries.rows), revisions.rows
    subject = found["subjects"].get("subject", "") or next((row["subject"] for row in scores), "")
    data = {
        "alert": found,
        "states": [{**state, **_window(found, rule, state)} for state in states],
        "scores": scores,
        "notices": notices,
        "subject": subject,
        "has_rule": rule is not None,
    }
    can_retry = any(each["status"] == "failed" and not int(each["digest_size"]) for each in notices)
    extras = {
        "link": _web_link(found["links"]),
        "retried": retried,
        "can_retry": can_retry,
        "tries": len(tries.rows),
        "all_tries": of_notices if tries.more else None,
        "all_revisions": of_score if revisions.more else None,
    }
    return View("alert.html", f"Alert of {found['name']}", data, extras, export=history)


def _window(found: Row, rule: Row | None, state: Row) -> dict[str, datetime | None]:
    """Begin and end of the window that a state was judged by; None where the rule judges none."""
    record = rule_of(rule) if rule is not None and found["rule_kind"] in _OF_WINDOWS else None
    end = instant_of(state["raised_at"])
    if record is None or end is None:
        return {"window_begin": None, "window_end": None}
    return {"window_begin": end - record.length, "window_end": end}


def rule_of(row: Row) -> AlertRule | None:
    """The record of a rule; None for a record of a later release."""
    try:
        return AlertRule.model_validate_json(row["record"])
    except ValidationError:
        return None


def _web_link(text: str) -> str:
    """The address of a page about the alert; empty for anything that browsers would run."""
    return text if text.startswith(("https://", "http://")) else ""


__all__ = ["NoticeRetrying", "alert", "alerts", "firing_first", "rule_of"]
