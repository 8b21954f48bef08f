"""Judges rules about windows, waits and experiments as of instants, in the ledger that ClickHouse has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from upshot.alerts.closing import GUARDED, OpenCause, closed, open_causes
from upshot.alerts.raised import of_turn, raised
from upshot.alerts.windows import Grid, grid_of, turns
from upshot.errors import ConfigurationError, QueryFailed
from upshot.experiments.changes import reweighted
from upshot.insights.alerts.guardrails import Guarded, guarded
from upshot.insights.alerts.waits import Overdue, overdue, still_overdue
from upshot.insights.alerts.windows import timeline
from upshot.insights.reader import Reader
from upshot.processors.alerts.instants import LONGEST, SETTLING, Closing, JudgedInstants
from upshot.processors.alerts.state import JudgedRule
from upshot.processors.ledger import read_up_to
from upshot.registry.records import record_of
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings
from upshot.streams.events.instants import MICROSECOND, Micros, instant, micros

#: Reads the registry's record of an experiment. Raises ConfigurationError where none is readable.
RecordInForce = Callable[[str], Experiment]
MOST_OF_A_MESSAGE = 1_000

log = logging.getLogger(__name__)


async def judge_all(
    settings: Settings,
    reader: Reader,
    rules: Sequence[tuple[AlertRule, JudgedRule | None]],
    now: Micros,
    closings: Sequence[Closing] = (),
) -> list[JudgedInstants]:
    """Judge what can be judged: up to the instant before which the join and the store have read all.

    A rule that can't be read is named in the log and tried again. Raises KafkaUnavailable,
    ClickHouseUnavailable.
    """
    found: list[JudgedInstants] = []
    for closing in closings:
        try:
            found.append(await asyncio.to_thread(close, settings, reader, closing, now))
        except QueryFailed as error:
            name = closing.rule.name
            log.error("alerts of the rule %r can't be ended, and will be again: %s", name, error)
    if not rules:
        return found
    upto = micros(await read_up_to(settings, instant(now), patience=0)) - SETTLING
    for rule, state in rules:
        grid = grid_of(rule, state.judged if state else None, upto, LONGEST)
        if grid.last < grid.first:
            continue
        try:
            found.append(await asyncio.to_thread(judge, settings, reader, rule, state, grid, now))
        except QueryFailed as error:
            log.error("rule %r can't be judged, and will be again: %s", rule.name, error)
    return found


def close(settings: Settings, reader: Reader, closing: Closing, now: Micros) -> JudgedInstants:
    """The ends of a rule's open alerts, by what was remembered. Raises as `Reader.query` does."""
    rule, state = closing.rule, closing.state
    if rule.kind == "pending_for":
        grid = Grid(rule.judged_every // MICROSECOND, state.begun, state.judged)
        causes = [
            OpenCause(one.cause, _of_wait(rule, one), one.run_id) for one in still_overdue(reader, rule, grid)
        ]
    else:
        causes = open_causes(rule, state.open)
    ended = closed(rule, causes, state.judged, closing.why, settings.topic_prefix, now)
    return JudgedInstants(rule, None, ended)


def judge(
    settings: Settings,
    reader: Reader,
    rule: AlertRule,
    state: JudgedRule | None,
    grid: Grid,
    now: Micros,
    record_in_force: RecordInForce | None = None,
) -> JudgedInstants:
    """The rule's alerts at the instants of a grid. Raises as `Reader.query` does, and KafkaUnavailable.

    `record_in_force` reads the registry's record that a stop changes: by default from the registry's topic.
    """
    system = settings.topic_prefix
    if rule.kind == "pending_for":
        return JudgedInstants(rule, _after(rule, state, grid), _waits(reader, rule, grid, system, now))
    if rule.kind == "guardrail":
        guards, stops = _guardrails(reader, rule, state, grid, system, now)
        return _stopped(guards, stops, now, record_in_force or partial(record_of, settings))
    since = {tuple(group): at for group, at in state.open} if state else {}
    earlier = timeline(reader, rule, grid, rule.versus) if rule.versus else {}
    found, still = turns(rule, grid, timeline(reader, rule, grid), earlier, since)
    after = _after(rule, state, grid, [(list(group), at) for group, at in sorted(still.items())])
    return JudgedInstants(rule, after, [of_turn(rule, turn, system, now) for turn in found])


def _waits(reader: Reader, rule: AlertRule, grid: Grid, system: str, now: Micros) -> list[Alert]:
    return [
        raised(
            rule,
            one.state,
            cause=one.cause,
            at=one.at,
            system=system,
            now=now,
            group=_of_wait(rule, one),
            run_id=one.run_id,
        )
        for one in overdue(reader, rule, grid)
    ]


def _of_wait(rule: AlertRule, one: Overdue) -> dict[str, str]:
    return {"agent": one.agent, **rule.where, "subject": one.subject}


def _after(
    rule: AlertRule,
    state: JudgedRule | None,
    grid: Grid,
    still: Sequence[tuple[list[str], Micros]] = (),
) -> JudgedRule:
    record = rule.model_dump_json(exclude_defaults=True)
    return JudgedRule(grid.last, list(still), record, state.begun if state else grid.after)


def _guardrails(
    reader: Reader, rule: AlertRule, state: JudgedRule | None, grid: Grid, system: str, now: Micros
) -> tuple[JudgedInstants, list[Guarded]]:
    """The alerts, and the variants to be stopped.

    Judged at the last instant alone: the cause has no time, so nothing is missed in between.
    Alerts about variants, phases and experiments that are over are resolved.
    """
    since = {tuple(key): at for key, at in state.open} if state else {}
    found = {one.key: one for one in guarded(reader, rule, instant(grid.last))}
    broken = {key: one for key, one in found.items() if one.is_broken}
    turned = sorted(broken.keys() ^ since.keys())
    alerts = [
        raised(
            rule,
            "firing" if key in broken else "resolved",
            cause="/".join(key),
            at=grid.last,
            system=system,
            now=now,
            group=dict(zip(GUARDED, key, strict=True)),
            value=found[key].beyond if key in found else None,
        )
        for key in turned
    ]
    still = [(list(key), since.get(key, grid.last)) for key in sorted(broken)]
    stops = [broken[key] for key in turned if key in broken and broken[key].variant]
    return JudgedInstants(rule, _after(rule, state, grid, still), alerts), stops if rule.stop_variant else []


def _stopped(
    found: JudgedInstants, stops: Sequence[Guarded], now: Micros, record_in_force: RecordInForce
) -> JudgedInstants:
    """With the records of experiments without the broken variants.

    A variant stopped already is passed over. Nothing is written over a record that isn't readable here: a
    newer release may have written it; the log and the alert then say that the variant goes on.
    """
    changed: dict[str, Experiment] = {}
    alerts = list(found.alerts)
    for one in stops:
        reason = f"alert {found.rule.name}: {one.variant} is worse on {one.metric} than its margin allows"
        try:
            record = changed.get(one.experiment) or record_in_force(one.experiment)
            weights = {**record.variants, one.variant: 0.0}
            changed[one.experiment] = reweighted(record, weights, instant(now), reason)
        except ConfigurationError as error:
            log.warning("%s goes on with %s: %s", one.experiment, one.variant, error)
            alerts = [_unstopped(alert, one, error) for alert in alerts]
        else:
            log.warning("%s: the weight of %s is 0 now: %s", one.experiment, one.variant, reason)
    return replace(found, alerts=alerts, experiments=list(changed.values()))


def _unstopped(alert: Alert, one: Guarded, error: ConfigurationError) -> Alert:
    """The alert about a variant that goes on, saying so; any other as it is."""
    if alert.cause != "/".join(one.key):
        return alert
    message = f"{alert.message}; {one.variant} was not stopped: {error}"
    return alert.model_copy(update={"message": message[:MOST_OF_A_MESSAGE]})


__all__ = ["RecordInForce", "close", "judge", "judge_all"]
