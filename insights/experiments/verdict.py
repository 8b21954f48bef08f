"""The verdict on an experiment, in a sentence that a stranger understands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.results import Comparison, MetricResult, Results, SampleRatio
from upshot.insights.statistics.power import Forecast, forecast, units_needed

#: `decided` ends the experiment; `open` goes on; `stopped` can't be trusted; `unsafe` has a winner that a
#: guardrail doesn't let go yet; `empty` has nothing to compare.
State = Literal["decided", "open", "stopped", "unsafe", "empty"]
_A_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class ExperimentVerdict:
    """The state, the sentence, and where there is one the variant to ship."""

    state: State
    sentence: str
    winner: str = ""
    warnings: tuple[str, ...] = ()


def verdict(results: Results) -> ExperimentVerdict:
    """Judge the results. Nobody wins before 7 full days, one full window and the least number of units."""
    warnings = tuple(_warnings(results))
    if stopped := results.stopped:
        return ExperimentVerdict("stopped", _stopped(stopped), warnings=warnings)
    deciding = results.deciding
    if deciding is None:
        return ExperimentVerdict(
            "empty", "no metric decides: name one with  --decide NAME:rate:WINDOW", warnings=warnings
        )
    if len(results.plan.arms) < 2:
        return ExperimentVerdict(
            "empty", "nothing to compare: the experiment has one variant", warnings=warnings
        )
    if results.first_exposed_at is None:
        return ExperimentVerdict("empty", "no unit has been exposed yet", warnings=warnings)
    if reason := _too_early(results, deciding):
        return ExperimentVerdict("open", reason, warnings=warnings)
    state, sentence, winner = _decision(results, deciding)
    return ExperimentVerdict(state, sentence, winner, warnings)


def _stopped(found: SampleRatio) -> str:
    if found.allocation.strays:
        names = ", ".join(found.allocation.strays)
        return (
            f"stopped: units of phase {found.phase} were given {names}, whose weight is 0. Nothing below "
            "can be trusted; find out who gives the variant."
        )
    counts = " to ".join(f"{found.counts[arm]:,}" for arm in found.weights)
    meant = ":".join(f"{weight:g}" for weight in found.weights.values())
    return (
        f"stopped: {counts} where {meant} was meant (p = {found.allocation.p:.2g}). Nothing below can be "
        "trusted; find out who isn't recorded."
    )


def _too_early(results: Results, deciding: MetricResult) -> str:
    """Why nothing can be decided yet; empty where it can."""
    plan, metric = results.plan, deciding.metric
    needed, mature = needed_units(results, deciding), sum(arm.moments.n for arm in deciding.arms)
    began = results.first_exposed_at or results.as_of
    earliest = began + max(_A_WEEK, metric.matures_after)
    if all(arm.is_enough for arm in deciding.arms) and results.as_of >= earliest:
        return ""
    about = decision_date(results, deciding)
    date = max(about.at, earliest) if about.at else None
    waiting = sum(arm.maturing for arm in deciding.arms)
    sentence = f"not enough data until {_day(date)}: {mature:,} of about {needed:,} units are mature"
    if date is None:
        sentence = f"not enough data, and no units arrive: {mature:,} of about {needed:,} units are mature"
    elif waiting:
        sentence += f", {waiting:,} more mature by then (they are exposed already)"
    if any(arm.matured and not arm.moments.n for arm in deciding.arms):
        sentence += (
            f"; nobody has a score named {metric.name}: look at its name in the experiment {plan.experiment}"
        )
    return sentence


def needed_units(results: Results, deciding: MetricResult) -> int:
    """The units in all arms after which the planned effect would be found; n* where no effect was planned."""
    plan, control = results.plan, deciding.arm(results.plan.control)
    weights = plan.phases[-1].weights if plan.phases else {}
    others = [weights.get(arm, 0.0) for arm in plan.arms[1:] if weights.get(arm, 0.0) > 0]
    if not plan.mde or control.moments.n < 2 or not others or weights.get(plan.control, 0.0) <= 0:
        return plan.planned
    variance = control.moments.variance or 0.25
    compared = weights[plan.control] + min(others)
    pair = units_needed((variance, variance), (weights[plan.control], min(others)), plan.mde, plan.alpha)
    return round(pair * sum(weights.values()) / compared)


def decision_date(results: Results, deciding: MetricResult) -> Forecast:
    """When the needed units will be mature."""
    seen = deciding.population
    return forecast(
        needed_units(results, deciding),
        sum(arm.moments.n for arm in deciding.arms),
        seen.maturing,
        seen.arrivals_per_day,
        results.as_of,
        deciding.metric.matures_after,
    )


def _decision(results: Results, deciding: MetricResult) -> tuple[State, str, str]:
    plan, metric = results.plan, deciding.metric
    sure = [each for each in deciding.comparisons if each.adjusted_p <= plan.alpha]
    better = [each for each in sure if _is_better(each, metric)]
    if better:
        best = max(better, key=lambda each: abs(each.effect.difference))
        return _winning(results, deciding, best)
    if len(sure) == len(plan.arms) - 1:
        worse = " and ".join(each.variant for each in sure)
        is_are = "is" if len(sure) == 1 else "are"
        return (
            "decided",
            f"{worse} {is_are} worse on {metric.name}: {difference(sure[0], metric)}",
            plan.control,
        )
    if plan.mde and deciding.comparisons and all(_within(each, plan.mde) for each in deciding.comparisons):
        return "decided", f"no difference larger than {amount(plan.mde, metric)} on {metric.name}", ""
    about = decision_date(results, deciding)
    when = (
        f"; about {_day(about.at)} the planned units are mature"
        if about.at and about.at > results.as_of
        else ""
    )
    leader = max(deciding.comparisons, key=lambda each: each.chance.to_win)
    return (
        "open",
        f"no decision yet on {metric.name}: {leader.variant} {difference(leader, metric)}{when}",
        "",
    )


def _winning(results: Results, deciding: MetricResult, best: Comparison) -> tuple[State, str, str]:
    plan, metric = results.plan, deciding.metric
    unsafe: list[str] = []
    safe: list[str] = []
    for result in results.metrics:
        if result.metric.use != "guardrail":
            continue
        found = result.against_control(best.variant)
        text = f"{result.metric.name}: margin {result.metric.margin:.0%}"
        (safe if found and found.is_safe else unsafe).append(text if found else result.metric.name)
    if unsafe:
        names = ", ".join(name.partition(":")[0] for name in unsafe)
        isnt = "isn't" if len(unsafe) == 1 else "aren't"
        return "unsafe", f"decided on {metric.name}, but {names} {isnt} shown to be safe", best.variant
    stored = f" {'; '.join(safe)} kept." if safe else ""
    return (
        "decided",
        f"{best.variant} is better on {metric.name}: {difference(best, metric)}; looking daily is "
        f"safe.{stored} Ship it with:  upshot experiments ship {plan.experiment} {best.variant} --reason …",
        best.variant,
    )


def _is_better(each: Comparison, metric: PlannedMetric) -> bool:
    return (each.effect.difference < 0) == metric.lower_is_better and each.effect.difference != 0


def _within(each: Comparison, mde: float) -> bool:
    return -mde < each.interval.low and each.interval.high < mde


def difference(each: Comparison, metric: PlannedMetric) -> str:
    """`+4.8 points (+1.1 to +8.5)`, for a rate; plain numbers for a mean."""
    unit = " points" if metric.boolean else ""
    numbers = (
        signed(value, metric) for value in (each.effect.difference, each.interval.low, each.interval.high)
    )
    middle, low, high = numbers
    return f"{middle}{unit} ({low} to {high})"


def signed(value: float, metric: PlannedMetric) -> str:
    """A difference with its sign, in points for a rate."""
    return f"{100 * value:+.1f}" if metric.boolean else f"{value:+.3g}"


def amount(value: float, metric: PlannedMetric) -> str:
    """A size without a sign, in points for a rate."""
    return f"{100 * value:g} points" if metric.boolean else f"{value:g}"


def _day(at: datetime | None) -> str:
    return f"about {at:%-d %B}" if at else "further notice"


def _warnings(results: Results) -> list[str]:
    found = []
    for name, n in results.unknown_variants.items():
        found.append(
            f"{n:,} units have the variant {name}, which the experiment doesn't list: they are left out"
        )
    for result in results.metrics:
        if result.differs_in_missing:
            found.append(
                f"the arms differ in how many units have no outcome for {result.metric.name} "
                f"(p = {result.missing_p:.2g}): find out why before trusting the difference"
            )
    if results.metrics and (shared := results.metrics[0].population.shared_subjects):
        found.append(
            f"{shared:,} subjects are waited for by runs of several variants: one variant may move the "
            "other's outcome"
        )
    return found


__all__ = [
    "ExperimentVerdict",
    "State",
    "amount",
    "decision_date",
    "difference",
    "needed_units",
    "signed",
    "verdict",
]
