"""Guardrails of experiments as of an instant: which variants are worse than allowed, and broken splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from upshot.insights.experiments.plan import ExperimentPlan
from upshot.insights.experiments.reading import read_results
from upshot.insights.experiments.registry import plan_of
from upshot.insights.experiments.results import Results
from upshot.insights.reader import Reader
from upshot.insights.statistics.effects import MIN_UNITS
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.experiments import Experiment

#: The metric of alerts about units that don't fit the weights.
SAMPLE_RATIO = "sample ratio"

_REGISTERED = """\
SELECT experiment, argMax(record, (recorded_at, offset)) AS latest
FROM experiment_changes
WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
    AND ({experiment:String} = '' OR experiment = {experiment:String})
GROUP BY experiment
ORDER BY experiment"""


@dataclass(frozen=True)
class Guarded:
    """One metric of one variant in the present phase, or the split of the phase (without a variant)."""

    experiment: str
    phase: str
    variant: str
    metric: str
    #: How far the variant is beyond the margin at the least; or the e-value of a broken split.
    beyond: float
    is_broken: bool

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Experiment, phase, variant, metric: the identity of alerts about it."""
        return self.experiment, self.phase, self.variant, self.metric


def registered(reader: Reader, experiment: str, as_of: datetime) -> list[Experiment]:
    """The running experiments of the registry as of an instant: one by name, or all."""
    rows = reader.query(_REGISTERED, {"as_of": as_of, "experiment": experiment}).rows
    found = [Experiment.model_validate_json(record) for _, record in rows]
    return [one for one in found if one.status == "running"]


def guarded(reader: Reader, rule: AlertRule, as_of: datetime) -> list[Guarded]:
    """All that the rule guards, as of an instant up to which everything is read."""
    found: list[Guarded] = []
    for record in registered(reader, rule.experiment or "", as_of):
        plan = plan_of(record)
        if any(metric.use == "guardrail" for metric in plan.metrics):
            found += of_results(rule, plan, read_results(reader, plan, as_of))
    return found


def of_results(rule: AlertRule, plan: ExperimentPlan, results: Results) -> Sequence[Guarded]:
    """What follows from results. The intervals are asymptotic: with few units in an arm nothing is broken."""
    return [*_variants(rule, plan, results), *_split(rule, plan, results)]


def _variants(rule: AlertRule, plan: ExperimentPlan, results: Results) -> Iterator[Guarded]:
    present = plan.phases[-1]
    for result in results.metrics:
        if result.metric.use != "guardrail" or rule.metric not in (None, result.metric.name):
            continue
        for each in result.comparisons:
            if each.harm is None or present.weights.get(each.variant, 0.0) <= 0:
                continue
            low, units = each.harm.low, [result.arm(arm).moments.n for arm in (plan.control, each.variant)]
            is_broken = low > 0 and min(units) >= MIN_UNITS
            name = result.metric.name
            yield Guarded(plan.experiment, present.phase, each.variant, name, low, is_broken)


def _split(rule: AlertRule, plan: ExperimentPlan, results: Results) -> Iterator[Guarded]:
    if rule.metric not in (None, SAMPLE_RATIO):
        return
    for ratio in results.ratios:
        if ratio.phase == plan.phases[-1].phase:
            found = ratio.allocation
            yield Guarded(plan.experiment, ratio.phase, "", SAMPLE_RATIO, min(found.e, 1e9), found.proven)


__all__ = ["SAMPLE_RATIO", "Guarded", "guarded", "of_results", "registered"]
