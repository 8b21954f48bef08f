"""Sample ratio mismatch: whether as many units came to each arm as the weights say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, log, log1p

from scipy.special import gammaln
from scipy.stats import chi2

STOP_BELOW = 0.001
#: An arm without a unit is one that nobody serves, where chance leaves it empty less often than this.
UNSERVED_BELOW = 1e-6
#: Units that the prior of the e-value is worth: a deviation of about 1.6 points at 1:1 is found the soonest.
PRIOR_UNITS = 1_000.0


@dataclass(frozen=True)
class Allocation:
    """Counts of arms against a phase's weights. `stopped`: no other result can be trusted."""

    p: float
    e: float
    strays: tuple[str, ...]
    """Arms of weight zero that have units all the same, or arms that have no weight at all."""
    below: float = STOP_BELOW
    """The p that stops: 0.001, divided by the phases of an experiment that opens one every day."""

    @property
    def stopped(self) -> bool:
        """True if units are missing or misplaced: p too small, or a unit in an arm of weight zero."""
        return self.p < self.below or bool(self.strays)

    @property
    def proven(self) -> bool:
        """True if the mismatch is proven, however often somebody looked: e ≥ 1 / 0.001."""
        return self.e >= 1 / STOP_BELOW or bool(self.strays)


def unserved(counts: Mapping[str, int], weights: Mapping[str, float]) -> list[str]:
    """Arms of positive weight without a unit, where n others make that impossible: (1 - share)ⁿ < 10⁻⁶."""
    planned = {arm: weight for arm, weight in weights.items() if weight > 0}
    n, total = sum(counts.get(arm, 0) for arm in planned), sum(planned.values())
    return [
        arm
        for arm, weight in planned.items()
        if not counts.get(arm) and weight < total and n * log1p(-weight / total) < log(UNSERVED_BELOW)
    ]


def allocation(counts: Mapping[str, int], weights: Mapping[str, float], phases: int = 1) -> Allocation:
    """Compare the units of each arm with the weights of their own phase.

    χ² with (arms of positive weight - 1) degrees of freedom, and the e-value of a Dirichlet prior around the
    weights (Lindon, Malek: arXiv 2011.03567). Forced, held-out and replayed units must not be among the
    counts. `phases` share the limit: 28 daily tests at 0.001 each stop up to 2.8 % of sound experiments.
    """
    below = STOP_BELOW / phases
    strays = tuple(sorted(arm for arm, n in counts.items() if n > 0 and weights.get(arm, 0.0) <= 0))
    planned = {arm: weight for arm, weight in weights.items() if weight > 0}
    seen = {arm: counts.get(arm, 0) for arm in planned}
    n, total = sum(seen.values()), sum(planned.values())
    if n == 0 or len(planned) < 2:
        return Allocation(1.0, 1.0, strays, below)
    shares = {arm: weight / total for arm, weight in planned.items()}
    statistic = sum((seen[arm] - n * share) ** 2 / (n * share) for arm, share in shares.items())
    return Allocation(float(chi2.sf(statistic, len(planned) - 1)), _evidence(seen, shares), strays, below)


def _evidence(seen: Mapping[str, int], shares: Mapping[str, float]) -> float:
    n = sum(seen.values())
    power = float(gammaln(PRIOR_UNITS) - gammaln(PRIOR_UNITS + n))
    for arm, share in shares.items():
        prior = PRIOR_UNITS * share
        power += float(gammaln(prior + seen[arm]) - gammaln(prior)) - seen[arm] * log(share)
    return inf if power > 700 else exp(power)


__all__ = ["PRIOR_UNITS", "STOP_BELOW", "UNSERVED_BELOW", "Allocation", "allocation", "unserved"]
