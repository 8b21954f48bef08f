"""The output of `upshot rescore`: counts and means by score, differing scores, unknown results."""

from __future__ import annotations

from typing import Any, get_args

from upshot.cli.terminal import note, say, say_json, say_table
from upshot.rescoring.difference import Difference, Moved, What

_WHATS: tuple[What, ...] = get_args(What)


def say_difference(
    result: Difference, version: str, limit: int, as_json: bool, *, written: int, promoted: bool
) -> None:
    """Print the whole difference, as tables or as JSON (with every differing score)."""
    if as_json:
        say_json(_plain(result, version) | {"promoted": written})
        return
    rows = [
        (s.name, *(s.counts.get(what, 0) for what in _WHATS), s.mean_before, s.mean_after)
        for s in result.summaries
    ]
    say_table(("score", *_WHATS, "mean before", "mean after"), rows, empty="no follow-up has come to its end")
    differing = result.differing
    if differing[:limit]:
        say()
        say_table(
            ("run", "step", "score", "what", "before", "after"),
            [(m.origin.run_id, m.step_id, _named(m), m.what, m.before, m.after) for m in differing[:limit]],
        )
    say()
    if len(differing) > limit:
        note(f"{len(differing):,} differ in all; --limit shows more, --json all")
    for line in _others(result):
        note(line)
    if promoted:
        note(f"{written:,} revisions written, of version {version}")
    elif differing:
        note(f"nothing was written; --promote writes {len(differing):,} revisions, of version {version}")


def _others(result: Difference) -> list[str]:
    """Lines about follow-ups without compared scores."""
    lines = []
    if waiting := result.endings.get("waiting", 0):
        lines.append(f"{waiting:,} still wait for events to come; not compared")
    if steps := result.endings.get("steps", 0):
        lines.append(
            f"{steps:,} need steps whose results aren't recorded ({', '.join(result.steps)}); not "
            "compared: --yes-steps runs the steps, with all their side effects"
        )
    lines += [f"{count:,} failed; not compared: {error}" for error, count in sorted(result.errors.items())]
    if result.deferred:
        lines.append(
            f"{result.deferred:,} further follow-ups deferred by the code are neither deferred nor run"
        )
    return lines


def _named(moved: Moved) -> str:
    return moved.name if moved.key is None else f"{moved.name}[{moved.key}]"


def _plain(result: Difference, version: str) -> dict[str, Any]:
    return {
        "version": version,
        "scores": [
            {
                "name": s.name,
                **{what: s.counts.get(what, 0) for what in _WHATS},
                "mean_before": s.mean_before,
                "mean_after": s.mean_after,
            }
            for s in result.summaries
        ],
        "differing": [
            {
                "run_id": m.origin.run_id,
                "followup_id": m.origin.followup_id,
                "score_id": m.score_id,
                "step_id": m.step_id,
                "name": m.name,
                "key": m.key,
                "what": m.what,
                "before": m.before,
                "after": m.after,
            }
            for m in result.differing
        ],
        "endings": dict(result.endings),
        "errors": dict(result.errors),
        "steps": list(result.steps),
        "deferred": result.deferred,
    }


__all__ = ["say_difference"]
