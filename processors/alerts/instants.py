"""Which instants of a rule are due, and what comes of judging them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from upshot.alerts.scored import PER_SCORE
from upshot.alerts.windows import grid_of
from upshot.processors.alerts.state import JudgedRule
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.schemas.experiments import Experiment
from upshot.streams.events.instants import MICROSECOND, Micros

#: How much later than T a record stamped before T may still be written: producers gather records.
SETTLING: Micros = 1_000_000
#: How far back a role that was away judges.
LONGEST = timedelta(days=30) // MICROSECOND


@dataclass(frozen=True)
class JudgedInstants:
    """What came of judging one rule: its new state, its alerts, and changed records of the registry.

    Without a state the rule is remembered no longer.
    """

    rule: AlertRule
    state: JudgedRule | None
    alerts: list[Alert] = field(default_factory=list)
    experiments: list[Experiment] = field(default_factory=list)


def is_timed(rule: AlertRule) -> bool:
    """Whether a rule is judged as of instants."""
    return rule.enabled and rule.kind not in PER_SCORE


def next_instant(rule: AlertRule, state: JudgedRule | None) -> Micros:
    """The first instant not judged yet."""
    return grid_of(rule, state.judged if state else None, 0, LONGEST).first


@dataclass(frozen=True)
class Closing:
    """A rule as it was judged, its state, and why nobody judges it any more."""

    rule: AlertRule
    state: JudgedRule
    why: str


__all__ = ["LONGEST", "SETTLING", "Closing", "JudgedInstants", "is_timed", "next_instant"]
