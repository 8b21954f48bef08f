"""The record of a run: the nested runs, the steps of all these runs, the given scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from upshot.errors import ReplayRefused
from upshot.insights.reader import Reader
from upshot.schemas.runs import Run
from upshot.schemas.scores import Score
from upshot.schemas.steps import Step

_RUNS = """\
SELECT run_id, agent, version, status, started_at, ended_at, session_id, parent_run_id, origin, error, input,
       output, attributes
FROM runs"""
_STEPS = """\
SELECT run_id, step_id, attempt, parent_step_id, name, kind, status, started_at, ended_at, model,
       input_tokens, output_tokens, cost_usd, error, error_type, input, output, attributes
FROM steps
WHERE run_id IN splitByChar('\\n', {run_ids:String})"""
_SCORES = """\
SELECT run_id, step_id, name, value, kind
FROM current_scores
WHERE run_id = {run_id:String} AND reason = 'given'"""
_EXPOSURES = """\
SELECT run_id, experiment, variant
FROM exposures
WHERE run_id IN splitByChar('\\n', {run_ids:String})
ORDER BY exposed_at"""
_INSTANTS = ("started_at", "ended_at")


@dataclass(frozen=True)
class Story:
    """A run with its nested runs, their steps, the run's scores, and the variants given to all of them."""

    run: Run
    nested: Sequence[Run] = ()
    steps: Sequence[Step] = ()
    scores: Sequence[Score] = field(default=())
    #: By experiment; the outer run's before those of nested runs.
    variants: Mapping[str, str] = field(default_factory=dict)


class History(Protocol):
    """A source of recorded runs."""

    def read(self, run_id: str) -> Story:
        """The record of a run. Raises ReplayRefused for an unknown run, Unavailable."""


class ClickHouseHistory:
    """Reads the rows written by the store."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, run_id: str) -> Story:
        """See History."""
        found = self._runs("run_id = {of:String}", run_id)
        if not found:
            raise unknown(run_id)
        nested: list[Run] = []
        steps = self._steps([run_id])
        # Only a step of an agent can be a nested run: without such steps, all runs needn't be searched.
        around, seen = [run_id], steps
        while around and any(step.kind == "agent" for step in seen):
            inside = self._runs("has(splitByChar('\\n', {of:String}), parent_run_id)", "\n".join(around))
            around = [run.run_id for run in inside]
            seen = self._steps(around) if around else []
            nested += inside
            steps += seen
        rows = self._reader.query(_SCORES, {"run_id": run_id}).objects()
        runs = [run_id, *(run.run_id for run in nested)]
        exposed = self._reader.query(_EXPOSURES, {"run_ids": "\n".join(runs)}).objects()
        return Story(found[0], nested, steps, [_score(row) for row in rows], _variants(run_id, exposed))

    def _runs(self, where: str, of: str) -> list[Run]:
        rows = self._reader.query(f"{_RUNS}\nWHERE {where}", {"of": of}).objects()
        return [Run.model_validate(_plain(row)) for row in rows]

    def _steps(self, run_ids: Iterable[str]) -> list[Step]:
        rows = self._reader.query(_STEPS, {"run_ids": "\n".join(run_ids)}).objects()
        return [Step.model_validate(_plain(row)) for row in rows]


def story_of(
    run_id: str,
    runs: Iterable[Mapping[str, Any]],
    steps: Iterable[Mapping[str, Any]],
    scores: Iterable[Mapping[str, Any]],
    exposures: Iterable[Mapping[str, Any]] = (),
) -> Story:
    """The story assembled from events, a run's later events over the earlier. Raises ReplayRefused."""
    merged: dict[str, dict[str, Any]] = {}
    for event in runs:
        merged.setdefault(event["run_id"], {}).update(event)
    if run_id not in merged:
        raise unknown(run_id)
    known = [Run.model_validate(event) for event in merged.values()]
    inside = {run_id}
    while more := {run.run_id for run in known if run.parent_run_id in inside} - inside:
        inside |= more
    current = {
        score.identity: score
        for score in (Score.model_validate(event) for event in scores)
        if score.run_id == run_id
    }
    return Story(
        next(run for run in known if run.run_id == run_id),
        [run for run in known if run.run_id in inside and run.run_id != run_id],
        [step for step in (Step.model_validate(event) for event in steps) if step.run_id in inside],
        list(current.values()),
        _variants(run_id, [each for each in exposures if each["run_id"] in inside]),
    )


def _variants(run_id: str, exposures: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The first variant of each experiment; a nested run's counts where the outer run has none."""
    found: dict[str, str] = {}
    for each in sorted(exposures, key=lambda each: each["run_id"] != run_id):
        found.setdefault(each["experiment"], each["variant"])
    return found


def unknown(run_id: str) -> ReplayRefused:
    """The error for an unknown run."""
    return ReplayRefused(
        f'there is no run {run_id}; nothing was run: `upshot query "SELECT run_id, agent, started_at FROM '
        'runs ORDER BY started_at DESC LIMIT 10"` lists the latest'
    )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in the form of its event: without unknown fields, attributes with their original values."""
    columns = {name: value for name, value in row.items() if value not in (None, "")}
    for name in _INSTANTS:
        if name in columns:
            columns[name] = columns[name].replace(" ", "T") + "Z"
    for name in ("attempt", "input_tokens", "output_tokens"):
        if name in columns:
            columns[name] = int(columns[name])
    columns["attributes"] = {name: _value(text) for name, text in row["attributes"].items()}
    return columns


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _score(row: Mapping[str, Any]) -> Score:
    value = bool(row["value"]) if row["kind"] == "boolean" else float(row["value"])
    return Score(run_id=row["run_id"], step_id=row["step_id"], name=row["name"], value=value)


__all__ = ["ClickHouseHistory", "History", "Story", "story_of", "unknown"]
