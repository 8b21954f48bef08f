"""`/experiments/{name}`: the verdict in a sentence, then everything it rests on."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any, TypeVar

from upshot.insights.experiments.verdict import verdict
from upshot.insights.pages.experiments import (
    has_exposures,
    registered_record,
    units_query,
)
from upshot.insights.pages.query import PageQuery
from upshot.insights.statistics.survival import kaplan_meier, log_rank, median_time
from upshot.schemas.experiments import Experiment
from upshot.web.charts.effects import EffectAt, differences_over_time
from upshot.web.charts.effects import times_to_outcome as outcome_curves
from upshot.web.charts.plot import NO_PLOT, Plot
from upshot.web.pages.as_of import moved, slider
from upshot.web.pages.experiment_cards import metric_card, segment_rows
from upshot.web.pages.experiment_list import just_changed
from upshot.web.pages.experiment_look import STATES, Look, UnitsLook, look_at, look_at_units
from upshot.web.remembered import AnswerCache, NewAnswer
from upshot.web.site import PageRequest
from upshot.web.views import View

T = TypeVar("T")

#: Seconds until a page whose change isn't stored yet is loaded again.
_BEHIND = 1
#: Exposures of an experiment whose results are reused.
_MANY = 50_000


class ExperimentPages:
    """The pages of experiments of one server: what is read of many exposures is kept for a while."""

    def __init__(self) -> None:
        self._looks = AnswerCache[Look]()
        self._units = AnswerCache[UnitsLook]()

    async def experiment(self, asked: PageRequest) -> View:
        """The results of one experiment as of now or of an earlier instant."""
        moved(asked)
        record = await asked.read(registered_record, asked.reader, asked.part("experiment"))
        return _view(asked, record, await self._reused(asked, self._looks, look_at, record))

    async def units(self, asked: PageRequest) -> View:
        """The units behind an experiment's numbers."""
        look = await self._reused(asked, self._units, look_at_units)
        name, state, variant = look.plan.experiment, asked.query.text("state"), asked.query.text("variant")
        data = {"name": name, "metric": look.metric.name, "as_of": look.at, "units": look.found.rows,
                "more": look.found.more, "variant": variant, "state": state}  # fmt: skip
        extras = {"plan": look.plan, "states": STATES}
        return View("units.html", f"{name}: units", data, extras, export=look.query)

    async def _reused(
        self,
        asked: PageRequest,
        cache: AnswerCache[T],
        work: Callable[[PageRequest, bool], Awaitable[T]],
        record: Experiment | None = None,
    ) -> T:
        """What `work` finds: of many exposures, and as of now, that of a while ago with the same record.

        Whoever has just changed the experiment sees the change before its record is stored.
        """
        is_large = await asked.read(has_exposures, asked.reader, asked.part("experiment"), _MANY)

        async def found() -> NewAnswer[T]:
            return NewAnswer(await work(asked, is_large), is_large)

        state = asked.query.rest("zone", "format", "share", "share_until")
        if not is_large or "as_of" in state or "changed" in state:
            return (await found()).answer
        changed_at = record.changed_at.isoformat() if record else ""
        known = await cache.answer(json.dumps([asked.part("experiment"), changed_at, state]), found)
        asked.ages.append(monotonic() - known.asked_at)
        return known.answer


def _view(asked: PageRequest, record: Experiment | None, look: Look) -> View:
    name, plan, found, metric = asked.part("experiment"), look.plan, look.found, look.metric
    judged = verdict(found)
    over_time, times = _course(asked, look), _outcome_times(look)
    is_behind = _is_behind(asked, record)
    data = {"name": name, "as_of": look.at, "note": look.note, "verdict": judged, "plan": plan,
            "record": record.model_dump(mode="json") if record else None,
            "results": asdict(found), "metric": metric.name if metric else "", "course": over_time.points,
            "median_hours": times.medians, "log_rank_p": times.log_rank, "segments": look.segments,
            **(look.readings.data or {})}  # fmt: skip
    extras = {
        "found": found,
        "judged": judged,
        "cards": [metric_card(result, plan) for result in found.metrics],
        "over_time": over_time,
        "times": times,
        "by": asked.query.text("segment"),
        "readings": look.readings,
        "rows_of_segments": segment_rows(look.segments, plan),
        "percent_metric": metric.boolean if metric else False,
        "slider": slider(look.since, asked.now, asked.query.instant("as_of")),
        "asked_as_of": asked.query.text("as_of"),
        "chosen": metric,
        "registered": record,
        "change": asked.query.instant("changed"),
        "is_behind": is_behind,
        "winner": judged.winner or plan.control,
    }
    export = units_query(plan, metric, look.at) if metric else None
    return View("experiment.html", name, data, extras, export=export, again=_BEHIND if is_behind else 0)


def _is_behind(asked: PageRequest, record: Experiment | None) -> bool:
    """Whether the change that led to this page isn't stored yet."""
    change = asked.query.instant("changed")
    is_stored = record is not None and change is not None and record.changed_at >= change
    return just_changed(asked) and not is_stored


@dataclass(frozen=True)
class _Course:
    """The effect over time; `query` has the sums behind it."""

    plot: Plot = NO_PLOT
    points: Sequence[Mapping[str, Any]] = ()
    query: PageQuery | None = None


def _course(asked: PageRequest, look: Look) -> _Course:
    """Each variant's difference to control, by the time at which the units became mature."""
    metric, plan = look.metric, look.plan
    if metric is None or look.charts.course_of is None:
        return _Course()
    series = {
        variant: [
            EffectAt(then, each.effect.difference, each.interval.low, each.interval.high)
            for then, result in look.charts.course
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
    drawn = differences_over_time(text, series, label, asked.frame.clock.at)
    return _Course(drawn, rows, look.charts.course_of)


@dataclass(frozen=True)
class _Times:
    """The time to outcome of each variant; `log_rank` has the p-value of each variant against control."""

    plot: Plot = NO_PLOT
    medians: Mapping[str, float] = field(default_factory=dict)
    log_rank: Mapping[str, float] = field(default_factory=dict)
    query: PageQuery | None = None


def _outcome_times(look: Look) -> _Times:
    times, plan = look.charts.times, look.plan
    if look.metric is None or not any(each.events for left in times.values() for each in left):
        return _Times()
    ordered = {arm: times[arm] for arm in plan.arms if arm in times}
    control = ordered.get(plan.control)
    compared = {
        arm: log_rank(control, left) for arm, left in ordered.items() if control and arm != plan.control
    }
    medians = {arm: median_time(kaplan_meier(left)) for arm, left in ordered.items()}
    label = f"Share of units with an outcome for {look.metric.name}, by the time since the exposure"
    return _Times(outcome_curves(label, ordered), medians, compared, look.charts.times_of)


__all__ = ["ExperimentPages"]
