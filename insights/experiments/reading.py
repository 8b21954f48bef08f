"""Reading an experiment's results: the populations of all its metrics, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from upshot.insights.experiments.plan import ExperimentPlan
from upshot.insights.experiments.population import populations
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
    read = populations(reader, plan, plan.metrics, as_of)
    found = results(plan, read)
    if not read:
        return found
    versions = (each for metric in plan.metrics for each in scorer_versions(reader, plan, metric, as_of))
    return replace(found, versions=tuple(versions), confounded=tuple(confounded(reader, plan, read[0])))


__all__ = ["read_results"]
