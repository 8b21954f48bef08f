"""An experiment as its results read it: fixed at the start, so that no look can change a question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

#: `decision`: the experiment ends on it. `guardrail`: must be shown to be safe. `exploratory`: display only.
Use = Literal["decision", "guardrail", "exploratory"]
#: `score`: scores of that name. `measure`: a number that every run has, see MEASURES.
Source = Literal["score", "measure"]
#: What stands for a unit without a score: false or 0, or the unit is left out, and counted as left out.
Missing = Literal["zero", "exclude"]

#: The numbers that a run has without being scored.
MEASURES: Mapping[str, str] = {
    "cost_usd": "cost in US dollars of the run's steps",
    "input_tokens": "tokens read by the run's steps",
    "output_tokens": "tokens written by the run's steps",
    "seconds": "seconds from the run's start to its end",
    "failed": "1 where the run failed, else 0",
}


@dataclass(frozen=True)
class PlannedMetric:
    """One question to an experiment.

    A unit's value is known `horizon + window + grace` after its first exposure: `window` is that of the
    metric's waits, `horizon` how long after the first exposure later runs of the unit still count, `grace`
    how late an outcome may be recorded.
    """

    name: str
    use: Use = "decision"
    boolean: bool = True
    window: timedelta = timedelta(0)
    horizon: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)
    missing: Missing = "zero"
    #: Whether less is better: costs, failures.
    lower_is_better: bool = False
    #: How much worse a guardrail may get, as a part of control's mean.
    margin: float = 0.0

    @property
    def source(self) -> Source:
        """Where the values come from."""
        return "measure" if self.name in MEASURES else "score"

    @property
    def matures_after(self) -> timedelta:
        """The time from a unit's first exposure to its maturity."""
        return self.horizon + self.window + self.grace


@dataclass(frozen=True)
class PlannedPhase:
    """A time of unchanged weights."""

    phase: str
    weights: Mapping[str, float]
    began: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class ExperimentPlan:
    """An experiment with its phases, oldest first; the first metric for a decision decides."""

    experiment: str
    control: str
    phases: tuple[PlannedPhase, ...]
    metrics: tuple[PlannedMetric, ...]
    alpha: float = 0.05
    #: n*: the units of all arms that the intervals are narrowest for.
    planned: int = 5_000
    #: The smallest effect worth finding, in the decision metric's unit; None where none was given.
    mde: float | None = None
    started: datetime | None = None
    shipped: str = ""
    variants: tuple[str, ...] = field(default=())
    #: Whether weights follow the rewards: estimates are then weighted by the logged probabilities.
    adaptive: bool = False
    #: What the registry has otherwise since the start, and results keep as it was.
    changed: tuple[str, ...] = ()
    #: Phases that the experiment has, but nobody asked for: their units aren't shown.
    other_phases: tuple[str, ...] = ()
    #: When the variant was shipped, and the phases opened by that: exposures from then on are no part of it.
    ended: datetime | None = None
    ended_phases: tuple[str, ...] = ()
    #: The kind of randomised unit, and how long the experiment may run.
    unit: str = "run"
    cap: timedelta | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm of any phase, control first."""
        named = [*self.variants, *(arm for phase in self.phases for arm in phase.weights)]
        return (self.control, *dict.fromkeys(arm for arm in named if arm != self.control))

    @property
    def deciding(self) -> PlannedMetric | None:
        """The metric that the experiment ends on."""
        return next((metric for metric in self.metrics if metric.use == "decision"), None)


__all__ = ["MEASURES", "ExperimentPlan", "Missing", "PlannedMetric", "PlannedPhase", "Source", "Use"]
