"""`/alerts/rules` and `/alerts/rules/{name}`: rules of alerts, what they would have done, and their mutes."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from upshot.alerts.messages import threshold_of
from upshot.alerts.mutes import with_mute
from upshot.errors import KafkaUnavailable
from upshot.ingest.answers import Problem
from upshot.ingest.sending import IngestProducer
from upshot.insights.pages.alert_rules import RECEIVERS, RULES, rule_row
from upshot.insights.pages.alerts import AlertFilter, alerts_query
from upshot.insights.pages.query import Row
from upshot.insights.reader import WORK_BYTES, Reader
from upshot.processors.alerts.backtest import Backtest, backtest
from upshot.processors.ledger import read_up_to
from upshot.registry.alert_rules import read_alert_rules, rule_event
from upshot.schemas.alert_rules import AlertRule
from upshot.settings import Settings
from upshot.web.actions import confirmed_reason, log_action
from upshot.web.formats import instant_of
from upshot.web.pages.alerts import rule_of
from upshot.web.pages.rule_plot import rule_plot
from upshot.web.site import PageRequest
from upshot.web.views import View

_LATEST = 20
#: Alerts of a backtest that the page lists.
_SHOWN = 50
#: Seconds that a backtest, and the question to Kafka before it, may take.
_BACKTEST, _PATIENCE = 30.0, 4.0
#: Lengths of a mute that the page offers.
MUTES = {
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}


async def alert_rules(asked: PageRequest) -> View:
    """All rules, with their state and their last alert."""
    rows, fares = await asyncio.gather(asked.rows(RULES), asked.rows(RECEIVERS))
    failing = [fare["receiver"] for fare in fares if fare["failing"]]
    rules = [_shown(row, asked.now) for row in rows]
    return View("alert_rules.html", "Rules of alerts", {"rules": rules, "failing": failing}, export=RULES)


async def alert_rule(asked: PageRequest) -> View:
    """One rule; with `backtest=7d` what the rule would have done over so long."""
    row = await _found(asked)
    since, record = asked.query.instant("backtest"), rule_of(row)
    tried = await _backtest(asked, record, since) if since is not None and record is not None else None
    return await _view(asked, row, tried=tried)


class RuleMuting:
    """Mutes rules from the page."""

    def __init__(self, settings: Settings, producer: IngestProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def mute(self, asked: PageRequest) -> View:
        """Write the rule's next record, and log who did so and why."""
        row, form = await _found(asked), await asked.request.post()
        why, length = confirmed_reason(form, "nothing was changed"), str(form.get("length", ""))
        if length not in (*MUTES, "off"):
            raise Problem(400, f"choose {', '.join(MUTES)} or off; nothing was changed")
        known = (await read_alert_rules(self._settings)).get(row["name"])
        if known is None:
            raise Problem(409, f"the rule {row['name'][:200]!r} was removed meanwhile; nothing was changed")
        changed = with_mute(known, MUTES.get(length), why, "page", asked.now)
        await self._producer.send([rule_event(changed)])
        until = changed.muted_until
        done = (
            f"unmuted the rule {changed.name}"
            if until is None
            else (f"muted the rule {changed.name} until {until.isoformat()}")
        )
        log_action(done, asked.request.remote, asked.frame.role, why)
        return await _view(asked, {**row, **_of_record(changed)}, done=True)


async def _found(asked: PageRequest) -> Row:
    name = asked.part("name")
    row = await asked.read(rule_row, asked.reader, name)
    if row is None:
        raise Problem(404, f"there is no rule {name[:200]!r}; it was removed, or is not stored yet")
    return row


async def _view(asked: PageRequest, row: Row, tried: Backtest | None = None, done: bool = False) -> View:
    query = alerts_query(AlertFilter(rule=row["name"]))
    found, fares, drawn = await asyncio.gather(
        asked.read(query.first, asked.reader, _LATEST),
        asked.rows(RECEIVERS),
        rule_plot(asked, row, tried.since if tried else None),
    )
    record = rule_of(row)
    fields = record.model_dump(mode="json", exclude_none=True, exclude_defaults=True) if record else {}
    data = {
        "rule": _shown(row, asked.now),
        "fields": fields,
        "alerts": found.rows,
        "more": found.more,
        "backtest": None if tried is None else _backtest_json(tried),
        "failing": [fare["receiver"] for fare in fares if fare["failing"]],
    }
    extras = {
        "mutes": list(MUTES),
        "done": done,
        "readable": record is not None,
        "shown": _SHOWN,
        "drawn": drawn,
    }
    return View("alert_rule.html", row["name"], data, extras, export=query)


def _shown(row: Row, now: datetime) -> dict[str, Any]:
    """A rule's row with its line in words and its state: on, off, or muted."""
    record, until = rule_of(row), instant_of(row["muted_until"])
    muted = until is not None and until > now
    return {
        **{name: value for name, value in row.items() if name != "record"},
        "fires": threshold_of(record) if record else "",
        "state": "off" if not row["enabled"] else "muted" if muted else "on",
        "muted_reason": record.muted_reason if record and muted else "",
    }


def _of_record(rule: AlertRule) -> dict[str, Any]:
    return {
        "muted_until": rule.muted_until,
        "version": rule.version,
        "changed_at": rule.changed_at,
        "changed_by": rule.changed_by,
        "record": rule.model_dump_json(exclude_none=True),
    }


async def _backtest(asked: PageRequest, rule: AlertRule, since: datetime) -> Backtest:
    """The rule over the past, as far as the join and the store have read. Changes and sends nothing."""
    settings, until = asked.site.settings, asked.now
    try:
        async with asyncio.timeout(_PATIENCE):
            until = await read_up_to(settings, asked.now)
    except (KafkaUnavailable, TimeoutError):
        pass  # the ledger alone: up to what the store had written
    if since >= until:
        raise Problem(400, "backtest is a length back from now, such as 7d")
    reader = Reader(settings, timeout=_BACKTEST, answer_bytes=WORK_BYTES)
    return await asked.read(backtest, settings, reader, rule, since, until)


def _backtest_json(one: Backtest) -> dict[str, Any]:
    listed = [
        {"fired_at": each.fired_at, "resolved_at": each.resolved_at, "value": each.value, "about": each.about}
        for each in reversed(one.alerts)
    ]
    times = {"since": one.since, "until": one.until}
    return {**times, "fired": one.fired, "over_cap": one.a_day > 24 * one.rule.cap, "alerts": listed}


__all__ = ["MUTES", "RuleMuting", "alert_rule", "alert_rules"]
