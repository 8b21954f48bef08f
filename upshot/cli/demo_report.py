"""The demo's output: progress, numbers, and where to look next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from upshot.cli.terminal import note, notes, say, say_json, say_table
from upshot.demo.latency import POLL, RATE
from upshot.demo.plan import Plan
from upshot.demo.play import Play
from upshot.demo.pulls import PullRequest
from upshot.demo.result import Result, ResultLine
from upshot.settings import Settings

_NO_LANGUAGE = "(none)"


class Bars:
    """A bar for each stage on a terminal; elsewhere a line when the stage is done."""

    def __init__(self) -> None:
        console = notes()
        self._plain = not console.is_terminal
        self._bars = Progress(
            TextColumn("{task.description:<20}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._done: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bars as they stand."""
        if not self._plain:
            self._bars.stop()

    def note(self, line: str) -> None:
        """A line above the bars."""
        note(line, style="dim")

    def progress(self, stage: str, done: int, total: int) -> None:
        """So much of a stage is done."""
        if self._plain:
            if done == total and stage not in self._done:
                self._done.add(stage)
                note(f"{stage}: {done:,} of {total:,}")
            return
        if stage not in self._tasks:
            self._bars.start()
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.update(self._tasks[stage], completed=done)


def say_result(
    result: Result, played: Play, wrong: Sequence[str], plan: Plan, pulls: Sequence[PullRequest]
) -> None:
    """The tables, the times, and whether they match the file."""
    say()
    _say_lines("Merged pull requests by language", "language", result.languages, result.total)
    say()
    # Last, since the languages may fill a screen.
    _say_lines("Merged pull requests by agent", "agent", result.agents, result.total)
    say()
    for name, text in _facts(played, plan, pulls):
        say(f"{name:<11}{text}")
    for line in wrong:
        say(f"differs: {line}", style="bold red")
    say(f"matches the file: {'no' if wrong else 'yes'}", style="bold red" if wrong else "bold green")


def _facts(played: Play, plan: Plan, pulls: Sequence[PullRequest]) -> Iterator[tuple[str, str]]:
    yield "events", f"{played.sent:,} of {len(pulls):,} pull requests, in a mixed order:"
    yield "", f"{plan.early:,} outcomes were sent before their wait, {plan.twice:,} twice"
    yield "speed", f"the bulk, {len(plan.bulk):,} events, was scored and stored in {played.seconds:.1f} s"
    if played.latency is None:
        yield "latency", "not measured, since nothing was closed"
    else:
        p50, p99 = (round(1000 * played.latency.quantile(q)) for q in (0.5, 0.99))
        yield "latency", f"from outcome sent to score queryable: p50 {p50} ms, p99 {p99} ms"
        count = len(played.latency.seconds)
        yield (
            "",
            (
                f"({count:,} outcomes, {RATE:g} a second; a poll every {POLL * 1000:g} ms, its own time "
                "included)"
            ),
        )
    yield "times", "generated, since the data has none: attribute `times` of each run"
    if known := sum(pull.merged_at is not None for pull in pulls):
        yield "", f"(the {known:,} merge times that the data has are real)"


def _say_lines(title: str, group: str, lines: Sequence[ResultLine], total: ResultLine) -> None:
    rows = [_row(line.group or _NO_LANGUAGE, line) for line in lines]
    columns = (group, "scored", "merged", "merged %", "pending")
    say_table(columns, [*rows, _row("total", total)], title=title, bold_last=True)


def _row(name: str, line: ResultLine) -> tuple[str, ...]:
    rate = "" if line.rate_percent is None else f"{line.rate_percent:.1f}"
    return name, f"{line.scored:,}", f"{line.merged:,}", rate, f"{line.pending:,}"


def say_json_result(result: Result, played: Play, wrong: Sequence[str]) -> None:
    """The same for a program."""
    latency = played.latency
    say_json(
        {
            "by_agent": [asdict(line) for line in result.agents],
            "by_language": [asdict(line) for line in result.languages],
            "total": asdict(result.total),
            "events": played.sent,
            "seconds": round(played.seconds, 3),
            "latency": latency
            and {
                "outcomes": len(latency.seconds),
                "p50": round(latency.quantile(0.5), 4),
                "p99": round(latency.quantile(0.99), 4),
            },
            "matches": not wrong,
            "differences": list(wrong),
        }
    )


def say_next(
    settings: Settings, ports_file: Path, keep: bool, data_dir: Path | None, more: Sequence[str] = ()
) -> None:
    """Where to look next; `more` are commands against the stack while the stack runs."""
    say()
    if keep:
        ports = json.loads(ports_file.read_text())
        there = f"--data-dir {settings.data_dir}"
        say("Everything still runs:", style="bold")
        say(f"  Web page    http://127.0.0.1:{ports['web']}")
        say(f"  ClickHouse  http://127.0.0.1:{ports['clickhouse']}  Kafka  {settings.kafka_url}")
        for command in more or (f"upshot query --question scores-by-agent {there}",):
            say(f"  {command}")
        say(f"  upshot pending {there}")
        removed = "" if data_dir is not None else " and removes its data"
        say(f"Ctrl-C stops the stack{removed}.", style="dim")
    else:
        say("Next:", style="bold")
        if data_dir is not None:
            say(f"  upshot up --data-dir {data_dir}    the same data, to look around")
        else:
            again = "upshot demo --experiment --keep" if more else "upshot demo --keep"
            say(f"  {again:34} leaves the stack running, to look around")
        say("  upshot up                          your own: Kafka, ClickHouse, worker, web page")


__all__ = ["Bars", "say_json_result", "say_next", "say_result"]
