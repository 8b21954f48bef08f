"""What an experiment's page shows beside its results: its record, its units, and their course in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

from upshot.insights.experiments.charting import STEPS, Charting, Spread
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.results import MetricResult, results
from upshot.insights.experiments.row_units import CODES, EXCLUSION, NAMED, RANK, named_units, units_of_rows
from upshot.insights.experiments.units import CAUSES, HIDDEN, Cell, Population, parameters
from upshot.insights.pages.query import PageQuery
from upshot.insights.reader import Reader
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.survival import Departures
from upshot.schemas.experiments import Experiment

#: Units that count, by the time at which each became mature.
_COURSE = """\
SELECT phase, variant,
    intDiv(greatest(0, dateDiff('second', {start:DateTime64(6, 'UTC')}, matures_at)), {seconds:UInt32})
        AS slot,
    count() AS n, sum(y) AS sum_y, sum(y * y) AS sum_yy, sum(m) AS sum_m, sum(m * m) AS sum_mm,
    sum(y * m) AS sum_ym
FROM
(
%s
)
WHERE exclusion = '' AND mature AND m > 0
GROUP BY phase, variant, slot
ORDER BY slot, phase, variant"""

_NOW = "toUnixTimestamp64Micro({as_of:DateTime64(6, 'UTC')})"
#: A unit leaves by the outcome of its first run, else at its maturity or now, whichever is first.
_TIMES = f"""\
SELECT named.variant AS variant, slot, sum(came_then) AS outcomes, sum(left_then) AS without
FROM
(
    SELECT
        arm,
        least(
            {{steps:UInt32}} - 1,
            intDiv(
                greatest(0, if(outcome != 0, outcome, least(matures_micros, {_NOW})) - first_micros),
                1000000 * toUInt64({{seconds:UInt32}})
            )
        ) AS slot,
        any(excluded) AS excluded, countIf(outcome != 0) AS came_then, countIf(outcome = 0) AS left_then
    FROM (%s) AS each
    WHERE each.excluded = 0
    GROUP BY arm, slot
) AS gone
INNER JOIN ({NAMED}) AS named ON named.arm = gone.arm
WHERE {EXCLUSION} = ''
GROUP BY variant, slot
ORDER BY variant, slot"""

_CAUSE = f"transform(cause_code, {[*CODES.values()]}, {[*CODES]}, '')"
_STATE = f"multiIf(exclusion != '', exclusion, NOT mature, 'maturing', {_CAUSE})"
_UNITS = f"""\
SELECT
    unit AS key, first_rank, first_micros, named.variant AS variant, named.phase AS phase,
    {EXCLUSION} AS exclusion, {_STATE} AS state, y, c, matures_micros
FROM (%s) AS each
INNER JOIN ({NAMED}) AS named ON named.arm = each.arm%s
ORDER BY first_rank DESC, key%s"""
#: The names of the units, from the rows of their first exposures.
_WITH_NAMES = f"""\
SELECT
    fromUnixTimestamp64Micro(found.first_micros, 'UTC') AS first_at, row.unit AS unit, row.run_id AS run_id,
    found.variant AS variant, found.phase AS phase, found.state AS state, found.y AS value,
    found.c AS cost_usd, fromUnixTimestamp64Micro(found.matures_micros, 'UTC') AS matures_at
