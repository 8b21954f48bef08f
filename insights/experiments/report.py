"""The results of an experiment as plain data: for programs, and for the record of a shipped variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from math import isfinite
from typing import Any

from upshot.insights.experiments.adjusting import Adjustment
from upshot.insights.experiments.delays import Delays
from upshot.insights.experiments.judging import Judgement
from upshot.insights.experiments.reading import read_results
from upshot.insights.experiments.registry import plan_of, since_start
from upshot.insights.experiments.results import Arm, Comparison, MetricResult, Results
from upshot.insights.experiments.verdict import ExperimentVerdict, verdict
from upshot.insights.reader import Reader
from upshot.schemas.experiments import Experiment


def results_of(reader: Reader, record: Experiment, as_of: datetime) -> Mapping[str, Any]:
    """The results of a registered experiment as of an instant, by what was fixed at its start; none without
    metrics.
    """
    plan = since_start(reader, plan_of(record), as_of)
    if not plan.metrics:
        return {}
    found = read_results(reader, plan, as_of)
    return results_json(found, verdict(found))


def results_json(results: Results, judged: ExperimentVerdict) -> dict[str, Any]:
    """All of it for a program; numbers that aren't finite are null."""
    plan = results.plan
    return {
        "experiment": plan.experiment,
        "as_of": results.as_of.isoformat(),
        "state": judged.state,
        "verdict": judged.sentence,
        "winner": judged.winner or None,
        "warnings": list(judged.warnings),
        "scorer_versions": [vars(each) for each in results.versions],
        "agent_versions": [vars(each) for each in results.confounded],
        "control": plan.control,
        "alpha": plan.alpha,
        "planned_units": plan.planned,
        "sample_ratio": [
            {
                "phase": each.phase,
                "units": dict(each.counts),
                "weights": dict(each.weights),
                "p": each.allocation.p,
                "e": finite(each.allocation.e),
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
        "cost_per_success": finite_numbers(asdict(arm.cost)) if arm.cost else None,
        "against_control": _comparison_json(each) if each else None,
    }


def _comparison_json(each: Comparison) -> dict[str, Any]:
    return finite_numbers(
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
            "beyond_margin": each.is_beyond if each.guardrail else None,
        }
    )


def finite_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields without numbers that JSON lacks."""
    return {name: finite(value) if isinstance(value, float) else value for name, value in fields.items()}


def finite(value: float) -> float | None:
    """The number; None for one that JSON lacks."""
    return value if isfinite(value) else None


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """How well a judge foretells the outcome, for a program."""
    return {
        "judge": judgement.judge,
        "metric": judgement.metric.name,
        "variants": [
            {
                "variant": arm.variant,
                "mature": arm.calibration.n,
                "auc": finite(arm.calibration.auc),
                "brier": finite(arm.calibration.brier),
                "bins": [asdict(each) for each in arm.calibration.bins],
                "early_read": asdict(arm.early) if arm.early else None,
                "gap": finite_numbers(asdict(arm.gap)) if arm.gap else None,
            }
            for arm in judgement.arms
        ],
    }


def delays_json(found: Delays) -> dict[str, Any]:
    """How long outcomes take, for a program."""
    return {
        "metric": found.metric.name,
        "outcomes": found.outcomes,
        "p99_seconds_after_exposure": found.after_exposure.total_seconds(),
        "p99_seconds_after_occurrence": found.after_occurrence.total_seconds(),
        "matures_after_seconds": found.metric.matures_after.total_seconds(),
        "covered": found.are_covered,
    }


def adjustment_json(found: Adjustment) -> dict[str, Any]:
    """The adjusted differences for a program."""
    return {
        "metric": found.metric.name,
        "attribute": found.attribute or None,
        "units": found.units,
        "with_history": found.with_history,
        "comparisons": [
            {
                "variant": each.variant,
                "difference": each.effect.difference,
                "low": finite(each.interval.low),
                "high": finite(each.interval.high),
                "p": each.interval.p,
                "variance_explained": each.explained,
            }
            for each in found.comparisons
        ],
    }


__all__ = ["delays_json", "finite", "finite_numbers", "metric_json", "results_json", "results_of"]
