"""`/experiments/{name}`: the verdict in a sentence, then everything it rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from math import ceil
from typing import Any

from upshot.errors import ConfigurationError
from upshot.ingest.answers import Problem
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.population import CAUSES, population
from upshot.insights.experiments.reading import read_results
from upshot.insights.experiments.registry import observed_plan, parse_metric, read_plan, with_metrics
from upshot.insights.experiments.results import MetricResult, Results, segments
from upshot.insights.experiments.verdict import verdict
from upshot.insights.pages.experiments import (
    POINTS,
    STEPS,
    Slots,
    course,
    course_query,
    known_since,
    registered_record,
    times_query,
    times_to_outcome,
    units_query,
)
from upshot.insights.pages.query import PageQuery
from upshot.insights.reader import Reader
from upshot.insights.statistics.survival import kaplan_meier, log_rank, median_time
from upshot.schemas.experiments import Experiment
from upshot.web.charts.effects import EffectAt, differences_over_time
from upshot.web.charts.effects import times_to_outcome as outcome_curves
from upshot.web.charts.plot import NO_PLOT, Plot
from upshot.web.pages.as_of import as_of_known, moved, slider
from upshot.web.pages.experiment_cards import metric_card, segment_rows
from upshot.web.pages.experiment_list import just_changed
from upshot.web.pages.experiment_readings import further_readings
from upshot.web.site import PageRequest
from upshot.web.views import View

#: Seconds until a page whose change isn't stored yet is loaded again.
_BEHIND = 1
_SCREEN = 200
#: States of units beside their causes.
STATES = ("mature", "maturing", "excluded", *CAUSES)


async def experiment(asked: PageRequest) -> View:
    """The results of one experiment as of now or of an earlier instant."""
    moved(asked)
    name = asked.part("experiment")
    at, note = await as_of_known(asked)
    record, since, plan = await asyncio.gather(
        asked.read(registered_record, asked.reader, name),
        asked.read(known_since, asked.reader, name),
        asked.read(_plan, asked.reader, name, at, asked),
    )
    metric = _chosen(asked, plan)
    if phase := asked.query.text("phase"):
        plan = _of_phase(plan, phase)
    found = await asked.read(read_results, asked.reader, plan, at)
    by = asked.query.text("segment")
    over_time, times, parts, readings = await asyncio.gather(
        _over_time(asked, plan, metric, found),
        _times(asked, plan, metric, found),
        _segments(asked, plan, metric, at, by),
        further_readings(asked, plan, metric, at),
    )
    judged = verdict(found)
    is_behind = _is_behind(asked, record)
    data = {"name": name, "as_of": at, "note": note, "verdict": judged, "plan": plan,
            "record": record.model_dump(mode="json") if record else None,
            "results": asdict(found), "metric": metric.name if metric else "", "course": over_time.points,
            "median_hours": times.medians, "log_rank_p": times.log_rank, "segments": parts,
            **(readings.data or {})}  # fmt: skip
    extras = {
        "found": found,
        "judged": judged,
        "cards": [metric_card(result, plan) for result in found.metrics],
        "over_time": over_time,
        "times": times,
        "by": by,
        "readings": readings,
        "rows_of_segments": segment_rows(parts, plan),
        "percent_metric": metric.boolean if metric else False,
        "slider": slider(since, asked.now, asked.query.instant("as_of")),
        "asked_as_of": asked.query.text("as_of"),
        "chosen": metric,
        "registered": record,
        "change": asked.query.instant("changed"),
        "is_behind": is_behind,
        "winner": judged.winner or plan.control,
    }
    export = units_query(plan, metric, at) if metric else None
    return View("experiment.html", name, data, extras, export=export, again=_BEHIND if is_behind else 0)


def _is_behind(asked: PageRequest, record: Experiment | None) -> bool:
    """Whether the change that led to this page isn't stored yet."""
    change = asked.query.instant("changed")
    is_stored = record is not None and change is not None and record.changed_at >= change
    return just_changed(asked) and not is_stored


async def units(asked: PageRequest) -> View:
    """The units behind an experiment's numbers."""
    name = asked.part("experiment")
    at, _ = await as_of_known(asked)
    plan = await asked.read(_plan, asked.reader, name, at, asked)
    metric = _chosen(asked, plan)
    if metric is None:
        raise Problem(400, f"{name} has no metric: name one, as in ?decide=solved:rate:P7D")
    state = asked.query.choice("state", ("", *STATES), "")
    variant = asked.query.text("variant")
    query = units_query(plan, metric, at, variant, state)
    found = await asked.read(query.first, asked.reader, _SCREEN)
    data = {"name": name, "metric": metric.name, "as_of": at, "units": found.rows, "more": found.more,
            "variant": variant, "state": state}  # fmt: skip
    extras = {"plan": plan, "states": STATES}
    return View("units.html", f"{name}: units", data, extras, export=query)


