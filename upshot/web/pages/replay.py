"""`/runs/{run}/replay`: a recorded replay beside the run that it repeats, step by step."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from upshot.errors import ReplayRefused
from upshot.ingest.answers import Problem
from upshot.insights.pages.query import PageQuery
from upshot.replays.comparison import compared, figures, scored
from upshot.replays.history import ClickHouseHistory, Story
from upshot.replays.recorded import recorded_of
from upshot.web.site import PageRequest
from upshot.web.urls import url
from upshot.web.views import View

#: Lines of steps that the page shows; characters of a result.
_LINES, _RESULT = 1_000, 4_000

#: The steps of a replay that it ran, beside those that they repeat.
_BESIDE = """\
SELECT step.name AS name, before.output AS before, step.output AS after, before.cost_usd AS cost_before,
    step.cost_usd AS cost_after, step.step_id AS step_id
FROM steps AS step
LEFT JOIN (SELECT step_id, output, cost_usd FROM steps WHERE run_id = {before:String}) AS before
    ON before.step_id = step.attributes['replayed_from']
WHERE step.run_id = {run:String} AND step.attributes['recorded'] = ''
ORDER BY step.started_at, step.step_id"""


async def replay(asked: PageRequest) -> View:
    """Both runs. Raises Problem for a run that repeats none, with where its own replays are."""
    run_id = asked.part("run")
    history = ClickHouseHistory(asked.reader)
    after = await asked.read(_story, history, run_id)
    before_id = str(after.run.attributes.get("replayed_from", ""))
    if after.run.origin != "replay" or not before_id:
        replays = {"text": "its replays", "link": replays_of(run_id)}
        raise Problem(404, f"{run_id[:200]} repeats no other run", nearest=[replays])
    before = await asked.read(_story, history, before_id)
    data = await asked.read(_data, before, after)
    lines = data["steps"]
    extras = {
        "lines": lines[:_LINES],
        "more": max(0, len(lines) - _LINES),
        "differing": [line for line in lines if line.what == "changed" and line.before and line.after],
        "longest": _RESULT,
    }
    query = PageQuery(_BESIDE, {"run": run_id, "before": before_id})
    return View("replay.html", f"Replay {run_id}", data, extras, export=query)


def replays_of(run_id: str) -> str:
    """The address of the list of a run's replays."""
    return url("/runs", query={"origin": "replay", "attr.replayed_from": run_id})


def _story(history: ClickHouseHistory, run_id: str) -> Story:
    try:
        return history.read(run_id)
    except ReplayRefused:
        raise Problem(404, f"nobody has told of a run {run_id[:200]!r}") from None


def _data(before: Story, after: Story) -> dict[str, Any]:
    try:
        return _compared(before, after)
    except RecursionError:
        raise Problem(422, "steps of these runs lie too deep inside one another to be compared") from None


def _compared(before: Story, after: Story) -> dict[str, Any]:
    was, now = recorded_of(before), recorded_of(after)
    return {
        "run_id": after.run.run_id,
        "replayed_from": before.run.run_id,
        "replayed_step": str(after.run.attributes.get("replayed_step", "")),
        "agent": after.run.agent,
        "before": figures(was),
        "after": figures(now),
        "steps": list(compared(was, now)),
        "scores": [asdict(each) for each in scored(was, before.scores, now, after.scores)],
    }


__all__ = ["replay", "replays_of"]
