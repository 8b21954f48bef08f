"""The output of `upshot replay`: the steps of a run, and two runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from upshot.cli.terminal import cell, note, say, say_json, say_table
from upshot.replays import ComparedStep, Replayed, ReplayTotals
from upshot.replays.recorded import Recorded

_COLUMNS = ("step", "", "seconds", "tokens", "cost_usd")


def say_steps(top: Recorded, as_json: bool) -> None:
    """Print the steps from which a replay may begin, in the order in which they began."""
    steps = sorted((node for node in top.all() if node is not top), key=lambda node: node.place)
    ours = [node for node in steps if node.instrumentation is None]
    if as_json:
        say_json([{"step": node.label, "step_id": node.id, "started_at": node.started_at} for node in ours])
        return
    say_table(
        ("step", "kind", "status", "started_at", "step_id"),
        [
            (node.label, node.last.kind, node.last.status, node.started_at, node.id)
            for node in ours
            if node.last is not None
        ],
        empty="this run has no steps of its own code",
    )
    note("begin from a step: --from STEP --app MODULE:NAME")


def say_replayed(result: Replayed, as_json: bool, *, recorded: bool) -> None:
    """Print both runs, step by step; differences in full."""
    if as_json:
        say_json(_plain(result))
        return
    say_table(_COLUMNS, [_row(line) for line in result.lines], empty="the code asked for no step")
    if result.scores:
        say()
        say_table(
            ("score", "step", "before", "after"), [(s.name, s.step, s.before, s.after) for s in result.scores]
        )
    for name, before, after in _changed(result):
        say()
        say(name, style="bold")
        say(f"  before  {before}")
        say(f"  after   {after}")
    say()
    for topic, event in result.withheld:
        subject = f" about {event['subject']}" if "subject" in event else ""
        note(f"not emitted: {topic}{subject} ({event.get('name') or event.get('type') or topic})")
    for line in result.notes:
        note(line)
    recording = "recorded as a replay" if recorded else "not recorded"
    note(f"run {result.run_id} ({recording}) repeats {result.replayed_from} from {result.replayed_step}")


def _row(line: ComparedStep) -> tuple[str, ...]:
    return (
        "  " * line.depth + line.name,
        line.what,
        _both(line, lambda f: f"{f.seconds:.3f}" if f.seconds is not None else ""),
        _both(line, lambda f: cell(f.tokens)),
        _both(line, lambda f: cell(f.cost_usd)),
    )


def _both(line: ComparedStep, shown: Callable[[ReplayTotals], str]) -> str:
    """Before and after; only one of both where the other adds nothing."""
    before = shown(line.before) if line.before else ""
    after = shown(line.after) if line.after else ""
    if line.what == "recorded" or before == after or not (before or after):
        return before
    return f"{before or '-'} → {after or '-'}"


def _changed(result: Replayed) -> Iterator[tuple[str, str, str]]:
    for line in result.lines:
        if line.what == "changed" and line.before and line.after:
            yield line.name, line.before.result, line.after.result
    if result.before.result != result.after.result:
        yield f"{result.agent} (the run)", result.before.result, result.after.result


def _plain(result: Replayed) -> dict[str, Any]:
    """For a program: all but the Python objects."""
    about = ("run_id", "replayed_from", "replayed_step", "agent")
    return {name: getattr(result, name) for name in about} | {
        "before": asdict(result.before),
        "after": asdict(result.after),
        "steps": [asdict(line) for line in result.lines],
        "scores": [asdict(score) for score in result.scores],
        "withheld": [{"topic": topic, "event": event} for topic, event in result.withheld],
        "notes": list(result.notes),
    }


__all__ = ["say_replayed", "say_steps"]
