"""Several questions at once: Holm for decision metrics, e-BH for exploration."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values that control the chance of any false claim (Holm 1979).

    Valid for always-valid p-values.
    """
    adjusted: dict[str, float] = {}
    largest, left = 0.0, len(p_values)
    for name, p in sorted(p_values.items(), key=lambda item: item[1]):
        largest = max(largest, min(1.0, p * left))
        adjusted[name] = largest
        left -= 1
    return adjusted


def e_bh(e_values: Mapping[str, float], alpha: float = 0.05) -> set[str]:
    """The names whose claim holds at a false discovery rate of alpha (Wang, Ramdas: arXiv 2009.02824).

    Valid under any dependence of the segments, and at the present look of a sequence of looks, where
    Benjamini-Hochberg on p-values is not. The k largest e-values are claimed for the largest k with
    e_(k) ≥ m / (αk).
    """
    ranked = sorted(e_values, key=lambda name: e_values[name], reverse=True)
    claimed = 0
    for k, name in enumerate(ranked, start=1):
        if e_values[name] >= len(ranked) / (alpha * k):
            claimed = k
    return set(ranked[:claimed])


__all__ = ["e_bh", "holm"]
