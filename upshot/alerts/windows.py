"""Rules about windows of scores: pure functions of what the ledger held as of each instant T.

A timeline has the sums of a group's window by T, from that T on until the next. Judging instants in pieces,
or all at once, gives the same turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from upshot.insights.statistics.bounds import Sums, bounds, drop_of
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import AlertState
from upshot.streams.events.instants import MICROSECOND, Micros, micros

#: The values of a rule's `by`, in their order.
Group = tuple[str, ...]
#: Sums by the instant from which they hold, in order.
Timeline = Mapping[Group, Sequence[tuple[Micros, Sums]]]
Verdict = Literal["breach", "good", "unclear"]
NOTHING = Sums(0, 0.0, 0.0)


@dataclass(frozen=True)
class Turn:
    """An alert began, or ended, at an instant. `since` is the end of the first breaching window."""

    group: Group
    state: AlertState
    at: Micros
    since: Micros
    sums: Sums


@dataclass(frozen=True)
class Grid:
    """The instants T at which a rule is judged: multiples of `every` after `after`, up to `upto`."""

    every: Micros
    after: Micros
    upto: Micros

    @property
    def first(self) -> Micros:
        """The first instant."""
        return ceiling(self.after + 1, self.every)

    @property
    def last(self) -> Micros:
        """The last instant; before the first where there is none."""
        return self.upto // self.every * self.every


def grid_of(rule: AlertRule, judged: Micros | None, upto: Micros, longest: Micros) -> Grid:
    """The instants to be judged: since the last, else since the rule's beginning; not over `longest` back."""
    every = rule.judged_every // MICROSECOND
    after = micros(rule.begins_at) - 1 if judged is None else judged
    return Grid(every, max(after, upto - longest), upto)


def turns(
    rule: AlertRule, grid: Grid, now: Timeline, earlier: Timeline, open_since: Mapping[Group, Micros]
) -> tuple[list[Turn], dict[Group, Micros]]:
    """The turns within the grid, by time; and the groups open after it. `earlier` is for `drop` alone."""
    found: list[Turn] = []
    still = dict(open_since)
    groups = {*now, *open_since} | ({()} if not rule.by else set())
    for group in sorted(groups):
        before = _Steps(earlier.get(group, ()))
        steps = _Steps(now.get(group, ()))
        for at in _instants(grid, now.get(group, ()), earlier.get(group, ()), rule):
            sums = steps.at(at)
            verdict = judge(rule, sums, before.at(at), at)
            since = still.get(group)
            if verdict == "breach" and since is None:
                still[group] = at
                found.append(Turn(group, "firing", at, at, sums))
            elif verdict == "good" and since is not None:
                del still[group]
                found.append(Turn(group, "resolved", at, since, sums))
    return sorted(found, key=lambda turn: (turn.at, turn.group)), still


def judge(rule: AlertRule, now: Sums, earlier: Sums, at: Micros) -> Verdict:
    """What one window says."""
    if rule.kind == "silence":
        if now.n:
            return "good"
        return "breach" if at >= micros(rule.begins_at) + rule.length // MICROSECOND else "unclear"
    if now.n < rule.min_n or (rule.drop is not None and earlier.n < rule.min_n):
        return "unclear"
    if rule.drop is not None:
        return _dropped(rule, now, earlier, rule.drop)
    low, high = bounds(now, rule.sure) if rule.sure else (now.mean, now.mean)
    if rule.below is not None:
        end = rule.below if rule.recover is None else rule.recover
        return "breach" if high < rule.below else "good" if now.mean >= end else "unclear"
    assert rule.above is not None
    end = rule.above if rule.recover is None else rule.recover
    return "breach" if low > rule.above else "good" if now.mean <= end else "unclear"


def _dropped(rule: AlertRule, now: Sums, earlier: Sums, drop: float) -> Verdict:
    estimate = earlier.mean - now.mean
    shown = drop_of(earlier, now, rule.sure) if rule.sure else estimate
    return "breach" if shown >= drop else "good" if estimate < drop else "unclear"


def _instants(
    grid: Grid,
    now: Sequence[tuple[Micros, Sums]],
    earlier: Sequence[tuple[Micros, Sums]],
    rule: AlertRule,
) -> Iterator[Micros]:
    """The instants at which a verdict can change: the first, and those where sums do."""
    if grid.last < grid.first:
        return
    points = {grid.first, *(at for at, _ in (*now, *earlier))}
    if rule.kind == "silence":
        points.add(ceiling(micros(rule.begins_at) + rule.length // MICROSECOND, grid.every))
    yield from sorted(at for at in points if grid.first <= at <= grid.last)


class _Steps:
    """Reads a timeline at growing instants."""

    def __init__(self, steps: Sequence[tuple[Micros, Sums]]) -> None:
        self._steps = steps
        self._next = 0
        self._sums = NOTHING

    def at(self, instant: Micros) -> Sums:
        while self._next < len(self._steps) and self._steps[self._next][0] <= instant:
            self._sums = self._steps[self._next][1]
            self._next += 1
        return self._sums


def ceiling(at: Micros, every: Micros) -> Micros:
    """The first multiple of `every` at or after `at`."""
    return -(-at // every) * every


__all__ = ["Grid", "Group", "Timeline", "Turn", "ceiling", "grid_of", "judge", "turns"]
