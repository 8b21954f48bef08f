"""The results of an experiment as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import isfinite, nan
from typing import Any

from upshot.cli.terminal import say, say_table
from upshot.insights.experiments.adjusting import Adjustment
from upshot.insights.experiments.delays import Delays
from upshot.insights.experiments.judging import Judgement
from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.population import CAUSES, EXCLUSIONS
from upshot.insights.experiments.results import Arm, MetricResult, Results
from upshot.insights.experiments.verdict import ExperimentVerdict, difference, signed
from upshot.insights.statistics.costs import Cost


def print_results(results: Results, verdict: ExperimentVerdict) -> None:
    """Print the verdict, the warnings and a table for each metric: 80 columns for names of usual length."""
    plan = results.plan
    began = f", first exposure {results.first_exposed_at:%Y-%m-%d %H:%M}" if results.first_exposed_at else ""
    say(f"{plan.experiment} as of {results.as_of:%Y-%m-%d %H:%M} UTC: control {plan.control}{began}")
    say()
    say(verdict.sentence, style="bold")
    for warning in verdict.warnings:
        say(f"warning: {warning}", style="yellow")
    for result in results.metrics:
        _print_metric(result)


def print_segments(by: str, found: Mapping[str, MetricResult], shown: set[tuple[str, str]]) -> None:
    """Print a table of segments: exploratory, since nobody said before which of them would matter."""
    say()
    say(f"By {by}, exploratory; * holds among all segments together", style="bold")
    say(f"  Only for a {by} known before the exposure: one that a variant can move compares unequal units.")
    rows = []
    for segment, result in found.items():
        for each in result.comparisons:
            mark = " *" if (segment, each.variant) in shown else ""
            arm = result.arm(each.variant)
            rows.append(
                (
                    segment or "(none)",
                    each.variant,
                    arm.moments.n,
                    value_text(arm, result.metric),
                    difference(each, result.metric) + mark,
                )
            )
    say_table(
        ("segment", "variant", "mature", "value", "difference"), rows, empty="no segment has mature units"
    )


def print_judgement(judgement: Judgement) -> None:
    """Print how well a judge foretells the outcome, and its early read of each arm."""
    name = judgement.metric.name
    say()
    say(f"{judgement.judge} as a judge of {name}; an early read, never a decision", style="bold")
    rows = []
    for arm in judgement.arms:
        early = arm.early
        low, high = early.interval() if early else (nan, nan)
        rows.append(
            (
                arm.variant,
                arm.calibration.n,
                _decimals(arm.calibration.auc),
                _decimals(arm.calibration.brier),
                f"{early.mean:.1%} ({low:.1%} to {high:.1%})" if early else "-",
                "" if arm.gap is None else f"{100 * arm.gap.difference:+.1f} (p {arm.gap.p:.2g})",
            )
        )
    say_table(("variant", "mature", "AUC", "Brier", f"early {name}", "gap at equal scores"), rows)


def print_adjustment(found: Adjustment) -> None:
    """Print the differences less what the units' earlier outcomes explain."""
    metric = found.metric
    say()
    by = f"{found.attribute}, known before the exposure" if found.attribute else "earlier outcomes"
    say(f"{metric.name}, adjusted by {by}, of {found.with_history:,} of {found.units:,} units")
    rows = [
        (
            each.variant,
            f"{signed(each.effect.difference, metric)} ({signed(each.interval.low, metric)} to "
            f"{signed(each.interval.high, metric)})",
            f"{each.explained:.0%}",
        )
        for each in found.comparisons
    ]
    say_table(("variant", "difference", "variance explained"), rows)


def print_delays(found: Delays) -> None:
    """Print within what time nearly all outcomes came, beside the metric's own time."""
    metric = found.metric
    say()
    say(
        f"{metric.name}: 99% of {found.outcomes:,} outcomes were recorded within "
        f"{rough_span(found.after_exposure)} of the exposure, and within "
        f"{rough_span(found.after_occurrence)} of their own time; "
        f"window plus grace is {span(metric.matures_after)}"
    )
    if not found.are_covered:
        say(
            "  a longer window or grace would count more of them: it is fixed here, so name it when the next "
            "experiment starts",
            style="yellow",
        )


