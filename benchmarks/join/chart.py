"""The rates as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from report import Rounds
from systems import OURS, OURS_TWICE, SYSTEMS

INK, PALE, OURS_INK = "#31363b", "#9aa5b1", "#0b7a75"


def draw(rounds: Rounds, about: Mapping[str, Any], file: Path) -> None:
    """Events per second and CPU time per event, a bar for each system; whiskers from least to greatest."""
    # The same file for the same figures; text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "join", "svg.fonttype": "none", "font.family": "sans-serif"})
    rates = _values(rounds, lambda found: found.rate / 1000)
    cpu = _values(rounds, lambda found: found.cpu / found.events * 1e6)
    names = sorted(rates, key=lambda name: median(rates[name]))
    figure = Figure(figsize=(10, 0.42 * len(names) + 1.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _bars(left, names, rates, "thousand events per second (more is better)")
    _bars(right, names, cpu, "CPU µs per event (less is better)")
    left.set_yticks(range(len(names)), [_what(name) for name in names])
    figure.suptitle(
        f"The join: state with a changelog, scores, commits; {about['events']:,} events, "
        f"{about['cores']} cores shared with the broker",
        fontsize=10,
        color=INK,
    )
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=120)


def _values(rounds: Rounds, of: Any) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for measured in rounds:
        for name, found in measured.items():
            if not found.failure and found.is_right:
                values.setdefault(name, []).append(of(found))
    return values


def _bars(axes: Any, names: list[str], values: Mapping[str, list[float]], label: str) -> None:
    middles = [median(values[name]) for name in names]
    below = [middle - min(values[name]) for name, middle in zip(names, middles, strict=True)]
    above = [max(values[name]) - middle for name, middle in zip(names, middles, strict=True)]
    colours = [OURS_INK if name in (OURS, OURS_TWICE) else PALE for name in names]
    axes.barh(range(len(names)), middles, color=colours, height=0.7)
    axes.errorbar(
        middles, range(len(names)), xerr=[below, above], fmt="none", ecolor=INK, elinewidth=1, capsize=2
    )
    for place, (name, middle) in enumerate(zip(names, middles, strict=True)):
        text = f"{middle:,.1f}" if middle < 100 else f"{middle:,.0f}"
        axes.annotate(
            text, (max(values[name]), place), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_xlabel(label, fontsize=9, color=INK)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="both", labelsize=8, length=2)


def _what(name: str) -> str:
    return next(system.what for system in SYSTEMS if system.name == name)
