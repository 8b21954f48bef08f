"""`/runs/{run}`: the run as a waterfall without payloads, one step's detail, and what happened afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from shlex import quote
from typing import Any

from upshot.ingest.answers import Problem
from upshot.ingest.sending import IngestProducer
from upshot.insights.pages import run as stored
from upshot.insights.pages.explain import instant, rule_in_words, why_pending
from upshot.insights.pages.query import Row, Slice
from upshot.insights.pages.subjects import nearest_runs
from upshot.schemas.resumptions import Resumption
from upshot.sdk.tracing import INSTRUMENTATION
from upshot.streams.events.outgoing import outgoing
from upshot.streams.events.topics import TOPICS
from upshot.web.actions import confirmed_reason, log_action
from upshot.web.charts.waterfall import Afterwards, Happening, afterwards, waterfall
from upshot.web.formats import instant_of, score_value
from upshot.web.pages.home import command_words
from upshot.web.pages.replay import replays_of
from upshot.web.rendering import Payload
from upshot.web.site import PageRequest
from upshot.web.urls import url
from upshot.web.views import View

#: Steps on one screen.
_SCREEN = 500
_MOST_SKIPPED = 10_000_000
_MOST = {
    "revisions": stored.MOST,
    "waits": stored.MOST,
    "exposures": stored.MOST_EXPOSURES,
    "followups": stored.MOST_EXPOSURES,
}


async def run(asked: PageRequest) -> View:
    """The page of one run; a run that nobody recorded has its waits and scores all the same."""
    return await _view(asked)


class FollowupRetrying:
    """Has failed follow-ups tried again."""

    def __init__(self, producer: IngestProducer) -> None:
        self._producer = producer

    async def retry(self, asked: PageRequest) -> View:
        """Have one follow-up of the run go on from its recorded steps, and log who did so and why."""
        run_id, form = asked.part("run"), await asked.request.post()
        why, followup_id = confirmed_reason(form, "nothing was tried again"), str(form.get("followup_id", ""))
        known = await asked.rows(stored.followups_query(run_id))
        if not any(each["followup_id"] == followup_id and each["status"] == "failed" for each in known):
            raise Problem(
                409, f"no follow-up {followup_id[:200]!r} of this run has failed; nothing was tried again"
            )
        event = Resumption(followup_id=followup_id, kind="retry")
        await self._producer.send([outgoing(TOPICS["resumptions"].name, followup_id, event)])
        log_action(
            f"retried the follow-up {followup_id} of {run_id}", asked.request.remote, asked.frame.role, why
        )
        return await _view(asked, retried=followup_id)


async def _view(asked: PageRequest, retried: str = "") -> View:
    run_id = asked.part("run")
    skip = asked.query.whole("from", 0, 0, _MOST_SKIPPED)
    reader = asked.reader
    queries = {
        "revisions": stored.revisions_query(run_id),
        "waits": stored.waits_query(run_id),
        "exposures": stored.exposures_query(run_id),
        "followups": stored.followups_query(run_id),
    }
    row, (steps, totals), *lists = await asyncio.gather(
        asked.read(stored.run_row, reader, run_id),
        asked.read(stored.steps_after, reader, run_id, skip, _SCREEN),
        *(asked.read(query.first, reader, _MOST[name]) for name, query in queries.items()),
    )
    cut = {name: queries[name] for name, found in zip(queries, lists, strict=True) if found.more}
    revisions, waits, exposures, followups = (found.rows for found in lists)
    if row is None and not (steps or revisions or waits or exposures or followups):
        nearest = await asked.read(nearest_runs, reader, run_id)
        links = [{"text": each, "link": url("/runs", each)} for each in nearest]
        raise Problem(404, f"nobody has told of a run {run_id[:200]!r}, nor of a score of one", nearest=links)
    subjects = list(dict.fromkeys(wait["subject"] for wait in waits))
    about = stored.outcomes_query(subjects)
    events = await asked.read(about.first, reader, stored.MOST) if subjects else Slice([])
    outcomes, cut = events.rows, cut | ({"outcomes": about} if events.more else {})
    start, end = _times(row, totals, steps)
    failed = [each["followup_id"] for each in followups if each["status"] == "failed"]
    failures = await asked.read(stored.failures_of, asked.reader, failed) if failed else {}
    step = await _step(asked, run_id) if asked.query.text("step") else None
    payload = await asked.read(stored.run_payload, reader, run_id) if asked.query.text("io") and row else None
    after = _afterwards(asked.now, end or start, waits, outcomes, revisions)
    data = {
        "run_id": run_id,
        "run": row,
        "steps": steps,
        "totals": totals,
        "revisions": revisions,
        "current": _current(revisions),
        "waits": [_explained(wait, outcomes, asked.now) for wait in waits],
        "outcomes": outcomes,
        "exposures": exposures,
        "followups": [{**each, "error": failures.get(each["followup_id"], "")} for each in followups],
        "step": step,
        "more": list(cut),
    }
    extras = {
        "retried": retried,
        "replays": replays_of(run_id),
        "replay_command": _replay_command(asked, step) if step else "",
        "lines": waterfall(steps, start, end) if steps and start and end else [],
        "start": start,
        "end": end,
        "skip": skip,
        "screen": _SCREEN,
        "after": after,
        "payload": _cut(payload) if payload else None,
        "detail": _cut(step) if step else None,
        "queries": {"steps": stored.steps_query(run_id), **queries},
        "cut": dict.fromkeys((*queries, "outcomes")) | cut,
    }
    return View("run.html", f"Run {run_id}", data, extras, export=stored.steps_query(run_id))


def _replay_command(asked: PageRequest, step: Row) -> str:
    """The command that replays a run from a step; empty for a span that is no step of an app's code."""
    if INSTRUMENTATION in step["attributes"]:
        return ""
    option = command_words(asked.site.settings)["option_here"]
    begin = f"upshot replay {quote(asked.part('run'))} --from {quote(step['step_id'])}"
    return f"{begin} --app MODULE:NAME{option}"


