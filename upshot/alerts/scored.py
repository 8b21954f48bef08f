"""Rules about single scores: pure and without state, so that any order of revisions gives the same alerts.

A breaching revision is `firing`, a good one `resolved`; the alert's revision orders the two. Only a first
revision that is good says nothing, since nothing can have fired before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from upshot.alerts.messages import message_of, threshold_of
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert, AlertState
from upshot.schemas.ids import fact_id
from upshot.streams.events.instants import Micros, instant

#: Why an alert is recorded and nobody is notified.
OLD, RESCORE, REPLAY, MUTED = "older than max_age", "rescore", "replay", "muted"
#: The attribute of scores given by a repeated run.
_REPLAYED = "replayed_from"
#: Kinds judged by each score alone.
PER_SCORE = frozenset({"score", "expired"})


@dataclass(frozen=True, slots=True)
class ScoreFact:
    """One revision of a score, as far as rules look at it."""

    score_id: str
    run_id: str
    name: str
    value: bool | float | None
    reason: str
    revision: int
    decided_at: Micros
    #: When the deciding thing happened: never after the decision.
    happened_at: Micros
    agent: str
    variants: Mapping[str, str]
    attributes: Mapping[str, str]

    @property
    def order(self) -> int:
        """The place among the revisions of the score: of decided scores the revision, then rescored, given.

        Given and rescored scores have no number, they are ordered by their time, see decision 0029.
        """
        if self.reason == "given":
            return self.decided_at
        if self.reason == "rescored":
            return self.decided_at // 1000
        return self.revision

    @property
    def is_first(self) -> bool:
        """Whether no revision can have come before."""
        return self.reason not in ("given", "rescored") and self.revision <= 1


def judge(rule: AlertRule, fact: ScoreFact, system: str, now: Micros) -> Alert | None:
    """The state of the rule's alert about this score, by this revision; None where there is nothing to tell.

    `system` tells apart the alerts of several systems with one receiver.
    """
    if not rule.enabled or rule.kind not in PER_SCORE or not matches(rule, fact):
        return None
    fires = breaches(rule, fact)
    if not fires and fact.is_first:
        return None
    state: AlertState = "firing" if fires else "resolved"
    group = {name: value for name, value in group_of(rule, fact) if value}
    return Alert(
        alert_id=alert_id(system, rule.name, fact.score_id),
        name=rule.name,
        kind=rule.kind,
        state=state,
        cause=fact.score_id,
        revision=fact.order,
        severity=rule.severity,
        group=group,
        run_id=fact.run_id,
        score_id=fact.score_id,
        value=fact.value,
        threshold=threshold_of(rule),
        message=message_of(rule, state, fact.value, {**group, "run_id": fact.run_id}),
        raised_at=instant(fact.happened_at),
        detected_at=instant(now),
        silent=REPLAY
        if _REPLAYED in fact.attributes
        else silent(rule, state, fact.happened_at, now, fact.reason),
        **delivery(rule),
    )


def alert_id(system: str, rule: str, cause: str) -> str:
    """The id of an alert: the same for every repetition, replay and revision of the cause."""
    return fact_id("alert", system, rule, cause)


def matches(rule: AlertRule, fact: ScoreFact) -> bool:
    """Whether the score is one of the rule's."""
    if rule.score is not None and rule.score != fact.name:
        return False
    if rule.agent is not None and rule.agent != fact.agent:
        return False
    return all(fact.attributes.get(name) == value for name, value in rule.where.items()) and all(
        fact.variants.get(name) == value for name, value in rule.variants.items()
    )


def breaches(rule: AlertRule, fact: ScoreFact) -> bool:
    """Whether the rule fires at this revision."""
    if rule.kind == "expired":
        return fact.reason == "expired"
    if fact.value is None:
        return False
    value = float(fact.value)
    if rule.below is not None:
        return value < rule.below
    if rule.above is not None:
        return value > rule.above
    return rule.equals is not None and value == float(rule.equals)


def group_of(rule: AlertRule, fact: ScoreFact) -> Iterable[tuple[str, str]]:
    """The names and values that tell what the alert is about."""
    yield "agent", fact.agent
    yield from rule.where.items()
    yield from rule.variants.items()


def silent(rule: AlertRule, state: AlertState, at: Micros, now: Micros, reason: str = "") -> str:
    """Why nobody is notified; empty where receivers are. An end is never muted: what was sent is resolved."""
    if reason == "rescored":
        return RESCORE
    if instant(now) - instant(at) > rule.max_age:
        return OLD
    if state == "firing" and rule.muted_until is not None and instant(now) < rule.muted_until:
        return MUTED
    return ""


def delivery(rule: AlertRule) -> dict[str, Any]:
    """The fields of an alert that say how it is delivered."""
    return {
        "notify": list(rule.notify),
        "digest_seconds": rule.digest.total_seconds() if rule.digest else None,
        "cooldown_seconds": rule.cooldown.total_seconds() if rule.cooldown else None,
        "cap_per_hour": rule.cap,
    }


__all__ = [
    "MUTED",
    "OLD",
    "PER_SCORE",
    "REPLAY",
    "RESCORE",
    "ScoreFact",
    "alert_id",
    "breaches",
    "delivery",
    "group_of",
    "judge",
    "matches",
    "silent",
]
