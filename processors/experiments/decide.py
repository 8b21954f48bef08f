"""Decisions of adaptive allocation: the record in force, when weights are due, and which weights. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from upshot.experiments.changes import reweighted
from upshot.insights.experiments.plan import ExperimentPlan
from upshot.insights.experiments.population import Population
from upshot.insights.experiments.results import results
from upshot.insights.statistics.adaptive import FLOOR, next_weights
from upshot.insights.statistics.moments import Moments
from upshot.schemas.experiments import Experiment

#: The least change of any arm's share that is worth a phase.
LEAST_CHANGE = 0.01
#: The most of all weights that the floors of many arms may take together.
_MOST_IN_FLOORS = 0.5
_DIGITS = 4


class RegistryRecord(NamedTuple):
    """A readable record of the registry's topic. `follows` is the offset of the record that an allocation was
    made from; None for records of people and programs.
    """

    experiment: Experiment
    partition: int
    offset: int
    follows: int | None = None


class InForce(NamedTuple):
    """The record of an experiment that counts, and the allocation that came over it unawares, if any."""

    record: RegistryRecord
    stray: RegistryRecord | None = None


def in_force(records: Iterable[RegistryRecord]) -> dict[str, InForce]:
    """The records that count, from all records in their order.

    An allocation made from another record than the one before crossed somebody's change: the change counts.
    """
    found: dict[str, InForce] = {}
    for each in records:
        name = each.experiment.experiment
        before = found.get(name)
        if before is not None and each.follows is not None and each.follows != before.record.offset:
            found[name] = InForce(before.record, each)
        else:
            found[name] = InForce(each)
    return found


def is_due(record: Experiment, now: datetime, interval: timedelta) -> bool:
    """Whether weights may change: the experiment is adaptive, and runs in a phase older than `interval`."""
    if record.strategy != "adaptive" or record.status != "running":
        return False
    return now - record.present.started_at >= interval


def reallocated(
    record: Experiment, plan: ExperimentPlan, population: Population, now: datetime
) -> Experiment | None:
    """The record with weights by the mature units of its first decision metric; None for no new phase.

    Arms without a weight stay without: somebody switched them off. Nothing changes on units that don't fit
    their weights, without mature units, or where no share would move by a hundredth.
    """
    weights = record.present.weights
    playing = [arm for arm, weight in weights.items() if weight > 0]
    rewards = _rewards(plan, population, playing)
    units = sum(arm.n for arm in rewards.values())
    if len(playing) < 2 or not units or results(plan, [population]).stopped is not None:
        return None
    floor = min(FLOOR, _MOST_IN_FLOORS / len(playing))
    shares = {arm: round(share, _DIGITS) for arm, share in next_weights(rewards, floor).items()}
    total = sum(weights.values())
    if all(abs(share - weights[arm] / total) < LEAST_CHANGE for arm, share in shares.items()):
        return None
    reason = f"allocation by {units:,} mature units of {population.metric.name}"
    return reweighted(record, {arm: shares.get(arm, 0.0) for arm in weights}, now, reason)


def _rewards(plan: ExperimentPlan, population: Population, arms: Iterable[str]) -> Mapping[str, Moments]:
    """The value of each mature unit, the higher the better; units of unlisted phases teach nothing."""
    known = {phase.phase for phase in plan.phases}
    sign = -1.0 if population.metric.lower_is_better else 1.0
    found = dict.fromkeys(arms, Moments())
    for cell in population.cells:
        if not cell.exclusion and cell.phase in known and cell.variant in found:
            own = cell.moments
            found[cell.variant] += Moments(own.n, sign * own.y, own.yy, own.m, own.mm, sign * own.ym)
    return found


__all__ = ["LEAST_CHANGE", "InForce", "RegistryRecord", "in_force", "is_due", "reallocated"]
