"""Adaptive allocation: weights from matured rewards, and estimates that stay right under changing weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import ndtr

from upshot.insights.statistics.effects import Effect
from upshot.insights.statistics.moments import Moments

FLOOR = 0.05
#: How often the best arm is played rather than the best among the others: top-two Thompson sampling's β.
EXPLOIT = 0.5


@dataclass(frozen=True)
class AdaptivePhase:
    """A phase of fixed weights: the probability of each arm, and the rewards of its mature units."""

    probabilities: Mapping[str, float]
    arms: Mapping[str, Moments]


def best_chances(arms: Mapping[str, Moments]) -> dict[str, float]:
    """The chance that each arm has the highest mean, by normal posteriors; integrated, so never random.

    An arm with fewer than two units, or without variance yet, has the spread of a unit drawn at random: half
    a unit's weight at the pooled mean keeps a first success from closing the experiment.
    """
    names = list(arms)
    pooled = sum(arms.values(), Moments())
    spread = sqrt(pooled.variance) if pooled.n > 1 and pooled.variance > 0 else 1.0
    centre = pooled.mean if pooled.n else 0.0
    means = np.array([(arm.y + centre) / (arm.n + 1) for arm in arms.values()])
    errors = np.array([_error(arm, spread) for arm in arms.values()])
    low, high = (means - 8 * errors).min(), (means + 8 * errors).max()
    grid = np.linspace(low, high, 4_001)
    z = (grid[None, :] - means[:, None]) / errors[:, None]
    density = np.exp(-z * z / 2) / errors[:, None]
    below = ndtr(z)
    chances = [
        float((density[k] * np.prod(np.delete(below, k, axis=0), axis=0)).sum()) for k in range(len(names))
    ]
    return {name: one / sum(chances) for name, one in zip(names, chances, strict=True)}


def _error(arm: Moments, spread: float) -> float:
    own = sqrt(arm.variance) if arm.n > 1 and arm.variance > 0 else spread
    return max(own, spread * 1e-3) / sqrt(arm.n + 1)


def next_weights(arms: Mapping[str, Moments], floor: float = FLOOR) -> dict[str, float]:
    """The weights of the next phase: top-two Thompson sampling (Russo, arXiv 1602.08448) with a floor for
    each arm.

    An arm is played if it is best, or with probability 1 - β if it is best among the others. The floor keeps
    each propensity away from zero, so that estimates stay possible: floor × arms must be at most 1. Of two
    arms each is played as often as it is best (Thompson sampling): top-two would leave them half and half.
    """
    if floor * len(arms) > 1:
        raise ValueError(f"a floor of {floor} for each of {len(arms)} arms is more than 1 in all")
    best = best_chances(arms)
    played = (
        best
        if len(best) < 3
        else {
            name: EXPLOIT * chance
            + (1 - EXPLOIT)
            * sum(best[rival] * _among_others(best, name, rival) for rival in best if rival != name)
            for name, chance in best.items()
        }
    )
    total = sum(played.values())
    return {name: floor + (1 - floor * len(arms)) * share / total for name, share in played.items()}


def _among_others(best: Mapping[str, float], name: str, rival: str) -> float:
    """The chance of an arm to be the best but for a rival: a sum, as 1 less a near 1 has no digits left."""
    others = sum(chance for arm, chance in best.items() if arm != rival)
    return best[name] / others if others > 0 else 1 / (len(best) - 1)


def aipw(phases: Sequence[AdaptivePhase], control: str, variant: str) -> Effect:
    """The difference of two arms' means under weights that followed the data, by logged propensities.

    Augmented inverse propensity weighting (arXiv 1911.02768; with confidence sequences 2311.18274): each unit
    stands for φ(arm) = μ(arm) + 1{given arm}·(y - μ(arm))/π(arm), with μ from earlier phases alone, so that φ
    less the truth is a martingale difference whatever the allocation and the drift. Sums suffice, since π and
    μ are constant within a phase.
    """
    n, total, squares = 0, 0.0, 0.0
    past: dict[str, Moments] = {control: Moments(), variant: Moments()}
    for phase in phases:
        guess = {arm: before.mean if before.n else 0.0 for arm, before in past.items()}
        base = guess[variant] - guess[control]
        units = sum(arm.n for arm in phase.arms.values())
        phase_total, phase_squares = units * base, units * base * base
        for name, sign in ((control, -1.0), (variant, 1.0)):
            arm, pi = phase.arms.get(name, Moments()), phase.probabilities.get(name, 0.0)
            if pi <= 0:
                raise ValueError(f"the arm {name} has units or is compared in a phase that never gives it")
            residual = (arm.y - arm.n * guess[name]) / pi
            residual_squares = (arm.yy - 2 * guess[name] * arm.y + arm.n * guess[name] ** 2) / (pi * pi)
            phase_total += sign * residual
            phase_squares += 2 * base * sign * residual + residual_squares
            past[name] = past[name] + arm
        n, total, squares = n + units, total + phase_total, squares + phase_squares
    mean = total / n
    return Effect(mean, sqrt(max(squares / n - mean * mean, 0.0) / (n - 1)), n)


__all__ = ["EXPLOIT", "FLOOR", "AdaptivePhase", "aipw", "best_chances", "next_weights"]
