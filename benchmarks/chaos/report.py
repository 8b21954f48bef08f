"""What a run came to: a line of JSON in a log, and the totals of many."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: What must be zero.
VERDICT = ("lost", "wrong", "double", "repeated", "gaps", "invented", "unsettled", "disputed")


@dataclass(frozen=True)
class Report:
    """One run. Times in seconds; `found` counts what differed by its kind; `done` what was done by its kind.

    `ended` counts how parts ended, whoever did it. `messages` are the decided scores in Kafka, of which
    `facts` are different ones: the rest was said again.
    """

    at: str
    commit: str
    seed: int
    killed: Mapping[str, int]
    done: Mapping[str, int]
    rebalances: int
    runs: int
    events: int
    messages: int
    facts: int
    found: Mapping[str, int]
    chaos_seconds: float
    settle_seconds: float
    longest_without_score: float
    silent_calms: int
    ended: Mapping[str, int]
    outage: Mapping[str, Any] | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing differed."""
        return sum(self.found.values()) == 0

    def __str__(self) -> str:
        """For people, on a few lines."""
        lines = [
            (
                f"seed {self.seed}: {sum(self.killed.values())} kills ({_counts(self.killed)}) in "
                f"{self.chaos_seconds:.0f} s"
            ),
            f"  done: {_counts(self.done)}; {self.rebalances} rebalances",
            (
                f"  {self.runs} runs, {self.events} events; {self.messages} decided scores in Kafka, "
                f"{self.facts} different"
            ),
            f"  longest time without a new score {self.longest_without_score:.0f} s; "
            f"settled after {self.settle_seconds:.0f} s",
            "  " + ", ".join(f"{self.found[name]} {name}" for name in VERDICT),
        ]
        return "\n".join(lines)


def append(log: Path, report: Report) -> None:
    """Add it to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(json.dumps(asdict(report)) + "\n")


def read(log: Path) -> list[Report]:
    """All runs of a log."""
    return [Report(**json.loads(line)) for line in log.read_text().splitlines() if line]


def totals(reports: Iterable[Report]) -> str:
    """A table of the runs and their sums, in Markdown."""
    reports = list(reports)
    head = ["seed", "kills", "rebalances", "runs", "events", *VERDICT, "settled after", "commit"]
    rows = [
        [
            report.seed,
            sum(report.killed.values()),
            report.rebalances,
            report.runs,
            report.events,
            *(report.found[name] for name in VERDICT),
            f"{report.settle_seconds:.0f} s",
            report.commit,
        ]
        for report in reports
    ]
    killed = sum((Counter(report.killed) for report in reports), Counter())
    done = sum((Counter(report.done) for report in reports), Counter())
    found = [sum(report.found[name] for report in reports) for name in VERDICT]
    amounts = [(report.rebalances, report.runs, report.events) for report in reports]
    sums = [sum(column) for column in zip(*amounts, strict=True)]
    rows.append(["**all**", killed.total(), *sums, *found, "", f"{len(reports)} runs"])
    return "\n".join(
        [
            _row(head),
            _row(["---"] * len(head)),
            *(_row(row) for row in rows),
            "",
            f"Killed: {_counts(killed)}.",
            f"Done: {_counts(done)}.",
        ]
    )


def commit() -> str:
    """What was tested, in short; `+` where files have been changed since."""
    folder = Path(__file__).parent
    name = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(name, capture_output=True, text=True, cwd=folder).stdout.strip()


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {name}" for name, count in ordered) or "nothing"


__all__ = ["VERDICT", "Report", "append", "commit", "read", "totals"]
