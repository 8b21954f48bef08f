"""Reading an experiment's results: the populations of all its metrics, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from upshot.insights.experiments.charting import Spread, charting
from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.population import Population, charted_populations, populations
from upshot.insights.experiments.results import Results, results
from upshot.insights.experiments.served_by import confounded
from upshot.insights.experiments.versions import scorer_versions
from upshot.insights.experiments.written_rows import read_by
from upshot.insights.reader import Reader


def read_results(reader: Reader, plan: ExperimentPlan, as_of: datetime) -> Results:
    """The results of every metric of the plan, as of one instant, or of the latest with all rows written.

    Raises as `Reader.query` does.
    """
    as_of = read_by(reader, as_of)
    return _results(reader, plan, populations(reader, plan, plan.metrics, as_of), as_of)


def read_charted(
    reader: Reader, plan: ExperimentPlan, as_of: datetime, metric: PlannedMetric
) -> tuple[Results, Spread | None]:
    """The same, and how the units of one of the plan's metrics spread over time; None without units."""
    as_of = read_by(reader, as_of)
    charted = charting(reader, plan, metric, as_of)
    if charted is None:
        return _results(reader, plan, populations(reader, plan, plan.metrics, as_of), as_of), None
    read, spread = charted_populations(reader, plan, charted, as_of)
    return _results(reader, plan, read, as_of), spread


def _results(reader: Reader, plan: ExperimentPlan, read: Sequence[Population], as_of: datetime) -> Results:
    found = results(plan, read)
    if not read:
        return found
    versions = (each for metric in plan.metrics for each in scorer_versions(reader, plan, metric, as_of))
    return replace(found, versions=tuple(versions), confounded=tuple(confounded(reader, plan, read[0])))


__all__ = ["read_charted", "read_results"]
