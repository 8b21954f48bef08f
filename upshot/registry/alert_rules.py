"""The registry of alert rules, read once: its topic from the beginning to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from upshot.errors import KafkaUnavailable
from upshot.schemas.alert_rules import AlertRule
from upshot.settings import Settings
from upshot.streams.events.outgoing import OutgoingEvent
from upshot.streams.events.records import Record, decode
from upshot.streams.kafka.compacted import CompactedTopic

_PATIENCE = 15.0


async def read_alert_rules(settings: Settings) -> Mapping[str, AlertRule]:
    """The topic's records as they stand. Raises KafkaUnavailable."""
    topic = CompactedTopic(settings, "alert-rules", _rule)
    try:
        await asyncio.wait_for(topic.start(), _PATIENCE)
        return topic.records
    except TimeoutError:
        raise KafkaUnavailable(
            f"the topic {settings.topic('alert-rules')} at {settings.kafka_url} gives no answer; "
            "nothing was changed"
        ) from None
    finally:
        await topic.stop()


def rule_event(rule: AlertRule) -> OutgoingEvent:
    """The record of a rule, to be sent."""
    return OutgoingEvent("alert-rules", rule.name, rule.model_dump_json(exclude_none=True).encode())


def _rule(record: Record) -> AlertRule:
    return decode(AlertRule, record)


__all__ = ["read_alert_rules", "rule_event"]
