"""How the units of one metric spread over time: for charts, read in the scan that adds the units up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.units import MADE_AT, WITHIN, instant, parameters_of_plan
from upshot.insights.experiments.written_rows import has_all_rows
from upshot.insights.reader import Reader
from upshot.insights.statistics.moments import Moments

#: Points of an effect over time; steps of a time to outcome.
POINTS, STEPS = 30, 120

#: Rows as written, without merging those of one run: an instant needs no more.
_AS_WRITTEN = "SELECT * FROM raw_exposure_rows WHERE gone = 0"
_FIRST = f"""\
SELECT min({MADE_AT}), count()
FROM (%s)
WHERE experiment = {{experiment:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
    AND NOT carried AND origin != 'replay' AND {WITHIN % MADE_AT}"""


@dataclass(frozen=True)
class Slots:
    """Equal parts of a time."""

    start: datetime
    seconds: int

    @classmethod
    def of(cls, start: datetime, end: datetime, count: int) -> Slots:
        """`count` parts, of a second at least."""
        return cls(start, max(1, ceil((end - start).total_seconds() / count)))

    def end(self, slot: int) -> datetime:
        """The end of a part."""
        return self.start + timedelta(seconds=self.seconds * (slot + 1))


@dataclass(frozen=True)
class Charting:
    """The metric that is charted, the parts of the time in which its units become mature, and the seconds of
    a step of the time to outcome.
    """

    metric: PlannedMetric
    slots: Slots
    seconds: int

    @classmethod
    def of(cls, metric: PlannedMetric, first: datetime, as_of: datetime) -> Charting:
        """`first`: the instant of about the first exposure."""
        longest = metric.matures_after or as_of - first
        seconds = max(1, ceil(longest.total_seconds() / STEPS))
        return cls(metric, Slots.of(first + metric.matures_after, as_of, POINTS), seconds)

    def parameters(self) -> dict[str, object]:
        """The parameters of the columns by which units spread."""
        return {
            "slots_from": self.slots.start,
            "slot_seconds": self.slots.seconds,
            "step_seconds": self.seconds,
            "steps": STEPS,
        }


class Matured(NamedTuple):
    """The units that count and became mature in one part of the time."""

    slot: int
    phase: str
    variant: str
    moments: Moments


class Left(NamedTuple):
    """The units that had their outcome a number of steps after the exposure, or were seen no longer."""

    step: int
    variant: str
    outcomes: int
    without: int


@dataclass(frozen=True)
class Spread:
    """The units of a metric by maturity, and by the time to their outcome."""

    charting: Charting
    matured: tuple[Matured, ...]
    left: tuple[Left, ...]


def charting(reader: Reader, plan: ExperimentPlan, metric: PlannedMetric, as_of: datetime) -> Charting | None:
    """How a metric is charted; None for an experiment without exposures by then."""
    rows = _AS_WRITTEN if has_all_rows(reader) else "SELECT * FROM exposure_rows"
    [[first, exposures]] = reader.query(_FIRST % rows, parameters_of_plan(plan, as_of)).rows
    if not int(exposures):
        return None
    return Charting.of(metric, instant(first), as_of)


def spread_of(found: Charting, rows: Iterable[Mapping[str, Any]], ending: str) -> Spread:
    """From the rows of `cells_of_rows`; names of the metric's columns end with `ending`."""
    matured: list[Matured] = []
    left: dict[tuple[int, str], tuple[int, int]] = {}
    for row in rows:
        if row["exclusion"]:
            continue
        if row["part"] == "slots" and int(row["slot"]) >= 0:
            matured.append(Matured(int(row["slot"]), row["phase"], row["variant"], moments_of(row, ending)))
        elif row["part"] == "steps" and int(row["step"]) >= 0:
            step, variant, outcomes = int(row["step"]), str(row["variant"]), int(row["outcomes"])
            before = left.get((step, variant), (0, 0))
            left[step, variant] = before[0] + outcomes, before[1] + int(row["exposed"]) - outcomes
    return Spread(
        found,
        tuple(sorted(matured, key=lambda each: each[:3])),
        tuple(Left(*place, *numbers) for place, numbers in sorted(left.items())),
    )


def moments_of(row: Mapping[str, Any], ending: str = "") -> Moments:
    """The sums of a metric's value over the mature units of a row of `cells_of_rows`."""
    n, y, yy, m, mm, ym = (
        float(row[f"{name}{ending}"]) for name in ("n_all", "sum_y", "sum_yy", "sum_m", "sum_mm", "sum_ym")
    )
    return Moments(int(n), y, yy, m, mm, ym)


__all__ = [
    "POINTS",
    "STEPS",
    "Charting",
    "Left",
    "Matured",
    "Slots",
    "Spread",
    "charting",
    "moments_of",
    "spread_of",
]
