"""False positives when nothing differs: an A/A experiment looked at daily, and four ways to evaluate.

    python -m benchmarks.experiments.null_delays [--repeats 1000] [--units 50,500]

Both variants succeed with 40 % of their units within a window of 7 days; the variant's outcomes come twice as
late. For 28 days somebody looks every day and stops at the first significant difference. A row says how often
a difference was claimed that isn't there; at most 5 % of the experiments may.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upshot.insights.statistics.effects import enough, of_means
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.sequences import two_sided

RATE, WINDOW, LOOKS, SLOWER = 0.4, 7.0, 28, 2.0
Z = 1.959964
Floats = NDArray[np.float64]

#: The delay of a success as a part of half the window, from a uniform number: the slow variant takes twice
#: as long.
SHAPES: Mapping[str, Callable[[Floats], Floats]] = {
    "uniform": lambda u: u,
    "early": lambda u: u**3,
    "late": lambda u: np.sqrt(u),
    "exponential": lambda u: np.minimum(-np.log1p(-u) / 3, 1.0),
}


@dataclass(frozen=True)
class Arm:
    """The units of an arm by their day of exposure: successes, and when these came."""

    exposed: Floats
    success: NDArray[np.bool_]
    resolved: Floats
    """When the unit's value is known: its outcome's time, or the end of its window."""


def arm(random: np.random.Generator, per_day: int, shape: Callable[[Floats], Floats], slower: float) -> Arm:
    """The units of 28 days."""
    n = per_day * LOOKS
    exposed = random.uniform(0, LOOKS, n)
    success = random.uniform(size=n) < RATE
    delay = shape(random.uniform(size=n)) * WINDOW / 2 * slower
    return Arm(exposed, success, exposed + np.where(success, delay, WINDOW))


def _pending_is_failure(arm: Arm, day: float) -> tuple[int, int]:
    seen = arm.exposed <= day
    return int(seen.sum()), int((seen & arm.success & (arm.resolved <= day)).sum())


def _resolved_only(arm: Arm, day: float) -> tuple[int, int]:
    seen = arm.resolved <= day
    return int(seen.sum()), int((seen & arm.success).sum())


def _matured(arm: Arm, day: float) -> tuple[int, int]:
    seen = arm.exposed + WINDOW <= day
    return int(seen.sum()), int((seen & arm.success).sum())


def _by_z(control: Moments, variant: Moments, planned: int) -> bool:
    effect = of_means(control, variant)
    return abs(effect.difference) > Z * effect.error > 0


def _by_sequence(control: Moments, variant: Moments, planned: int) -> bool:
    interval = two_sided(of_means(control, variant), planned)
    return interval.low > 0 or interval.high < 0


Count = Callable[[Arm, float], tuple[int, int]]
Test = Callable[[Moments, Moments, int], bool]
WAYS: Mapping[str, tuple[Count, Test]] = {
    "pending counts as failure, z": (_pending_is_failure, _by_z),
    "resolved units only, z": (_resolved_only, _by_z),
    "mature units, z": (_matured, _by_z),
    "mature units, confidence sequence": (_matured, _by_sequence),
}


def claims(control: Arm, variant: Arm, count: Count, test: Test, planned: int) -> bool:
    """Whether one of the daily looks claims a difference."""
    for day in range(1, LOOKS + 1):
        moments = [Moments.of_successes(*count(one, float(day))) for one in (control, variant)]
        if all(enough(one, True) for one in moments) and test(*moments, planned):
            return True
    return False


def false_positives(shape: str, per_day: int, repeats: int, seed: int = 1) -> dict[str, float]:
    """The share of experiments without a difference that claim one, by way of evaluating."""
    random = np.random.default_rng([seed, per_day, list(SHAPES).index(shape)])
    planned = 2 * per_day * LOOKS
    claimed = dict.fromkeys(WAYS, 0)
    for _ in range(repeats):
        control, variant = (arm(random, per_day, SHAPES[shape], slower) for slower in (1.0, SLOWER))
        for way, (count, test) in WAYS.items():
            claimed[way] += claims(control, variant, count, test, planned)
    return {way: n / repeats for way, n in claimed.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--units", default="50,500", help="units a day and arm, separated by commas")
    options = parser.parse_args()
    print(
        f"| way | {' | '.join(f'{shape}, {n}/day' for n in options.units.split(',') for shape in SHAPES)} |"
    )
    print("| --- |" + " ---: |" * (len(SHAPES) * len(options.units.split(","))))
    cells = [
        false_positives(shape, int(n), options.repeats) for n in options.units.split(",") for shape in SHAPES
    ]
    for way in WAYS:
        print(f"| {way} | {' | '.join(f'{cell[way]:.1%}' for cell in cells)} |")


if __name__ == "__main__":
    main()
