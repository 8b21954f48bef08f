"""Several rounds as one table.

Rates, ratios by pairs, CPU time, memory, and whether the answers were right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from measuring import Measured
from systems import OURS, OURS_TWICE, SYSTEMS
from verdict import Verdict

Rounds = Sequence[Mapping[str, Measured]]

#: Between these two lines of a page its figures stand.
BEGIN, END = "<!-- figures: written by the benchmark -->", "<!-- end of figures -->"
HEAD = ("system", "events/s", "Upshot/it", "Upshot-2/it", "CPU µs/event", "broker's", "peak MB", "answers")


def table(rounds: Rounds) -> str:
    """A Markdown table, the fastest first: medians, in brackets the least and the greatest of the rounds."""
    names = [system.name for system in SYSTEMS if any(system.name in measured for measured in rounds)]
    rates = {
        name: _median([found.rate for found in _of(rounds, name) if not found.failure]) for name in names
    }
    lines = [_cells(rounds, name) for name in sorted(names, key=lambda name: -rates[name])]
    return _aligned([HEAD, *lines])


def told(about: Mapping[str, Any]) -> str:
    """The machine and the versions of a measurement, in a line."""
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in about.items()
    )


def write_page(rounds: Rounds, about: Mapping[str, Any], chart: Path, page: Path) -> None:
    """Put the figures between the marks of a Markdown page, at its end where it has none.

    The chart lies beside it.
    """
    before, _, rest = (page.read_text() if page.exists() else "").partition(BEGIN)
    _, _, after = rest.partition(END)
    figures = (
        f"![Rates and CPU time of the systems]({chart.name})\n\n{table(rounds)}\n\nMeasured with: "
        f"{told(about)}."
    )
    page.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}")


def failures(rounds: Rounds) -> list[str]:
    """Why there are no figures of a system, or why they don't count."""
    return [
        f"{found.system}: {found.failure or answers(found)}"
        for measured in rounds
        for found in measured.values()
        if found.failure or not found.is_right
    ]


def line(found: Measured) -> str:
    """One measurement, as it's told while others run."""
    if found.failure:
        return f"{found.system:18} FAILED: {found.failure}"
    return (
        f"{found.system:18} {found.events:9,} events {found.rate:9,.0f}/s "
        f"{_micros(found.cpu, found):6.1f} CPU µs/event {found.rss / 1e6:6,.0f} MB  {answers(found)}"
    )


def answers(found: Measured) -> str:
    """What was right and wrong with its scores and with the state in its changelog."""
    said = str(found.verdict)
    if found.keys not in (None, found.subjects):
        said += f"; WRONG: its changelog has {found.keys:,} of {found.subjects:,} subjects"
    return said


def save(rounds: Rounds, about: Mapping[str, Any], file: Path) -> None:
    """As JSON."""
    runs = [[asdict(found) for found in measured.values()] for measured in rounds]
    for measured in runs:
        for found in measured:
            found["verdict"] = found["verdict"] and found["verdict"]._asdict()
    file.write_text(json.dumps({"about": about, "rounds": runs}, indent=1) + "\n")


def load(file: Path) -> tuple[Rounds, Mapping[str, Any]]:
    """What `save` wrote."""
    saved = json.loads(file.read_text())
    for measured in saved["rounds"]:
        for found in measured:
            found["verdict"] = found["verdict"] and Verdict(**found["verdict"])
    rounds = [{found["system"]: Measured(**found) for found in measured} for measured in saved["rounds"]]
    return rounds, saved["about"]


def _cells(rounds: Rounds, name: str) -> tuple[str, ...]:
    found = [measured for measured in _of(rounds, name) if not measured.failure]
    if not found:
        return (name, "failed", "", "", "", "", "", "")
    worst = next((one for one in found if not one.is_right), found[-1])
    return (
        name,
        _spread([one.rate for one in found], ",.0f"),
        _ratio(rounds, OURS, name),
        _ratio(rounds, OURS_TWICE, name),
        _spread([_micros(one.cpu, one) for one in found], ".1f"),
        f"{_median([_micros(one.broker_cpu, one) for one in found]):.1f}",
        f"{_median([one.rss / 1e6 for one in found]):,.0f}",
        answers(worst),
    )


def _ratio(rounds: Rounds, ours: str, name: str) -> str:
    """How many times as fast as `name` ours was, by pairs of one round."""
    pairs = [
        measured[ours].rate / measured[name].rate
        for measured in rounds
        if all(known in measured and not measured[known].failure for known in (ours, name))
    ]
    return _spread(pairs, ".2f") if pairs and name != ours else ""


def _of(rounds: Rounds, name: str) -> list[Measured]:
    return [measured[name] for measured in rounds if name in measured]


def _micros(seconds: float, found: Measured) -> float:
    return seconds / found.events * 1e6


def _median(values: Sequence[float]) -> float:
    return median(values) if values else 0.0


def _spread(values: Sequence[float], form: str) -> str:
    if len(values) == 1:
        return format(values[0], form)
    return f"{format(median(values), form)} ({format(min(values), form)} to {format(max(values), form)})"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