def _decimals(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else "-"


def _print_metric(result: MetricResult) -> None:
    metric = result.metric
    say()
    say(f"{metric.name}: {_about(metric)}", style="bold")
    name = "rate" if metric.boolean else "mean"
    columns = ("variant", "exposed", "maturing", "mature", name, "difference", "p", "to win")
    say_table(
        columns, [_row(arm, result) for arm in result.arms if arm.exposed or arm.matured], empty="no unit yet"
    )
    for line in _details(result):
        say(f"  {line}")


def _row(arm: Arm, result: MetricResult) -> tuple[Any, ...]:
    counts = (arm.variant, arm.exposed, arm.maturing, arm.moments.n, value_text(arm, result.metric))
    each = result.against_control(arm.variant)
    if each is None:
        return (*counts, "", "", "")
    return (*counts, difference(each, result.metric), f"{each.adjusted_p:.2g}", f"{each.chance.to_win:.0%}")


def _about(metric: PlannedMetric) -> str:
    uses = {
        "decision": "decides",
        "guardrail": f"guardrail, margin {metric.margin:.0%}",
        "exploratory": "exploratory",
    }
    parts = [uses[metric.use], f"mature after {span(metric.matures_after)}"]
    return "; ".join([*parts, "less is better"] if metric.lower_is_better else parts)


def _details(result: MetricResult) -> list[str]:
    lines = []
    for arm in result.arms:
        if arm.matured:
            lines.append(f"{arm.variant}: {_causes(arm, result.metric)}")
        for reason, n in arm.excluded.items():
            lines.append(f"{arm.variant}: {n:,} left out: each {EXCLUSIONS[reason]}")
        if arm.cost is not None:
            lines.append(f"{arm.variant}: {_cost(arm.cost)}")
    for each in result.comparisons:
        if each.guardrail is not None:
            unsafe = (
                "worse than the margin allows, for sure" if each.is_beyond else "not shown to be safe yet"
            )
            lines.append(f"{each.variant}: {'shown to be safe' if each.is_safe else unsafe}")
    phases = {cell.phase for cell in result.population.cells if cell.matured and not cell.exclusion}
    if len(phases) > 1:
        name = "rates" if result.metric.boolean else "means"
        lines.append(f"{name} are of all {len(phases)} phases together, differences within phases")
    if result.population.maturing:
        at, units = result.population.maturing[0]
        lines.append(f"next: {units:,} units become mature by {at:%Y-%m-%d %H:%M}")
    return lines


def _causes(arm: Arm, metric: PlannedMetric) -> str:
    named = CAUSES | ({"outcome": "measured", "never_asked": "without"} if metric.source == "measure" else {})
    return ", ".join(f"{n:,} {named[cause]}" for cause, n in arm.causes.items() if n) or "none compared"


def _cost(cost: Cost) -> str:
    if not cost.successes:
        return "cost per success unknown: no success yet"
    if not cost.known:
        return f"${cost.cost:.4g} per success; {cost.successes:g} successes are too few for an interval"
    return f"${cost.cost:.4g} per success (${cost.low:.4g} to ${cost.high:.4g})"


def value_text(arm: Arm, metric: PlannedMetric) -> str:
    """An arm's rate in percent, or its mean."""
    if arm.value is None:
        return "-"
    return f"{arm.value:.1%}" if metric.boolean else f"{arm.value:.4g}"


def rough_span(time: timedelta) -> str:
    """`6.2 days`, `3.4 hours`, `12 seconds`."""
    seconds = time.total_seconds()
    for name, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} seconds"


def span(time: timedelta) -> str:
    """`7 days`, `1 hour`."""
    if not time:
        return "the exposure"
    days, hours = divmod(time.total_seconds() / 3600, 24)
    parts = [f"{days:g} day{'s' if days != 1 else ''}"] if days else []
    parts += [f"{hours:.3g} hour{'s' if hours != 1 else ''}"] if hours else []
    return " ".join(parts)


__all__ = [
    "print_delays",
    "print_judgement",
    "print_results",
    "print_segments",
    "span",
    "value_text",
]