def _times(row: Row | None, totals: Row, steps: Sequence[Row]) -> tuple[datetime | None, datetime | None]:
    """When the run began and ended, from the run or else from its steps."""
    start = instant_of(row["started_at"]) if row else None
    end = instant_of(row["ended_at"]) if row else None
    first, last = instant_of(totals["first_at"]), instant_of(totals["last_at"])
    starts, ends = [at for at in (start, first) if at], [at for at in (end, last) if at]
    begin = min(starts, default=None)
    return begin, max([*ends, *( [begin] if begin else [])], default=None)  # fmt: skip


async def _step(asked: PageRequest, run_id: str) -> Row:
    step_id = asked.query.text("step")
    found = await asked.read(stored.step_payload, asked.reader, run_id, step_id)
    if found is None:
        raise Problem(404, f"this run has no step {step_id[:200]!r}")
    return found


def _cut(row: Row) -> dict[str, Any]:
    return {
        **row,
        "shown_input": Payload(row["shown_input"]),
        "shown_output": Payload(row["shown_output"]),
    }


def _current(revisions: Sequence[Row]) -> list[Row]:
    """The last revision of each score."""
    return list({row["score_id"]: row for row in revisions}.values())


def _explained(wait: Row, outcomes: Sequence[Row], now: datetime) -> Row:
    why = why_pending(wait, _about(outcomes, wait["subject"]), now) if wait["is_pending"] else []
    return {**wait, "why": why, "rule_in_words": rule_in_words(wait["rule"])}


def _about(outcomes: Sequence[Row], subject: str) -> list[Row]:
    return [one for one in outcomes if one["subject"] == subject]


def _afterwards(
    now: datetime,
    end: datetime | None,
    waits: Sequence[Row],
    outcomes: Sequence[Row],
    revisions: Sequence[Row],
) -> Afterwards | None:
    """Everything about the run's outcomes after its end; None where nothing is known of it."""
    found: list[Happening] = []
    for wait in waits:
        link = url("/subjects", wait["subject"])
        found.append(
            Happening(instant(wait["opened_at"]), "wait", f"waits for {wait['name']}", wait["subject"], link)
        )
        text = f"deadline of {wait['name']}"
        found.append(Happening(instant(wait["deadline"]), "deadline", text, wait["subject"], link))
    for one in outcomes:
        link = url("/subjects", one["subject"])
        found.append(Happening(instant(one["time"]), "outcome", one["type"], one["subject"], link))
    for row in revisions:
        kind = "score" if int(row["revision"]) == 1 else "revision"
        text = f"{row['name']} is {score_value(row)}" + (
            "" if kind == "score" else f", revision {row['revision']}"
        )
        detail = f"by {row['reason']}" + (", late" if row["late"] else "")
        found.append(Happening(instant(row["decided_at"]), kind, text, detail, url("/scores", row["name"])))
    if not found:
        return None
    return afterwards(found, end or min(each.at for each in found), now)


__all__ = ["FollowupRetrying", "run"]