def _chosen(asked: PageRequest, plan: ExperimentPlan) -> PlannedMetric | None:
    """The metric of the charts: the one of the address, else the deciding one."""
    wanted = asked.query.text("metric")
    chosen = next((each for each in plan.metrics if each.name == wanted), None)
    if wanted and chosen is None:
        raise Problem(400, f"this experiment has the metrics {', '.join(m.name for m in plan.metrics)}")
    return chosen or plan.deciding or (plan.metrics[0] if plan.metrics else None)


@dataclass(frozen=True)
class _Course:
    """The effect over time; `query` has the sums behind it."""

    plot: Plot = NO_PLOT
    points: Sequence[Mapping[str, Any]] = ()
    query: PageQuery | None = None


async def _over_time(
    asked: PageRequest, plan: ExperimentPlan, metric: PlannedMetric | None, found: Results
) -> _Course:
    """Each variant's difference to control, by the time at which the units became mature."""
    if metric is None or found.first_exposed_at is None:
        return _Course()
    at, start = found.as_of, found.first_exposed_at + metric.matures_after
    if start >= at:
        return _Course()
    slots = Slots.of(start, at, POINTS)
    query = course_query(plan, metric, at, slots)
    single = replace(plan, metrics=(metric,))
    points = course(single, metric, at, slots, await asked.rows(query))
    series = {
        variant: [
            EffectAt(then, each.effect.difference, each.interval.low, each.interval.high)
            for then, result in points
            if (each := result.against_control(variant))
        ]
        for variant in plan.arms[1:]
    }
    unit, scale = (" pts", 100) if metric.boolean else ("", 1)

    def label(value: float) -> str:
        return f"{scale * value:+.3g}{unit}" if value else "0"

    text = f"Difference in {metric.name} to {plan.control} over time, with always-valid intervals"
    rows = [
        {"variant": variant, "at": each.at, "difference": each.value, "low": each.low, "high": each.high}
        for variant, own in series.items()
        for each in own
    ]
    return _Course(differences_over_time(text, series, label, asked.frame.clock.at), rows, query)


@dataclass(frozen=True)
class _Times:
    """The time to outcome of each variant; `log_rank` has the p-value of each variant against control."""

    plot: Plot = NO_PLOT
    medians: Mapping[str, float] = field(default_factory=dict)
    log_rank: Mapping[str, float] = field(default_factory=dict)
    query: PageQuery | None = None


async def _times(
    asked: PageRequest, plan: ExperimentPlan, metric: PlannedMetric | None, found: Results
) -> _Times:
    if metric is None or metric.source != "score" or found.first_exposed_at is None:
        return _Times()
    longest = metric.matures_after or found.as_of - found.first_exposed_at
    seconds = max(1, ceil(longest.total_seconds() / STEPS))
    query = times_query(plan, metric, found.as_of, seconds)
    times = times_to_outcome(await asked.rows(query), seconds)
    if not any(each.events for left in times.values() for each in left):
        return _Times()
    ordered = {arm: times[arm] for arm in plan.arms if arm in times}
    control = ordered.get(plan.control)
    compared = {
        arm: log_rank(control, left) for arm, left in ordered.items() if control and arm != plan.control
    }
    medians = {arm: median_time(kaplan_meier(left)) for arm, left in ordered.items()}
    label = f"Share of units with an outcome for {metric.name}, by the time since the exposure"
    return _Times(outcome_curves(label, ordered), medians, compared, query)


async def _segments(
    asked: PageRequest, plan: ExperimentPlan, metric: PlannedMetric | None, at: datetime, by: str
) -> dict[str, MetricResult]:
    if not by or metric is None:
        return {}
    return segments(plan, await asked.read(population, asked.reader, plan, metric, at, by))


def _of_phase(plan: ExperimentPlan, phase: str) -> ExperimentPlan:
    chosen = tuple(each for each in plan.phases if each.phase == phase)
    if not chosen:
        raise Problem(400, f"this experiment has the phases {', '.join(each.phase for each in plan.phases)}")
    others = tuple(each.phase for each in plan.phases if each.phase != phase)
    return replace(plan, phases=chosen, other_phases=others)


def _plan(reader: Reader, name: str, at: datetime, asked: PageRequest) -> ExperimentPlan:
    further = [parse_metric(text) for text in asked.query.texts("decide")]
    further += [parse_metric(text, guardrail=True) for text in asked.query.texts("guard")]
    plan = read_plan(reader, name, at)
    if plan is None:
        try:
            plan = observed_plan(reader, name, at, asked.query.text("control") or None)
        except ConfigurationError as error:
            status = 404 if str(error).startswith("no experiment") else 400
            advice = str(error).replace("by --control", "by ?control=VARIANT")
            now = [{"text": "as of now", "link": asked.frame.here(as_of=None)}]
            raise Problem(status, advice, nearest=now if asked.query.text("as_of") else []) from None
    return with_metrics(plan, further)


__all__ = ["experiment", "units"]
