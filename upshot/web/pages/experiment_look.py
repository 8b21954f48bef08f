"""What the page of an experiment reads, as of one instant; and the units behind its numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from upshot.errors import ConfigurationError
from upshot.ingest.answers import Problem
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.population import CAUSES, population
from upshot.insights.experiments.reading import read_charted, read_results
from upshot.insights.experiments.registry import observed_plan, parse_metric, read_plan, with_metrics
from upshot.insights.experiments.results import MetricResult, Results, segments
from upshot.insights.pages.experiments import (
    course,
    course_query,
    known_since,
    times_query,
    times_to_outcome,
    units_query,
)
from upshot.insights.pages.query import PageQuery, Slice
from upshot.insights.reader import Reader
from upshot.insights.statistics.survival import Departures
from upshot.web.pages.as_of import as_of_known
from upshot.web.pages.experiment_readings import Readings, further_readings
from upshot.web.site import PageRequest

#: Units on one screen.
_SCREEN = 200
#: States of units beside their causes.
STATES = ("mature", "maturing", "excluded", *CAUSES)


@dataclass(frozen=True)
class ChartedUnits:
    """The effect over time, the time to outcome of each variant, and the queries of the sums behind both."""

    course: Sequence[tuple[datetime, MetricResult]] = ()
    course_of: PageQuery | None = None
    times: Mapping[str, list[Departures]] = field(default_factory=dict)
    times_of: PageQuery | None = None


@dataclass(frozen=True)
class Look:
    """All that the page of an experiment reads, as of one instant."""

    at: datetime
    note: str
    since: datetime | None
    plan: ExperimentPlan
    metric: PlannedMetric | None
    found: Results
    charts: ChartedUnits
    segments: dict[str, MetricResult]
    readings: Readings


class UnitsLook(NamedTuple):
    """The first units of one state, and what they were read by."""

    plan: ExperimentPlan
    metric: PlannedMetric
    at: datetime
    query: PageQuery
    found: Slice


async def look_at(asked: PageRequest, is_large: bool) -> Look:
    """Read all of it, as the address asks; of a large experiment as far as its rows are written."""
    name = asked.part("experiment")
    at, note = await as_of_known(asked, waits=not is_large)
    since, plan = await asyncio.gather(
        asked.read(known_since, asked.reader, name), asked.read(_plan, asked.reader, name, at, asked)
    )
    metric = _chosen(asked, plan)
    if phase := asked.query.text("phase"):
        plan = _of_phase(plan, phase)
    by = asked.query.text("segment")
    (found, charts), parts, readings = await asyncio.gather(
        asked.read(_charted, asked.reader, plan, metric, at),
        _segments(asked, plan, metric, at, by),
        further_readings(asked, plan, metric, at),
    )
    return Look(at, note, since, plan, metric, found, charts, parts, readings)


async def look_at_units(asked: PageRequest, is_large: bool) -> UnitsLook:
    """Read the first units, as the address asks; of a large experiment as far as its rows are written."""
    name = asked.part("experiment")
    at, _ = await as_of_known(asked, waits=not is_large)
    plan = await asked.read(_plan, asked.reader, name, at, asked)
    metric = _chosen(asked, plan)
    if metric is None:
        raise Problem(400, f"{name} has no metric: name one, as in ?decide=solved:rate:P7D")
    state = asked.query.choice("state", ("", *STATES), "")
    query = units_query(plan, metric, at, asked.query.text("variant"), state)
    return UnitsLook(plan, metric, at, query, await asked.read(query.first, asked.reader, _SCREEN))


def _chosen(asked: PageRequest, plan: ExperimentPlan) -> PlannedMetric | None:
    """The metric of the charts: the one of the address, else the deciding one."""
    wanted = asked.query.text("metric")
    chosen = next((each for each in plan.metrics if each.name == wanted), None)
    if wanted and chosen is None:
        raise Problem(400, f"this experiment has the metrics {', '.join(m.name for m in plan.metrics)}")
    return chosen or plan.deciding or (plan.metrics[0] if plan.metrics else None)


def _charted(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric | None, at: datetime
) -> tuple[Results, ChartedUnits]:
    """The results, with the charts of one metric."""
    if metric is None:
        return read_results(reader, plan, at), ChartedUnits()
    found, spread = read_charted(reader, plan, at, metric)
    if spread is None:
        return found, ChartedUnits()
    asked = plan, spread.charting, found.as_of
    has_times = metric.source == "score"
    return found, ChartedUnits(
        course(plan, spread, found.as_of),
        course_query(*asked),
        times_to_outcome(spread) if has_times else {},
        times_query(*asked) if has_times else None,
    )


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


__all__ = ["STATES", "Look", "UnitsLook", "look_at", "look_at_units"]