FROM
(
    SELECT unit_key, {RANK} AS rank, unit, run_id FROM exposure_rows
    WHERE experiment = {{experiment:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
        AND NOT carried AND origin != 'replay'
) AS row
RIGHT ANY JOIN
(
%s
) AS found ON found.key = row.unit_key AND found.first_rank = row.rank
ORDER BY first_at DESC, unit"""


def registered_record(reader: Reader, experiment: str) -> Experiment | None:
    """The latest stored record; None for an experiment that the registry lacks."""
    rows = reader.query(
        "SELECT record FROM experiments WHERE experiment = {experiment:String}", {"experiment": experiment}
    ).rows
    return Experiment.model_validate_json(rows[0][0]) if rows else None


def has_exposures(reader: Reader, experiment: str, count: int) -> bool:
    """Whether an experiment has so many exposures."""
    rows = reader.query(
        "SELECT count() FROM (SELECT 1 FROM exposure_rows WHERE experiment = {experiment:String} "
        "LIMIT {count:UInt64})",
        {"experiment": experiment, "count": count},
    ).rows
    return int(rows[0][0]) >= count


def known_since(reader: Reader, experiment: str) -> datetime | None:
    """The instant of the first record about an experiment: results as of an earlier one there are none."""
    for source in ("experiment_changes", "exposures"):
        rows = reader.query(
            f"SELECT minOrNull(recorded_at) FROM {source} WHERE experiment = {{experiment:String}}",
            {"experiment": experiment},
        ).rows
        if rows[0][0]:
            return datetime.fromisoformat(rows[0][0]).replace(tzinfo=UTC)
    return None


def course_query(plan: ExperimentPlan, charting: Charting, as_of: datetime) -> PageQuery:
    """The sums of units by variant and the part of the time in which they became mature."""
    slots = charting.slots
    return PageQuery(
        _COURSE % named_units(charting.metric),
        {**parameters(plan, charting.metric, as_of), "start": slots.start, "seconds": slots.seconds},
    )


def course(plan: ExperimentPlan, spread: Spread, as_of: datetime) -> list[tuple[datetime, MetricResult]]:
    """The result at the end of each part, over the units that had become mature by then.

    A unit counts from its maturity on, by the events' own clock, with its value as of `as_of`: the last point
    is the present result.
    """
    metric, slots = spread.charting.metric, spread.charting.slots
    single = replace(plan, metrics=(metric,))
    sums: dict[tuple[str, str], Moments] = {}
    found: list[tuple[datetime, MetricResult]] = []
    for slot, own in groupby(spread.matured, key=lambda each: each.slot):
        for each in own:
            key = (each.phase, each.variant)
            sums[key] = sums.get(key, Moments()) + each.moments
        at = min(as_of, slots.end(slot))
        cells = tuple(_cell(phase, variant, moments, at) for (phase, variant), moments in sums.items())
        found.append((at, results(single, [Population(metric, at, cells, (), 0.0, 0)]).metrics[0]))
    return found


def _cell(phase: str, variant: str, moments: Moments, at: datetime) -> Cell:
    return Cell(
        phase=phase,
        variant=variant,
        exclusion="",
        segment="",
        exposed=moments.n,
        carried=0,
        first_exposed_at=at,
        maturing=0,
        next_at=None,
        matured=moments.n,
        causes=dict.fromkeys(CAUSES, 0),
        moments=moments,
        costs=Moments(),
    )


def times_query(plan: ExperimentPlan, charting: Charting, as_of: datetime) -> PageQuery:
    """When units had their outcome, by variant and steps since the exposure."""
    metric = charting.metric
    return PageQuery(
        _TIMES % units_of_rows([metric], "outcome"),
        {**parameters(plan, metric, as_of), "seconds": charting.seconds, "steps": STEPS},
    )


def times_to_outcome(spread: Spread) -> Mapping[str, list[Departures]]:
    """The units of each variant as departures, in hours."""
    found: dict[str, list[Departures]] = {}
    for each in spread.left:
        hours = (each.step + 1) * spread.charting.seconds / 3600
        leaving = Departures(hours, {"outcome": each.outcomes}, each.without)
        found.setdefault(each.variant, []).append(leaving)
    return found


def units_query(
    plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, variant: str = "", state: str = ""
) -> PageQuery:
    """The units behind the numbers: all, those of a variant, those of a state.

    States are `mature`, `maturing`, `excluded`, and the causes of mature units.
    """
    asked = parameters(plan, metric, as_of)
    conditions = [f"NOT {HIDDEN % {'phase': 'named.phase'}}"]
    if variant:
        conditions.append("variant = {variant:String}")
        asked["variant"] = variant
    match state:
        case "":
            pass
        case "mature":
            conditions.append("mature AND exclusion = ''")
        case "excluded":
            conditions.append("exclusion != ''")
        case _:
            conditions.append("state = {state:String}")
            asked["state"] = state
    where = "\nWHERE " + " AND ".join(conditions)
    units = units_of_rows([metric])
    every, first = (_WITH_NAMES % (_UNITS % (units, where, limit)) for limit in ("", "\nLIMIT {rows:UInt32}"))
    return PageQuery(every, asked, first)


__all__ = [
    "course",
    "course_query",
    "has_exposures",
    "known_since",
    "registered_record",
    "times_query",
    "times_to_outcome",
    "units_query",
]
