"""Alerts of rules about windows, waits and experiments, from what was found as of an instant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from upshot.alerts.messages import message_of, threshold_of
from upshot.alerts.scored import alert_id, delivery, silent
from upshot.alerts.windows import Group, Turn
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert, AlertState
from upshot.streams.events.instants import Micros, instant


def of_turn(rule: AlertRule, turn: Turn, system: str, now: Micros) -> Alert:
    """The alert about a window of a group; its cause is the end of the first breaching window."""
    has_value = rule.kind == "rate" and turn.sums.n > 0
    return raised(
        rule,
        turn.state,
        cause=window_cause(rule, turn.group, turn.since),
        at=turn.at,
        system=system,
        now=now,
        group=named(rule, turn.group),
        value=turn.sums.mean if has_value else None,
        n=turn.sums.n if has_value else None,
    )


def window_cause(rule: AlertRule, group: Group, since: Micros) -> str:
    """The cause of an alert about windows: the group, and the end of the first breaching window."""
    about = ",".join(f"{name}={value}" for name, value in named(rule, group).items())
    return f"{about}/{instant(since).isoformat()}"


def named(rule: AlertRule, group: Group) -> dict[str, str]:
    """A group's values by the names in `by`; with the rule's own filters."""
    fixed = {"agent": rule.agent} if rule.agent else {}
    return {**fixed, **rule.where, **rule.variants, **dict(zip(rule.by, group, strict=True))}


def raised(
    rule: AlertRule,
    state: AlertState,
    *,
    cause: str,
    at: Micros,
    system: str,
    now: Micros,
    group: Mapping[str, str],
    value: float | None = None,
    n: int | None = None,
    **facts: Any,
) -> Alert:
    """A state of an alert that began at an instant, which is its revision, too."""
    about = {name: text for name, text in group.items() if text}
    known = about | ({"run_id": facts["run_id"]} if facts.get("run_id") else {})
    return Alert(
        alert_id=alert_id(system, rule.name, cause),
        name=rule.name,
        kind=rule.kind,
        state=state,
        cause=cause,
        revision=at,
        severity=rule.severity,
        group=about,
        value=value,
        threshold=threshold_of(rule),
        message=message_of(rule, state, value, known, n),
        raised_at=instant(at),
        detected_at=instant(now),
        silent=silent(rule, state, at, now),
        **delivery(rule),
        **facts,
    )


__all__ = ["named", "of_turn", "raised", "window_cause"]
