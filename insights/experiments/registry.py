"""The plan of an experiment: from the registry's records, else from the exposures themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from upshot.errors import ConfigurationError
from upshot.insights.experiments.plan import MEASURES, ExperimentPlan, PlannedMetric, PlannedPhase
from upshot.insights.experiments.units import MADE_AT
from upshot.insights.reader import Reader
from upshot.schemas.experiments import Experiment, ExperimentMetric, Phase

#: n* of an experiment that plans no number of units.
PLANNED = 5_000
#: How far the probabilities of a phase may add up to something else than 1 and still be taken for its
#: weights.
_ROUNDING = 0.02
#: What no change after the start moves, beside the metrics.
_FIXED = ("control", "unit", "alpha", "planned", "mde", "cap")


def plan_of(record: Experiment) -> ExperimentPlan:
    """The plan of a record of the registry."""
    phases, ended = _phases(record), record.shipped.at if record.shipped else None
    return ExperimentPlan(
        experiment=record.experiment,
        control=record.control or sorted(record.variants)[0],
        phases=tuple(
            PlannedPhase(each.phase, dict(each.weights), each.started_at, each.reason) for each in phases
        ),
        metrics=tuple(_metric(each) for each in record.metrics),
        alpha=record.alpha,
        planned=record.planned_units or PLANNED,
        mde=record.mde,
        started=phases[0].started_at,
        shipped=record.shipped.variant if record.shipped else "",
        variants=tuple(record.variants),
        adaptive=record.strategy == "adaptive",
        unit=record.unit,
        cap=record.cap,
        ended=ended,
        ended_phases=tuple(each.phase for each in record.all_phases if each not in phases),
    )


def _phases(record: Experiment) -> list[Phase]:
    """The phases that compare variants: those opened by shipping give everybody the winner."""
    first, *later = record.all_phases
    shipped = record.shipped
    return [first, *(each for each in later if shipped is None or each.started_at < shipped.at)]


def _metric(declared: ExperimentMetric) -> PlannedMetric:
    return PlannedMetric(
        name=declared.name,
        use=declared.role,
        boolean=declared.kind == "rate",
        window=declared.window or timedelta(0),
        horizon=declared.horizon,
        grace=declared.grace,
        missing=declared.missing,
        lower_is_better=declared.better == "lower",
        margin=declared.margin or 0.0,
    )


def read_plan(reader: Reader, experiment: str, as_of: datetime) -> ExperimentPlan | None:
    """The plan by the registry's last record as of an instant; None where the registry had no record then."""
    rows = reader.query(
        "SELECT record FROM experiment_changes WHERE experiment = {experiment:String} AND "
        "recorded_at <= {as_of:DateTime64(6, 'UTC')} ORDER BY recorded_at DESC, offset DESC LIMIT 1",
        {"experiment": experiment, "as_of": as_of},
    ).rows
    if not rows:
        return None
    return since_start(reader, plan_of(Experiment.model_validate_json(rows[0][0])), as_of)


def since_start(reader: Reader, plan: ExperimentPlan, as_of: datetime) -> ExperimentPlan:
    """The plan of a record as its results are read: with all that was fixed at the start, by the store."""
    first = reader.query(
        "SELECT record FROM experiment_changes WHERE experiment = {experiment:String} AND status = 'running' "
        "AND recorded_at <= {as_of:DateTime64(6, 'UTC')} ORDER BY recorded_at, offset LIMIT 1",
        {"experiment": plan.experiment, "as_of": as_of},
    ).rows
    return as_started(plan, plan_of(Experiment.model_validate_json(first[0][0]))) if first else plan


def as_started(plan: ExperimentPlan, start: ExperimentPlan) -> ExperimentPlan:
    """The plan with all that was fixed at the start, and the names of what was changed since.

    Metrics named later are exploratory; an experiment started without metrics takes its later ones.
    """
    changed = [name for name in _FIXED if getattr(plan, name) != getattr(start, name)]
    metrics = plan.metrics
    if start.metrics:
        known = {metric.name for metric in start.metrics}
        late = [replace(metric, use="exploratory") for metric in plan.metrics if metric.name not in known]
        if [metric for metric in plan.metrics if metric.name in known] != list(start.metrics):
            changed.append("metrics")
        metrics = (*start.metrics, *late)
    fixed: dict[str, Any] = {name: getattr(start, name) for name in _FIXED}
    return replace(plan, **fixed, metrics=metrics, changed=tuple(changed))


