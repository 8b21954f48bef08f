"""Rules of alerts in force: whether each can fire at all."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from upshot.errors import QueryFailed
from upshot.insights.alerts.checks import faults
from upshot.insights.reader import Reader
from upshot.ops.doctor.finding import Finding, unknown
from upshot.schemas.alert_rules import AlertRule

CHECK = "alert rules"
_SHOWN = 5
_RULES = "SELECT record FROM alert_rules WHERE enabled ORDER BY name"


def examine_alert_rules(reader: Reader) -> Finding:
    """Whether every rule in force names scores, attributes and experiments that have been seen."""
    try:
        rules = [_read(record) for (record,) in reader.query(_RULES).rows]
        found = [f"{rule.name}: {fault}" for rule in rules if rule for fault in faults(reader, rule)]
    except QueryFailed as error:
        return unknown(CHECK, because=str(error))[0]
    return alert_rules(len(rules), found)


def alert_rules(count: int, faulty: Sequence[str]) -> Finding:
    """The finding for so many rules, and the sentences about those that never fire."""
    if not faulty:
        return Finding(CHECK, "fine", f"{count} rules in force, each can fire" if count else "there are none")
    more = f"; and {len(faulty) - _SHOWN} more" if len(faulty) > _SHOWN else ""
    return Finding(
        CHECK,
        "notice",
        "rules that can't fire so far: " + "; ".join(faulty[:_SHOWN]) + more,
        "correct the name or the line, and try the rule: upshot alerts backtest FILE; or send what it names",
    )


def _read(record: str) -> AlertRule | None:
    """None for a record of a later release."""
    try:
        return AlertRule.model_validate_json(record)
    except ValidationError:
        return None


__all__ = ["CHECK", "alert_rules", "examine_alert_rules"]
