"""The registry of alert rules, from the command line: read whole, checked, written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from aiokafka.errors import KafkaError

from upshot.alerts.files import NOTHING_CHANGED
from upshot.cli.sending import send_events
from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.insights.alerts.checks import faults
from upshot.insights.reader import Reader
from upshot.processors.alerts.backtest import MOST, backtest
from upshot.receivers.configured import read_receivers
from upshot.registry.alert_rules import read_alert_rules, rule_event
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.topics import TOPICS
from upshot.streams.kafka.producer import delivered, event_producer


def registered_rules(settings: Settings) -> Mapping[str, AlertRule]:
    """The topic's records as they stand. Raises KafkaUnavailable."""
    return asyncio.run(read_alert_rules(settings))


def registered_rule(settings: Settings, name: str) -> AlertRule:
    """One rule by its name. Raises ConfigurationError."""
    known = registered_rules(settings)
    if name not in known:
        have = ", ".join(sorted(known)[:10]) or "none"
        raise ConfigurationError(f"there is no rule {name!r} (there are: {have}); {NOTHING_CHANGED}")
    return known[name]


def write_rules(settings: Settings, rules: Sequence[AlertRule]) -> None:
    """Write records of the registry."""
    asyncio.run(send_events(settings, TOPICS["alert-rules"], [rule_event(rule) for rule in rules]))


def remove_rule(settings: Settings, name: str) -> None:
    """Write a record without a value: the rule is no more."""
    asyncio.run(_send_tombstone(settings, name))


async def _send_tombstone(settings: Settings, name: str) -> None:
    async with event_producer(settings) as producer:
        try:
            await delivered([await producer.send("alert-rules", None, key=name)])
        except KafkaError as error:
            raise KafkaUnavailable(f"Kafka did not take it ({error}); remove the rule again") from None


def write_alert(settings: Settings, alert: Alert) -> None:
    """Write one state of an alert."""
    event = OutgoingEvent("alerts", alert.alert_id, alert.model_dump_json(exclude_none=True).encode())
    asyncio.run(send_events(settings, TOPICS["alerts"], [event]))


def unknown_receivers(settings: Settings, rules: Sequence[AlertRule]) -> list[str]:
    """Names in `notify` that no receiver of these settings has; the workers' settings decide.

    Raises ConfigurationError for a wrong receiver.
    """
    known = read_receivers(settings)
    return sorted({name for rule in rules for name in rule.notify if name not in known})


def check_rules(settings: Settings, reader: Reader, rules: Sequence[AlertRule], until: datetime) -> list[str]:
    """Rules that could never fire, or would have fired far too often over the last week, in sentences."""
    found: list[str] = []
    for rule in rules:
        wrong = faults(reader, rule)
        found += [f"{rule.name}: {fault}" for fault in wrong]
        if not wrong and rule.kind != "guardrail":
            past = backtest(settings, reader, rule, until - timedelta(days=7), until)
            if past.fired > MOST:
                found.append(
                    f"{rule.name}: would have fired {past.fired:,} times in the last 7 days: narrow it "
                    "(agent, where, another line), or use kind rate for windows of scores"
                )
    return found


__all__ = [
    "check_rules",
    "registered_rule",
    "registered_rules",
    "remove_rule",
    "unknown_receivers",
    "write_alert",
    "write_rules",
]