def observed_plan(reader: Reader, experiment: str, as_of: datetime, control: str | None) -> ExperimentPlan:
    """The plan of an experiment that the registry doesn't know, as far as its exposures show it.

    A phase's weights are its variants' probabilities, where the exposures carry them and they add up to 1;
    else they are unknown, and the sample ratio can't be checked. Raises ConfigurationError where there is no
    exposure either, or several variants and no `control`.
    """
    rows = reader.query(
        "SELECT phase, variant, avg(probability) AS share, countIf(probability IS NULL) AS unknown, "
        f"min({MADE_AT}) AS began FROM exposures WHERE experiment = {{experiment:String}} AND "
        "recorded_at <= {as_of:DateTime64(6, 'UTC')} AND strategy != 'forced' "
        "GROUP BY phase, variant ORDER BY phase, variant",
        {"experiment": experiment, "as_of": as_of},
    ).objects()
    if not rows:
        raise ConfigurationError(_unknown(reader, experiment, as_of))
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    if control is None and len(variants) > 1:
        raise ConfigurationError(
            f"the registry has no experiment {experiment}; its exposures name {', '.join(variants)}: say "
            "which one the others are compared with, by --control"
        )
    if control is not None and control not in variants:
        raise ConfigurationError(
            f"no exposure of {experiment} names {control}; there are {', '.join(variants)}"
        )
    phases = []
    for name in dict.fromkeys(row["phase"] for row in rows):
        own = [row for row in rows if row["phase"] == name]
        shares = {row["variant"]: float(row["share"]) for row in own if not int(row["unknown"])}
        known = len(shares) == len(own) and abs(sum(shares.values()) - 1) < _ROUNDING
        began = min(datetime.fromisoformat(row["began"]).replace(tzinfo=UTC) for row in own)
        phases.append(PlannedPhase(name, shares if known else {}, began))
    phases.sort(key=lambda phase: (phase.began or as_of, phase.phase))
    return ExperimentPlan(
        experiment, control or variants[0], tuple(phases), (), planned=PLANNED, variants=tuple(variants)
    )


def _unknown(reader: Reader, experiment: str, as_of: datetime) -> str:
    named = reader.query(
        "SELECT experiment FROM (SELECT DISTINCT experiment FROM experiment_changes UNION DISTINCT "
        "SELECT DISTINCT toString(experiment) FROM exposures) ORDER BY experiment LIMIT 10"
    ).rows
    known = ", ".join(str(row[0]) for row in named)
    there = f"there are {known}" if known else "nobody has been exposed to any experiment yet"
    return (
        f"no experiment {experiment} was known by {as_of:%Y-%m-%d %H:%M} UTC, neither in the registry nor by "
        f"an exposure: {there}"
    )


def with_metrics(plan: ExperimentPlan, metrics: Sequence[PlannedMetric]) -> ExperimentPlan:
    """The plan with further metrics. Beside metrics fixed at the start, later ones are exploratory."""
    fixed = {metric.name for metric in plan.metrics}
    late = [replace(each, use="exploratory") if plan.metrics else each for each in metrics]
    return replace(plan, metrics=(*plan.metrics, *(each for each in late if each.name not in fixed)))


def parse_metric(text: str, *, guardrail: bool = False) -> PlannedMetric:
    """`solved:rate:P7D` or `cost_usd:mean:+10%`: name, `rate` or `mean`, window; a guardrail's margin
    instead.

    A margin with a plus is how much higher a guardrail may get, with a minus how much lower. Raises
    ConfigurationError, saying how to write it.
    """
    name, kind, *more = (
        [part.strip() for part in text.split(":")] if text.count(":") else (text.strip(), "rate")
    )
    if not name or kind not in ("rate", "mean"):
        raise ConfigurationError(
            f"a metric is written NAME:rate:P7D or NAME:mean:P7D, a guardrail NAME:mean:+10%, not {text!r}"
        )
    metric = PlannedMetric(name, use="guardrail" if guardrail else "decision", boolean=kind == "rate")
    for part in more:
        metric = _with_margin(metric, part, text) if part.endswith("%") else _with_window(metric, part, text)
    if guardrail and not metric.margin:
        raise ConfigurationError(f"a guardrail has a margin, as in {name}:{kind}:+10%; {text!r} has none")
    return replace(metric, lower_is_better=metric.lower_is_better or (name in MEASURES))


def _with_margin(metric: PlannedMetric, part: str, text: str) -> PlannedMetric:
    try:
        value = float(part.removesuffix("%")) / 100
    except ValueError:
        raise ConfigurationError(f"a margin is written +10% or -5%, not {part!r} as in {text!r}") from None
    return replace(metric, margin=abs(value), lower_is_better=value > 0)


def _with_window(metric: PlannedMetric, part: str, text: str) -> PlannedMetric:
    try:
        declared = ExperimentMetric(name=metric.name, window=part)
    except ValueError:
        raise ConfigurationError(
            f"a window is an ISO 8601 duration such as P7D or PT1H, not {part!r} in {text!r}"
        ) from None
    return replace(metric, window=declared.window or timedelta(0), grace=declared.grace)


__all__ = [
    "PLANNED",
    "as_started",
    "observed_plan",
    "parse_metric",
    "plan_of",
    "read_plan",
    "since_start",
    "with_metrics",
]
