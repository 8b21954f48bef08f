"""What a rule would have done over the past: the same judging, from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from upshot.alerts.scored import PER_SCORE
from upshot.alerts.windows import Grid
from upshot.insights.alerts.past import past_scores
from upshot.insights.reader import Reader
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.settings import Settings
from upshot.streams.events.instants import MICROSECOND, micros

#: Alerts that a backtest lists; more are counted.
LISTED = 1_000
#: A rule firing more often over a backtest is refused: nobody reads that many.
MOST = 100_000
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class BacktestAlert:
    """One alert that would have fired, and when it would have ended; None: it goes on, or nobody can say."""

    fired_at: datetime
    resolved_at: datetime | None
    about: dict[str, str]
    value: bool | float | None


@dataclass(frozen=True)
class Backtest:
    """A rule over a time: how often it would have fired, and the last alerts."""

    rule: AlertRule
    since: datetime
    until: datetime
    fired: int
    alerts: list[BacktestAlert]

    @property
    def a_day(self) -> float:
        """Alerts a day."""
        return self.fired / max((self.until - self.since) / _DAY, 1e-9)


def backtest(
    settings: Settings, reader: Reader, rule: AlertRule, since: datetime, until: datetime
) -> Backtest:
    """The rule over the time from `since` to `until`, which must not lie after what is read.

    Guardrails are judged as of `until` alone. Raises as `Reader.query` does.
    """
    if rule.kind in PER_SCORE:
        fired, scores = past_scores(reader, rule, since, until, LISTED)
        listed = [
            BacktestAlert(
                one.at, None, _known({"agent": one.agent, "run_id": one.run_id}), _value(rule, one.value)
            )
            for one in scores
        ]
        return Backtest(rule, since, until, fired, listed)
    from upshot.processors.alerts.judging import judge  # statistics, which no other command should load

    every, end = rule.judged_every // MICROSECOND, micros(until)
    begin = end - every if rule.kind == "guardrail" else micros(since)
    past = rule.model_copy(update={"judged_since": since, "stop_variant": False})
    found = judge(settings, reader, past, None, Grid(every, begin, end), end)
    alerts = _paired(found.alerts)
    return Backtest(rule, since, until, len(alerts), alerts[-LISTED:])


def _paired(alerts: list[Alert]) -> list[BacktestAlert]:
    """Each firing state with its end."""
    ended = {alert.alert_id: alert.raised_at for alert in alerts if alert.state == "resolved"}
    return [
        BacktestAlert(
            alert.raised_at,
            ended.get(alert.alert_id),
            _known({**alert.group, "run_id": alert.run_id or ""}),
            alert.value,
        )
        for alert in alerts
        if alert.state == "firing"
    ]


def _known(about: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in about.items() if value}


def _value(rule: AlertRule, value: float | None) -> bool | float | None:
    return bool(value) if isinstance(rule.equals, bool) and value is not None else value


__all__ = ["LISTED", "MOST", "Backtest", "BacktestAlert", "backtest"]
