"""The handler of alerts: each score against the rules at once, windows as of an instant beside the loop."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry.metrics import Meter

from upshot.alerts.closing import why_closed
from upshot.alerts.scored import PER_SCORE, ScoreFact, judge
from upshot.errors import InvalidEvent
from upshot.processors.alerts.decode import read_rule, read_score
from upshot.processors.alerts.encode import alert_record, experiment_record
from upshot.processors.alerts.instants import SETTLING, Closing, JudgedInstants, is_timed, next_instant
from upshot.processors.alerts.metrics import watch_alerts
from upshot.processors.alerts.state import (
    REMEMBERED,
    JudgedRule,
    decode_judged,
    encode_judged,
    key_of,
    read_judged,
    rule_in,
)
from upshot.processors.alerts.timed import Timed
from upshot.processors.clock import wall_clock
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.settings import Settings
from upshot.streams.events.instants import Micros
from upshot.streams.events.records import Record
from upshot.streams.kafka.compacted import CompactedTopic
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import TP, BatchApp, BatchContext, Change, Effects, RoleApp, Timing, batch_app

ROLE = "alerts"
TABLE = "judged"
#: The partition whose worker judges windows, and that has their state.
_JUDGE = 0

log = logging.getLogger(__name__)


class Alerts:
    """Reads `scores` and follows `alert-rules`; writes `alerts`, and `experiments` for broken guardrails.

    Rules about single scores need no state: the same score gives the same alert, whenever it comes. Windows
    are judged by the worker with partition 0 alone. Their alerts go out before the table remembers: a crash
    in between judges the same instants again, with the same alerts.
    """

    def __init__(
        self, context: BatchContext, settings: Settings, now: Callable[[], Micros] = wall_clock
    ) -> None:
        self._context = context
        self._settings = settings
        self._now = now
        self._rules: CompactedTopic[AlertRule] = CompactedTopic(settings, "alert-rules", read_rule)
        self._by_score: Mapping[str | None, Sequence[AlertRule]] = {}
        self._seen = -1
        self._timed = Timed(settings)
        self.counts: Counter[tuple[str, str, str]] = Counter()
        #: By reason; the engine sets records aside that stop a worker.
        self.dead_letters: Counter[str] = Counter()
        self.judged_upto: Micros | None = None
        #: Takes each alert, to be measured.
        self.measure: Callable[[Alert], None] = lambda alert: None

    @property
    def topics(self) -> Sequence[str]:
        """The topics read by the role."""
        return [self._settings.topic("scores")]

    async def assigned(self, tps: frozenset[TP]) -> None:
        """Know the rules before the first score."""
        await self._rules.start()

    async def revoked(self, tps: frozenset[TP]) -> None:
        """Follow the rules no longer; what is being judged is judged again, by the next owner."""
        await self._timed.stop()
        await self._rules.stop()

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        """Judge every score by itself."""
        effects, now = Effects(), self._now()
        if not self._rules_by_score():
            return effects
        for records in batches.values():
            for record in records:
                self._judge(record, now, effects)
        return effects

    async def tick(self) -> Effects:
        """Take up what was judged beside the loop, or begin to judge what is due."""
        effects, now = Effects(outputs_first=True), self._now()
        if not self._judges_windows():
            return effects
        if (found := self._timed.ended()) is not None:
            for one in found:
                self._take_up(one, now, effects)
        else:
            remembered = self._remembered()
            closings = self._closings(remembered)
            closing = {one.rule.name for one in closings}
            due = [pair for pair in self._due(remembered, now) if pair[0].name not in closing]
            self._timed.begin(due, closings, now)
        return effects

    async def flush(self) -> None:
        """Nothing: the table and the outputs are the batch engine's."""

    def _judges_windows(self) -> bool:
        """Whether this worker is the one that judges windows."""
        return TP(self.topics[0], _JUDGE) in self._context.assignment()

    def _remembered(self) -> dict[str, JudgedRule]:
        """The states of all rules that were judged."""
        table = self._context.table
        keys = table.due(_JUDGE, REMEMBERED, table.size(_JUDGE))
        states = map(decode_judged, table.get_many(_JUDGE, keys)) if keys else ()
        return {rule_in(key): state for key, state in zip(keys, states, strict=True) if state is not None}

    def _closings(self, remembered: Mapping[str, JudgedRule]) -> list[Closing]:
        """The rules whose open alerts nobody judges any more."""
        found = []
        for name, state in remembered.items():
            judged = read_judged(state)
            if judged is not None and (why := why_closed(judged, self._rules.records.get(name))):
                found.append(Closing(judged, state, why))
        return found

    def _due(
        self, remembered: Mapping[str, JudgedRule], now: Micros
    ) -> list[tuple[AlertRule, JudgedRule | None]]:
        """The rules with an instant to be judged, each with its state."""
        pairs = [(rule, remembered.get(rule.name)) for rule in self._rules.records.values() if is_timed(rule)]
        self.judged_upto = min((next_instant(rule, state) for rule, state in pairs), default=None)
        return [(rule, state) for rule, state in pairs if next_instant(rule, state) + SETTLING <= now]

    def _take_up(self, one: JudgedInstants, now: Micros, effects: Effects) -> None:
        for alert in one.alerts:
            self._raise(alert, effects)
        for record in one.experiments:
            effects.outputs.append(experiment_record(self._settings, record))
        changes = effects.changes.setdefault(_JUDGE, {})
        remembered = None if one.state is None else Change(encode_judged(one.state), REMEMBERED)
        changes[key_of(one.rule.name)] = remembered

    def rules_in_force(self) -> int:
        """How many rules are judged. Callable from any thread."""
        return sum(rule.enabled for rule in self._rules.records.values())

    def _judge(self, record: Record, now: Micros, effects: Effects) -> None:
        try:
            fact = read_score(record)
        except InvalidEvent:
            return  # the store keeps the record as a dead letter
        for rule in self._rules_of(fact):
            if (alert := judge(rule, fact, self._settings.topic_prefix, now)) is not None:
                self._raise(alert, effects)

    def _raise(self, alert: Alert, effects: Effects) -> None:
        self.counts[alert.name, alert.state, alert.silent] += 1
        self.measure(alert)
        effects.outputs.append(alert_record(self._settings, alert))

    def _rules_of(self, fact: ScoreFact) -> Iterable[AlertRule]:
        yield from self._by_score.get(fact.name, ())
        yield from self._by_score.get(None, ())

    def _rules_by_score(self) -> Mapping[str | None, Sequence[AlertRule]]:
        """The rules about single scores by the score's name; None for rules about any."""
        if self._seen != self._rules.changes:
            self._seen = self._rules.changes
            found: dict[str | None, list[AlertRule]] = defaultdict(list)
            for rule in self._rules.records.values():
                if rule.enabled and rule.kind in PER_SCORE:
                    found[rule.score].append(rule)
            self._by_score = found
        return self._by_score


def alerts_app(settings: Settings, timing: Timing | None = None, meter: Meter | None = None) -> BatchApp:
    """The Faust app of alerts, measured on `meter`. Call it within a running event loop."""
    instruments = Instruments(ROLE, meter)

    def make(context: BatchContext) -> Alerts:
        role = Alerts(context, settings)
        role.measure = watch_alerts(instruments, role, wall_clock)
        return role

    return batch_app(
        settings.app_id(ROLE), settings, make, table_name=TABLE, timing=timing, instruments=instruments
    )


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it."""
    return RoleApp(alerts_app)


__all__ = ["ROLE", "TABLE", "Alerts", "alerts_app", "role_app"]
