"""Reading an experiment's results: the populations of all its metrics, and what follows from them."""

from __future__ import annotations

from datetime import datetime

from upshot.insights.experiments.plan import ExperimentPlan
from upshot.insights.experiments.population import population
from upshot.insights.experiments.results import Results, results
from upshot.insights.reader import Reader


def read_results(reader: Reader, plan: ExperimentPlan, as_of: datetime) -> Results:
    """The results of every metric of the plan, as of one instant. Raises as `Reader.query` does."""
    return results(plan, [population(reader, plan, metric, as_of) for metric in plan.metrics])


__all__ = ["read_results"]
