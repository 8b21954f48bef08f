"""How long outcomes take: whether a metric's window and grace are long enough for nearly all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from upshot.insights.experiments.plan import ExperimentPlan, PlannedMetric
from upshot.insights.experiments.population import Population
from upshot.insights.experiments.units import MADE_AT, WITHIN, parameters
from upshot.insights.experiments.written_rows import has_all_rows
from upshot.insights.reader import Reader

#: Of more exposures, about so many of the first are looked at.
LOOKED_AT = 200_000
#: Fewer outcomes have no 99th percentile.
LEAST = 100
#: Of units that are mature: among others quick outcomes would be too many.
_SQL = f"""\
SELECT
    count(), quantile(0.99)(toUnixTimestamp64Micro(answer_began[nth]) - toUnixTimestamp64Micro(at)),
    quantile(0.99)(
        toUnixTimestamp64Micro(answer_began[nth]) - toUnixTimestamp64Micro(answer_occurred_at[nth])
    )
FROM
(
    SELECT
        {MADE_AT} AS at, answer_began, answer_occurred_at,
        arrayFirstIndex(
            (name, cause) -> name = {{metric:String}} AND cause = 'outcome', answer_names, answer_causes
        ) AS nth
    FROM exposure_rows
    WHERE experiment = {{experiment:String}} AND started_at <= {{until:DateTime64(6, 'UTC')}}
        AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}} AND NOT carried AND origin != 'replay'
        AND {WITHIN % MADE_AT}
)
WHERE nth > 0 AND answer_began[nth] <= {{as_of:DateTime64(6, 'UTC')}}
    AND at + toIntervalMicrosecond({{matures_after:Int64}}) <= {{as_of:DateTime64(6, 'UTC')}}"""


@dataclass(frozen=True)
class Delays:
    """Within what time 99 % of outcomes were recorded: after the exposure, and after they happened."""

    metric: PlannedMetric
    outcomes: int
    after_exposure: timedelta
    after_occurrence: timedelta

    @property
    def are_covered(self) -> bool:
        """Whether the unit's time is long enough."""
        return self.after_exposure <= self.metric.matures_after


def delays(reader: Reader, plan: ExperimentPlan, population: Population) -> Delays | None:
    """The delays of a metric's outcomes; None for few outcomes, and for what isn't a score."""
    metric, as_of = population.metric, population.as_of
    exposed = sum(cell.exposed for cell in population.cells)
    if metric.source != "score" or not exposed or not has_all_rows(reader):
        return None
    first = min(cell.first_exposed_at for cell in population.cells)
    until = first + (as_of - first) * min(1.0, LOOKED_AT / exposed)
    asked = parameters(plan, metric, as_of) | {"until": until}
    [[outcomes, after_exposure, after_occurrence]] = reader.query(_SQL, asked).rows
    if int(outcomes) < LEAST:
        return None
    return Delays(metric, int(outcomes), _span(after_exposure), _span(after_occurrence))


def _span(micros: float) -> timedelta:
    return max(timedelta(0), timedelta(microseconds=round(float(micros))))


__all__ = ["Delays", "delays"]
