"""`/subjects/{subject}`: why a wait is still pending; `/r/{id}`: whatever has this id."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from upshot.ingest.answers import Problem
from upshot.ingest.sending import IngestProducer
from upshot.insights.pages import subjects as stored
from upshot.insights.pages.explain import instant, rule_in_words, why_pending
from upshot.insights.pages.query import Row
from upshot.schemas.withdrawals import WaitCancellation
from upshot.streams.events.outgoing import outgoing
from upshot.streams.events.topics import TOPICS
from upshot.web.actions import confirmed_reason, log_action
from upshot.web.charts.waterfall import Afterwards, Happening, afterwards
from upshot.web.formats import score_value
from upshot.web.site import PageRequest
from upshot.web.urls import Url, url
from upshot.web.views import View

_OUTCOMES = 200


async def subject(asked: PageRequest) -> View:
    """The page of one subject."""
    return await _view(asked)


class WaitCancelling:
    """Cancels waits that nobody needs any more."""

    def __init__(self, producer: IngestProducer) -> None:
        self._producer = producer

    async def cancel(self, asked: PageRequest) -> View:
        """End one wait about the subject, and log who did so and why."""
        about, form = asked.part("subject"), await asked.request.post()
        why, wait_id = confirmed_reason(form, "nothing was cancelled"), str(form.get("wait_id", ""))
        if not await asked.read(stored.is_still_pending, asked.reader, about, wait_id):
            raise Problem(
                409, f"no wait {wait_id[:200]!r} about {about[:200]!r} is pending; nothing was cancelled"
            )
        event = WaitCancellation(wait_id=wait_id, subject=about, cancelled_at=asked.now)
        await self._producer.send([outgoing(TOPICS["waits"].name, about, event)])
        log_action(f"cancelled the wait {wait_id} about {about}", asked.request.remote, asked.frame.role, why)
        return await _view(asked, cancelled=wait_id)


async def _view(asked: PageRequest, cancelled: str = "") -> View:
    name = asked.part("subject")
    query = stored.subject_outcomes(name)
    of_waits, of_scores = stored.subject_waits(name), stored.subject_scores(name)
    outcomes, found, decided = await asyncio.gather(
        asked.read(query.first, asked.reader, _OUTCOMES),
        asked.read(of_waits.first, asked.reader, stored.MOST),
        asked.read(of_scores.first, asked.reader, stored.MOST),
    )
    waits, scores = found.rows, decided.rows
    nearest: list[str] = []
    if not (outcomes.rows and waits):
        nearest = await asked.read(stored.nearest_subjects, asked.reader, name)
    if not (outcomes.rows or waits or scores):
        links = [{"text": each, "link": url("/subjects", each)} for each in nearest]
        raise Problem(404, f"nothing was told about a subject {name[:200]!r}", nearest=links)
    explained = [
        {
            **wait,
            "rule_in_words": rule_in_words(wait["rule"]),
            "why": why_pending(wait, outcomes.rows, asked.now) if wait["is_pending"] else [],
            "score": next((one for one in scores if one["wait_id"] == wait["wait_id"]), None),
        }
        for wait in waits
    ]
    data = {"subject": name, "waits": explained, "outcomes": outcomes.rows, "more_outcomes": outcomes.more,
            "scores": scores, "nearest": nearest, "more_waits": found.more,
            "more_scores": decided.more}  # fmt: skip
    extras = {
        "cancelled": cancelled,
        "after": _timeline(waits, outcomes.rows, scores, asked),
        "all_waits": of_waits if found.more else None,
        "all_scores": of_scores if decided.more else None,
        "all_outcomes": query if outcomes.more else None,
    }
    return View("subject.html", f"Subject {name}", data, extras, export=query)


def _timeline(
    waits: Sequence[Row], outcomes: Sequence[Row], scores: Sequence[Row], asked: PageRequest
) -> Afterwards | None:
    found = [Happening(instant(one["time"]), "outcome", one["type"], one["source"]) for one in outcomes]
    for wait in waits:
        link = url("/runs", wait["run_id"])
        found.append(
            Happening(
                instant(wait["opened_at"]), "wait", f"a run waits for {wait['name']}", wait["run_id"], link
            )
        )
        found.append(
            Happening(
                instant(wait["deadline"]), "deadline", f"deadline of {wait['name']}", wait["run_id"], link
            )
        )
    for row in scores:
        kind = "score" if int(row["revision"]) == 1 else "revision"
        text = f"{row['name']} is {score_value(row)}"
        found.append(
            Happening(
                instant(row["decided_at"]), kind, text, f"by {row['reason']}", url("/runs", row["run_id"])
            )
        )
    if not found:
        return None
    start = min(each.at for each in found) - timedelta(seconds=1)
    return afterwards(found, start, asked.now)


async def any_id(asked: PageRequest) -> View | web.StreamResponse:
    """Leads to the one thing with an id, or shows all of them."""
    ident = asked.part("id") if asked.request.match_info else asked.query.text("id").strip()
    if not ident:
        raise Problem(400, "name an id or a subject: /r/<id>")
    found = await asked.read(stored.find_any, asked.reader, ident)
    places = [{"kind": each.kind, "text": each.about, "link": _address(each)} for each in found]
    links = list(dict.fromkeys(place["link"] for place in places))
    is_json = asked.means_json
    if len(links) == 1 and not is_json:
        raise web.HTTPFound(str(links[0]))
    if not places:
        raise Problem(404, f"nothing has the id {ident[:200]!r}", nearest=await _nearest(asked, ident))
    return View("any.html", f"What is {ident}?", {"id": ident, "places": places})


async def _nearest(asked: PageRequest, ident: str) -> list[dict[str, Any]]:
    runs, subjects = await asyncio.gather(
        asked.read(stored.nearest_runs, asked.reader, ident),
        asked.read(stored.nearest_subjects, asked.reader, ident),
    )
    return [{"text": each, "link": url("/runs", each)} for each in runs] + [
        {"text": each, "link": url("/subjects", each)} for each in subjects
    ]


def _address(found: stored.Identified) -> Url:
    match found.kind:
        case "subject" | "outcome":
            return url("/subjects", found.about)
        case "dead letter":
            return url("/dead-letters", found.about)
        case "experiment":
            return url("/experiments", found.about)
        case "alert" | "notice":
            return url("/alerts", found.about)
        case _:
            return url("/runs", found.about, step=found.step_id)


__all__ = ["WaitCancelling", "any_id", "subject"]
