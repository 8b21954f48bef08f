"""The versions of the agent behind each variant: a version that serves one of them alone is part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from scipy.stats import chi2_contingency

from upshot.insights.experiments.plan import ExperimentPlan
from upshot.insights.experiments.units import Population, parameters_of_plan
from upshot.insights.reader import Reader

#: Shares that differ by less, or with a larger p, are those of deploys.
LEAST_DIFFERENCE = 0.1
P_BELOW = 1e-6
#: Of more exposures, about so many of the latest are looked at.
LOOKED_AT = 500_000
#: Rows are counted as written, without merging those of one run: shares need no more.
_SQL = """\
SELECT phase, variant, version, count() AS exposures
FROM raw_exposure_rows
WHERE experiment = {experiment:String} AND gone = 0 AND NOT carried AND origin != 'replay' AND run_known
    AND strategy != 'forced' AND started_at >= {since:DateTime64(6, 'UTC')}
    AND recorded_at <= {as_of:DateTime64(6, 'UTC')}
    AND has(JSONExtract({phases:String}, 'Array(String)'), phase)
    AND has(JSONExtract({arms:String}, 'Array(String)'), variant)
GROUP BY phase, variant, version
ORDER BY phase, variant, version"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Exposures by phase, variant and version.
Served = Mapping[str, Mapping[str, Mapping[str, int]]]


@dataclass(frozen=True)
class Confounded:
    """A version of the agent that served a variant more often, or less often, than it served control."""

    phase: str
    variant: str
    control: str
    version: str
    share: float
    control_share: float


def confounded(reader: Reader, plan: ExperimentPlan, population: Population) -> list[Confounded]:
    """The variants that other versions of the agent served than control, by phase."""
    if not population.cells:
        return []
    as_of, exposed = population.as_of, sum(cell.exposed for cell in population.cells)
    since = _EPOCH
    if exposed > LOOKED_AT:
        first = min(cell.first_exposed_at for cell in population.cells)
        since = as_of - (as_of - first) * (LOOKED_AT / exposed)
    asked = parameters_of_plan(plan, as_of) | {"since": since}
    found: dict[str, dict[str, dict[str, int]]] = {}
    for phase, variant, version, exposures in reader.query(_SQL, asked).rows:
        found.setdefault(phase, {}).setdefault(variant, {})[version] = int(exposures)
    return list(of_counts(plan, found))


def of_counts(plan: ExperimentPlan, served: Served) -> Iterable[Confounded]:
    """For each variant the version whose share differs the most from control's."""
    for phase, by_variant in served.items():
        control = by_variant.get(plan.control)
        if not control:
            continue
        for variant, own in by_variant.items():
            versions = sorted({*control, *own})
            if variant == plan.control or len(versions) < 2:
                continue
            table = [[counts.get(version, 0) for version in versions] for counts in (control, own)]
            shares = {
                version: (
                    own.get(version, 0) / sum(own.values()),
                    control.get(version, 0) / sum(control.values()),
                )
                for version in versions
            }
            version = max(versions, key=lambda one: shares[one][0] - shares[one][1])
            share, control_share = shares[version]
            if share - control_share >= LEAST_DIFFERENCE and chi2_contingency(table).pvalue < P_BELOW:
                yield Confounded(phase, variant, plan.control, version, share, control_share)


__all__ = ["Confounded", "confounded", "of_counts"]
