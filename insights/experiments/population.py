"""The population of an experiment by the clock: who counts, who is excluded and why, who is maturing.

Everything starts from exposures, never from scores: a unit without a score counts as a failure or is counted
as missing (intention to treat); starting from scores would compare the survivors alone.

A unit is its first exposure ever: variant, phase and clock are those of that moment, which is the lesser of
the producer's time and Kafka's. It is mature once `horizon + window + grace` have passed. Its value is that
of the scores recorded by `as_of`, of runs exposed within the horizon (of its first run alone for a horizon of
zero). An outcome from before the exposure doesn't count.

Populations are read from `exposure_rows`; until the rows of all older runs are written, from the exact views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from upshot.insights.experiments import exact
from upshot.insights.experiments.charting import Charting, Spread, moments_of, spread_of
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.row_cells import cells_of_rows
from upshot.insights.experiments.row_units import METRICS_AT_ONCE, NAMED, PLANNED, SHARED, suffix
from upshot.insights.experiments.units import (
    CAUSES,
    EXCLUSIONS,
    Cell,
    Population,
    instant,
    parameters,
)
from upshot.insights.experiments.written_rows import has_all_rows
from upshot.insights.reader import Reader
from upshot.insights.statistics.moments import Moments

#: Of more exposed units, subjects of several variants are looked for among about so many, the first.
SUBJECTS = 500_000


def population(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, by: str = ""
) -> Population:
    """Read a metric's population. `by` names a run attribute whose values are the segments.

    `as_of` must not lie after the instant up to which everything is read: `written_rows.read_by`.
    """
    [found] = populations(reader, plan, [metric], as_of, by)
    return found


def populations(
    reader: Reader, plan: ExperimentPlan, metrics: Sequence[PlannedMetric], as_of: datetime, by: str = ""
) -> list[Population]:
    """The populations of several metrics, as of one instant."""
    if not has_all_rows(reader):
        return [exact_population(reader, plan, metric, as_of, by) for metric in metrics]
    return _populations(
        reader, plan, metrics, [_of_rows(reader, plan, each, as_of, by) for each in _scans(metrics)]
    )


def charted_populations(
    reader: Reader, plan: ExperimentPlan, charting: Charting, as_of: datetime
) -> tuple[list[Population], Spread | None]:
    """The populations of all metrics of the plan, and how the units of the charted one spread over time."""
    if not has_all_rows(reader):
        charted = _of_rows(reader, plan, [charting.metric], as_of, charting=charting)
        return populations(reader, plan, plan.metrics, as_of), charted.spread
    first = [charting.metric, *(metric for metric in plan.metrics if metric != charting.metric)]
    read = [
        _of_rows(reader, plan, each, as_of, charting=charting if charting.metric in each else None)
        for each in _scans(first)
    ]
    spread = next((scan.spread for scan in read if scan.spread), None)
    return _populations(reader, plan, plan.metrics, read), spread


class _Scan(NamedTuple):
    """What one scan has found."""

    populations: list[Population]
    spread: Spread | None


def _populations(
    reader: Reader, plan: ExperimentPlan, metrics: Sequence[PlannedMetric], scans: Sequence[_Scan]
) -> list[Population]:
    found = {population.metric: population for scan in scans for population in scan.populations}
    if not found:
        return []
    shared = _shared(reader, plan, next(iter(found.values())))
    return [replace(found[metric], shared_subjects=shared) for metric in metrics]


def _scans(metrics: Sequence[PlannedMetric]) -> list[list[PlannedMetric]]:
    """Metrics that one scan answers together: those of first runs, so many at once; each other one alone."""
    together = [metric for metric in metrics if not metric.horizon]
    scans = [together[start : start + METRICS_AT_ONCE] for start in range(0, len(together), METRICS_AT_ONCE)]
    return [*scans, *([metric] for metric in metrics if metric.horizon)]


def _shared(reader: Reader, plan: ExperimentPlan, population: Population) -> int:
    """Subjects of several variants; of many exposures, those of about the first SUBJECTS."""
    exposed, until = sum(cell.exposed for cell in population.cells), population.as_of
    if exposed > SUBJECTS:
        first = min(cell.first_exposed_at for cell in population.cells)
        until = first + (until - first) * (SUBJECTS / exposed)
    asked = parameters(plan, population.metric, population.as_of) | {"until": until}
    return int(reader.query(SHARED, asked).rows[0][0])


def exact_population(
    reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime, by: str = ""
) -> Population:
    """The same from the exact views: slow for many units, and what tests hold the rows against."""
    asked = parameters(plan, metric, as_of, by)
    cells = reader.query(exact.cells_of(metric, segmented=bool(by)), asked).objects()
    schedule = reader.query(exact.SCHEDULE, asked).rows
    [[arrived]] = reader.query(exact.ARRIVALS, asked).rows
    [[shared]] = reader.query(exact.SHARED, asked).rows
    return Population(
        metric,
        as_of,
        tuple(_cell(row) for row in cells),
        tuple((instant(at), int(units)) for at, units in schedule),
        int(arrived) / 7,
        int(shared),
    )


def _of_rows(
    reader: Reader,
    plan: ExperimentPlan,
    metrics: Sequence[PlannedMetric],
    as_of: datetime,
    by: str = "",
    charting: Charting | None = None,
) -> _Scan:
    suffixes = [suffix(number) for number in range(len(metrics))] if len(metrics) > 1 else [""]
    asked = parameters(plan, metrics[0], as_of, by)
    for metric, ending in zip(metrics, suffixes, strict=True):
        own = parameters(plan, metric, as_of, by)
        asked |= {f"{name}{ending}": own[name] for name in ("metric", "matures_after", "missing")}
    if charting:
        asked |= charting.parameters()
    # The names of the plan are nearly always all there are; to read every row for others takes its time.
    for names in (PLANNED, NAMED):
        sql = cells_of_rows(metrics, segmented=bool(by), names=names, charting=charting)
        rows = reader.query(sql, asked).objects()
        if all(row["is_named"] for row in rows):
            break
    cells = [row for row in rows if row.get("part", "cells") == "cells"]
    found = [_added(cells, metric, as_of, ending) for metric, ending in zip(metrics, suffixes, strict=True)]
    return _Scan(found, spread_of(charting, rows, suffixes[0]) if charting else None)


def _added(rows: list[dict[str, Any]], metric: PlannedMetric, as_of: datetime, ending: str) -> Population:
    counted = [row for row in rows if not row["exclusion"]]
    schedule: dict[int, int] = {}
    for row in counted:
        for hour, units in row[f"schedule{ending}"].items():
            schedule[int(hour)] = schedule.get(int(hour), 0) + int(units)
    return Population(
        metric,
        as_of,
        tuple(_cell(row, ending) for row in rows),
        tuple((_hour(hour), units) for hour, units in sorted(schedule.items())),
        sum(int(row["arrived"]) for row in counted) / 7,
        0,
    )


def _cell(row: dict[str, Any], ending: str = "") -> Cell:
    is_compared = not row["exclusion"]
    moments, costs = Moments(), Moments()
    if is_compared:
        moments = moments_of(row, ending)
        c, cc, cy = (float(row[f"{name}{ending}"]) for name in ("sum_c", "sum_cc", "sum_cy"))
        costs = Moments(moments.n, c, cc, moments.y, moments.yy, cy)
    maturing = int(row[f"maturing{ending}"])
    return Cell(
        phase=row["phase"],
        variant=row["variant"],
        exclusion=row["exclusion"],
        segment=row["segment"],
        exposed=int(row["exposed"]),
        carried=int(row["carried"]),
        first_exposed_at=instant(row["first_exposed_at"]),
        maturing=maturing,
        next_at=instant(row[f"next_at{ending}"]) if maturing else None,
        matured=int(row[f"matured{ending}"]),
        causes={cause: int(row[f"by_{cause}{ending}"]) if is_compared else 0 for cause in CAUSES},
        moments=moments,
        costs=costs,
    )


def _hour(hours: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hours)


__all__ = [
    "CAUSES",
    "EXCLUSIONS",
    "Cell",
    "Population",
    "charted_populations",
    "exact_population",
    "population",
    "populations",
]
