"""Rows of alerts, a row for each state of each alert; and of their rules, every record of which is kept."""

from __future__ import annotations

from upshot.processors.store.packed import Row, earlier_wins, pack_version
from upshot.processors.store.values import kind_of, number_of
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert, missing_of_a_score
from upshot.streams.events.fast import NeedsSchema, moment, moment_or_none, recorded_moment
from upshot.streams.events.instants import micros
from upshot.streams.events.records import Record, place_of


def alert_row(alert: Alert, record: Record) -> Row:
    """A state of an alert. Of repetitions the one detected first counts.

    Raises NeedsSchema for an alert about a score without the score.
    """
    if missing_of_a_score(alert):
        raise NeedsSchema
    raised, detected = moment(alert.raised_at), moment_or_none(alert.detected_at)
    values = (
        alert.alert_id,
        alert.name,
        alert.run_id or "",
        alert.score_id or "",
        alert.revision,
        number_of(alert.value),
        kind_of(alert.value),
        alert.message,
        raised,
        recorded_moment(record),
        alert.revision,
        alert.state,
        alert.kind,
        alert.cause,
        alert.severity,
        alert.group,
        alert.threshold,
        detected,
        alert.notify,
        alert.silent,
        alert.links or "",
    )
    return pack_version("raw_alerts", values, earlier_wins(raised if detected is None else detected))


def alert_rule_row(rule: AlertRule, record: Record) -> Row:
    """A record of a rule. A record read again is the same row."""
    recorded = recorded_moment(record)
    values = (
        rule.name,
        recorded,
        place_of(record).offset,
        rule.kind,
        rule.enabled,
        rule.severity,
        rule.score or "",
        rule.notify,
        None if rule.muted_until is None else micros(rule.muted_until),
        rule.version,
        micros(rule.changed_at),
        rule.changed_by,
        rule.model_dump_json(exclude_unset=True),
    )
    return pack_version("raw_alert_rules", values, earlier_wins(recorded))


def removed_rule_row(name: str, record: Record) -> Row:
    """A record without a value: the rule is no more. Its row has no record, and the view leaves it out."""
    recorded = recorded_moment(record)
    place = place_of(record).offset
    nobody: list[str] = []
    values = (name, recorded, place, "", False, "", "", nobody, None, 0, recorded, "", "")
    return pack_version("raw_alert_rules", values, earlier_wins(recorded))


__all__ = ["alert_row", "alert_rule_row", "removed_rule_row"]
