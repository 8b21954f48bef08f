"""The end of a rule's open alerts where nobody judges them any more: pure, from what was remembered.

A rule that is removed, switched off, or about other scores than before leaves alerts that no window will end.
They end one microsecond after the last judged instant: so every worker ends them alike, however often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from upshot.alerts.raised import named, raised, window_cause
from upshot.alerts.scored import PER_SCORE
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.streams.events.instants import Micros

REMOVED, OFF, CHANGED = "the rule was removed", "the rule was switched off", "the rule was changed"
#: The parts of a guardrail's cause.
GUARDED = ("experiment", "phase", "variant", "metric")


class OpenCause(NamedTuple):
    """An alert that fires: its cause, and what it is about."""

    cause: str
    group: Mapping[str, str]
    run_id: str = ""


def why_closed(judged: AlertRule, present: AlertRule | None) -> str:
    """Why nobody judges the alerts of a rule as it was judged; empty where somebody does."""
    if present is None:
        return REMOVED
    if not present.enabled or present.kind in PER_SCORE:
        return OFF if not present.enabled else CHANGED
    return CHANGED if _identity(judged) != _identity(present) else ""


def open_causes(rule: AlertRule, open_since: Iterable[tuple[list[str], Micros]]) -> list[OpenCause]:
    """The causes remembered by windows and guardrails."""
    if rule.kind == "guardrail":
        return [OpenCause("/".join(key), dict(zip(GUARDED, key, strict=True))) for key, _ in open_since]
    groups = [(tuple(group), since) for group, since in open_since]
    return [OpenCause(window_cause(rule, group, since), named(rule, group)) for group, since in groups]


def closed(
    rule: AlertRule, causes: Iterable[OpenCause], judged: Micros, why: str, system: str, now: Micros
) -> list[Alert]:
    """The ends of alerts, with the reason. They are never silent: receivers that were notified hear of it."""
    found: list[Alert] = []
    for one in causes:
        alert = raised(
            rule,
            "resolved",
            cause=one.cause,
            at=judged + 1,
            system=system,
            now=now,
            group=one.group,
            run_id=one.run_id or None,
        )
        message = f"resolved, since {why}: {alert.message.removeprefix('resolved: ')}"
        found.append(alert.model_copy(update={"message": message, "silent": ""}))
    return found


def _identity(rule: AlertRule) -> tuple[object, ...]:
    """What the causes of a rule's alerts are made from; lines and receivers may change meanwhile."""
    shape = (rule.kind, rule.score, rule.agent, rule.where, rule.variants, rule.by)
    times = (rule.length, rule.judged_every) if rule.kind == "pending_for" else ()
    return (*shape, rule.experiment, rule.metric, *times)


__all__ = ["CHANGED", "GUARDED", "OFF", "REMOVED", "OpenCause", "closed", "open_causes", "why_closed"]
