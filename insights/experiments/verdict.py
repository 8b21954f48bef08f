"""The verdict on an experiment, in a sentence that a stranger understands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from upshot.insights.experiments.cautions import cautions, in_play
from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.results import Comparison, MetricResult, Results, SampleRatio
from upshot.insights.statistics.power import (
    Forecast,
    compared_pair,
    forecast,
    of_all_arms,
    units_needed,
)

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
    warnings = tuple(cautions(results))
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


def agreement(shipped: str, judged: ExperimentVerdict) -> str:
    """Whether what has matured since agrees with the shipped variant, in a sentence."""
    if judged.state not in ("decided", "unsafe"):
        return f"of what has matured since: {judged.sentence}"
    agrees = judged.state == "decided" and judged.winner == shipped
    return f"what has matured since {'agrees' if agrees else 'does not agree'}: {judged.sentence}"


def _stopped(found: SampleRatio) -> str:
    if found.allocation.strays:
        names = ", ".join(found.allocation.strays)
        return (
            f"stopped: units of phase {found.phase} were given {names}, whose weight is 0. Nothing below "
            "can be trusted; find out who gives the variant."
        )
    counts = " to ".join(f"{found.counts[arm]:,}" for arm in found.weights)
    meant = ":".join(f"{weight:g}" for weight in found.weights.values())
    absent = [arm for arm, weight in found.weights.items() if weight > 0 and not found.counts[arm]]
    hint = f" Nobody was given {', '.join(absent[:3])}: does the agents' code have the arm?" if absent else ""
    proven = ", proven however often anybody looks" if found.allocation.proven else ""
    return (
        f"stopped: {counts} where {meant} was meant (p = {found.allocation.p:.2g}{proven}). Nothing below "
        f"can be trusted; find out who isn't recorded.{hint}"
    )


def _too_early(results: Results, deciding: MetricResult) -> str:
    """Why nothing can be decided yet; empty where it can."""
    plan, metric = results.plan, deciding.metric
    needed, mature = needed_units(results, deciding), sum(arm.moments.n for arm in deciding.arms)
    began = results.first_exposed_at or results.as_of
    earliest = began + max(_A_WEEK, metric.matures_after)
    compared = {each.variant: each for each in deciding.comparisons}
    pairs = {arm: compared.get(arm) for arm in in_play(results, deciding)}
    is_enough = deciding.arm(plan.control).is_enough and all(
        each is not None and each.is_enough and deciding.arm(arm).is_enough for arm, each in pairs.items()
    )
    if is_enough and results.as_of >= earliest:
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
    apart = [arm for arm, each in pairs.items() if each is None and deciding.arm(arm).is_enough]
    if apart and deciding.arm(plan.control).is_enough:
        sentence += f"; no phase has given both {plan.control} and {', '.join(sorted(apart)[:3])}"
    return sentence


def needed_units(results: Results, deciding: MetricResult) -> int:
    """The units in all arms after which the planned effect would be found; n* where no effect was planned."""
    plan, control = results.plan, deciding.arm(results.plan.control)
    weights = plan.phases[-1].weights if plan.phases else {}
    pair = compared_pair(weights.get(plan.control, 0.0), (weights.get(arm, 0.0) for arm in plan.arms[1:]))
    if not plan.mde or control.moments.n < 2 or pair is None:
        return plan.planned
    variance = control.moments.variance or 0.25
    needed = units_needed((variance, variance), pair, plan.mde, plan.alpha)
    return of_all_arms(needed, pair, weights.values())


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
    on = in_play(results, deciding)
    compared = [each for each in deciding.comparisons if each.variant in on]
    sure = [each for each in compared if each.adjusted_p <= plan.alpha]
    better = [each for each in sure if _is_better(each, metric)]
    if better:
        best = max(better, key=lambda each: abs(each.effect.difference))
        return _winning(results, deciding, best)
    if len(sure) == len(compared):
        worse = " and ".join(each.variant for each in sure)
        is_are = "is" if len(sure) == 1 else "are"
        return (
            "decided",
            f"{worse} {is_are} worse on {metric.name}: {difference(sure[0], metric)}",
            plan.control,
        )
    if plan.mde and all(_within(each, plan.mde) for each in compared):
        return "decided", f"no difference larger than {amount(plan.mde, metric)} on {metric.name}", ""
    about = decision_date(results, deciding)
    when = (
        f"; about {_day(about.at)} the planned units are mature"
        if about.at and about.at > results.as_of
        else ""
    )
    leader = max(compared, key=lambda each: each.chance.to_win)
    return (
        "open",
        f"no decision yet on {metric.name}: {leader.variant} {difference(leader, metric)}{when}",
        "",
    )


def _winning(results: Results, deciding: MetricResult, best: Comparison) -> tuple[State, str, str]:
    plan, metric = results.plan, deciding.metric
    beyond: list[str] = []
    unsafe: list[str] = []
    safe: list[str] = []
    for result in results.metrics:
        if result.metric.use != "guardrail":
            continue
        found = result.against_control(best.variant)
        if found and found.is_safe:
            safe.append(f"{result.metric.name}: margin {result.metric.margin:.0%}")
        else:
            (beyond if found and found.is_beyond else unsafe).append(result.metric.name)
    if beyond or unsafe:
        doubts = [f"{', '.join(beyond)} {_are(beyond)} worse than the margin allows"] if beyond else []
        if unsafe:
            doubts.append(f"{', '.join(unsafe)} {_are(unsafe)}n't shown to be safe")
        return "unsafe", f"decided on {metric.name}, but {' and '.join(doubts)}", best.variant
    stored = f" {'; '.join(safe)} kept." if safe else ""
    ship = f" Ship it with:  upshot experiments ship {plan.experiment} {best.variant} --reason …"
    return (
        "decided",
        f"{best.variant} is better on {metric.name}: {difference(best, metric)}; looking daily is "
        f"safe.{stored}{'' if plan.shipped else ship}",
        best.variant,
    )


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


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


__all__ = [
    "ExperimentVerdict",
    "State",
    "agreement",
    "amount",
    "decision_date",
    "difference",
    "needed_units",
    "signed",
    "verdict",
]
