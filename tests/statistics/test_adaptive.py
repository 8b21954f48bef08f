"""Adaptive weights and the estimates under them."""

from __future__ import annotations

import numpy as np
import pytest

from upshot.insights.statistics.adaptive import AdaptivePhase, aipw, best_chances, next_weights
from upshot.insights.statistics.effects import of_means
from upshot.insights.statistics.moments import Moments
from upshot.insights.statistics.sequences import two_sided


def test_the_chances_are_those_of_many_draws() -> None:
    arms = {
        "a": Moments.of_successes(200, 80),
        "b": Moments.of_successes(150, 70),
        "c": Moments.of_successes(40, 17),
    }
    found = best_chances(arms)
    random = np.random.default_rng(1)
    draws = np.column_stack(
        [random.normal(arm.mean, np.sqrt(arm.variance / arm.n), 200_000) for arm in arms.values()]
    )
    oracle = np.bincount(draws.argmax(axis=1), minlength=3) / 200_000
    assert list(found.values()) == pytest.approx(list(oracle), abs=0.01)


@pytest.mark.parametrize(
    "arms",
    [
        {"a": Moments(), "b": Moments()},
        {"a": Moments.of_successes(1, 1), "b": Moments()},
        {"a": Moments.of_successes(9, 9), "b": Moments.of_successes(9, 9)},
    ],
)
def test_little_knowledge_keeps_every_arm_in_play(arms: dict[str, Moments]) -> None:
    weights = next_weights(arms)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert min(weights.values()) > 0.2


def test_the_floor_holds_for_a_hopeless_arm() -> None:
    arms = {"good": Moments.of_successes(5_000, 4_000), "bad": Moments.of_successes(5_000, 10)}
    weights = next_weights(arms, floor=0.05)
    assert weights["bad"] == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(ValueError, match="more than 1"):
        next_weights({str(n): Moments() for n in range(21)}, floor=0.05)


def units(phase: AdaptivePhase, guess: dict[str, float]) -> list[float]:
    """φ(variant) - φ(control) of the units of a phase, one by one."""
    found = []
    for name, arm in phase.arms.items():
        for y in [1.0] * int(arm.y) + [0.0] * int(arm.n - arm.y):
            phi = dict(guess)
            phi[name] = guess[name] + (y - guess[name]) / phase.probabilities[name]
            found.append(phi["b"] - phi["a"])
    return found


def _moments(**arms: tuple[int, int]) -> dict[str, Moments]:
    return {arm: Moments.of_successes(*counts) for arm, counts in arms.items()}


def test_sums_say_the_same_as_units() -> None:
    phases = [
        AdaptivePhase({"a": 0.5, "b": 0.3, "c": 0.2}, _moments(a=(50, 20), b=(30, 15), c=(20, 3))),
        AdaptivePhase({"a": 0.2, "b": 0.7, "c": 0.1}, _moments(a=(20, 9), b=(70, 30), c=(9, 3))),
    ]
    every = units(phases[0], {"a": 0.0, "b": 0.0, "c": 0.0}) + units(
        phases[1], {"a": 0.4, "b": 0.5, "c": 0.15}
    )
    effect = aipw(phases, "a", "b")
    assert effect.n == len(every) == 199
    assert effect.difference == pytest.approx(np.mean(every), rel=1e-9)
    assert effect.error == pytest.approx(np.std(every, ddof=1) / np.sqrt(199), rel=1e-9)


def test_a_drift_under_changing_weights_passes_for_no_effect() -> None:
    """Rates rise from 30 to 60 % in both arms while the weights move.

    Pooled means claim an effect, AIPW doesn't.
    """
    random, repeats, naive, ours = np.random.default_rng(2), 200, 0, 0
    for _ in range(repeats):
        phases = []
        for day in range(20):
            rate, share = 0.3 + 0.3 * day / 19, 0.2 + 0.6 * day / 19
            n = [int(x) for x in random.multinomial(400, [1 - share, share])]
            arms = {
                name: Moments.of_successes(k, int(random.binomial(k, rate)))
                for name, k in zip("ab", n, strict=True)
            }
            phases.append(AdaptivePhase({"a": 1 - share, "b": share}, arms))
        pooled = of_means(*(sum((phase.arms[name] for phase in phases), Moments()) for name in "ab"))
        naive += abs(pooled.difference) > 1.96 * pooled.error
        interval = two_sided(aipw(phases, "a", "b"), 8_000)
        ours += interval.low > 0 or interval.high < 0
    assert naive / repeats > 0.9
    assert ours / repeats <= 0.05
