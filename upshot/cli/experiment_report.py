"""The results of an experiment as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from math import isfinite, nan
from typing import Any

from upshot.cli.terminal import say, say_table
from upshot.insights.experiments.judging import Judgement
from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.population import CAUSES, EXCLUSIONS
from upshot.insights.experiments.results import Arm, Comparison, MetricResult, Results
from upshot.insights.experiments.verdict import ExperimentVerdict, difference
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


def _decimals(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else "-"


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """The same for a program."""
    return {
        "judge": judgement.judge,
        "metric": judgement.metric.name,
        "variants": [
            {
                "variant": arm.variant,
                "mature": arm.calibration.n,
                "auc": _finite(arm.calibration.auc),
                "brier": _finite(arm.calibration.brier),
                "bins": [asdict(each) for each in arm.calibration.bins],
                "early_read": asdict(arm.early) if arm.early else None,
                "gap": _numbers(asdict(arm.gap)) if arm.gap else None,
            }
            for arm in judgement.arms
        ],
    }


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
            causes = ", ".join(f"{n:,} {CAUSES[cause]}" for cause, n in arm.causes.items() if n)
            lines.append(f"{arm.variant}: {causes or 'none compared'}")
        for reason, n in arm.excluded.items():
            lines.append(f"{arm.variant}: {n:,} left out: each {EXCLUSIONS[reason]}")
        if arm.cost is not None:
            lines.append(f"{arm.variant}: {_cost(arm.cost)}")
    for each in result.comparisons:
        if each.guardrail is not None:
            safe = "shown to be safe" if each.is_safe else "not shown to be safe yet"
            lines.append(f"{each.variant}: {safe}")
    if result.population.maturing:
        at, units = result.population.maturing[0]
        lines.append(f"next: {units:,} units become mature by {at:%Y-%m-%d %H:%M}")
    return lines


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


def span(time: timedelta) -> str:
    """`7 days`, `1 hour`."""
    if not time:
        return "the exposure"
    days, hours = divmod(time.total_seconds() / 3600, 24)
    parts = [f"{days:g} day{'s' if days != 1 else ''}"] if days else []
    parts += [f"{hours:.3g} hour{'s' if hours != 1 else ''}"] if hours else []
    return " ".join(parts)


def as_json(results: Results, verdict: ExperimentVerdict) -> dict[str, Any]:
    """All of it for a program; numbers that aren't finite are null."""
    plan = results.plan
    return {
        "experiment": plan.experiment,
        "as_of": results.as_of.isoformat(),
        "state": verdict.state,
        "verdict": verdict.sentence,
        "winner": verdict.winner or None,
        "warnings": list(verdict.warnings),
        "control": plan.control,
        "alpha": plan.alpha,
        "planned_units": plan.planned,
        "sample_ratio": [
            {
                "phase": each.phase,
                "units": dict(each.counts),
                "weights": dict(each.weights),
                "p": each.allocation.p,
                "e": _finite(each.allocation.e),
                "stopped": each.allocation.stopped,
            }
            for each in results.ratios
        ],
        "metrics": [metric_json(each) for each in results.metrics],
    }


def metric_json(result: MetricResult) -> dict[str, Any]:
    """One metric: its arms, and each variant against control."""
    metric = result.metric
    return {
        "name": metric.name,
        "kind": "rate" if metric.boolean else "mean",
        "use": metric.use,
        "matures_after_seconds": metric.matures_after.total_seconds(),
        "missing_p": result.missing_p,
        "variants": [_arm_json(arm, result) for arm in result.arms],
    }


def _arm_json(arm: Arm, result: MetricResult) -> dict[str, Any]:
    each = result.against_control(arm.variant)
    return {
        "variant": arm.variant,
        "exposed": arm.exposed,
        "excluded": dict(arm.excluded),
        "maturing": arm.maturing,
        "next_at": arm.next_at.isoformat() if arm.next_at else None,
        "mature": arm.matured,
        "compared": arm.moments.n,
        "causes": dict(arm.causes),
        "value": arm.value,
        "cost_per_success": _numbers(asdict(arm.cost)) if arm.cost else None,
        "against_control": _comparison_json(each) if each else None,
    }


def _comparison_json(each: Comparison) -> dict[str, Any]:
    return _numbers(
        {
            "difference": each.effect.difference,
            "error": each.effect.error,
            "low": each.interval.low,
            "high": each.interval.high,
            "p": each.interval.p,
            "adjusted_p": each.adjusted_p,
            "e": each.interval.e,
            "chance_to_win": each.chance.to_win,
            "expected_loss": each.chance.expected_loss,
            "safe": each.is_safe if each.guardrail else None,
        }
    )


def _numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _finite(value) if isinstance(value, float) else value for name, value in fields.items()}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


__all__ = [
    "as_json",
    "judgement_json",
    "metric_json",
    "print_judgement",
    "print_results",
    "print_segments",
    "span",
    "value_text",
]
