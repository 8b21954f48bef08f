"""`/runs`: every run of a filter that stands in the address, with its scores and what is pending."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from aiohttp import web

from upshot.ingest.answers import Problem
from upshot.insights.pages.query import PageQuery
from upshot.insights.pages.runs import (
    ATTRIBUTE_NAMES,
    RUN_CHOICES,
    RunFilter,
    ScoreCondition,
    pending_of_runs,
    reach_of_runs,
    runs_over_time,
    runs_query,
    scores_of_row,
)
from upshot.web.charts.plot import NO_PLOT, Plot, Span, bucket_seconds, stacked_bars
from upshot.web.formats import instant_of
from upshot.web.parameters import Parameters, place
from upshot.web.site import PageRequest
from upshot.web.views import View

_SCREEN = 50
_MOST_CONDITIONS = 8
_STATUSES = ("completed", "failed", "running", "cancelled")


def run_filter(query: Parameters) -> RunFilter:
    """The filter in the parameters. Raises Problem and ConfigurationError with how to write it."""
    scores = [ScoreCondition.parse(text) for text in query.texts("score")]
    name, value = attribute_of(query)
    attributes = {name: value for name, value in query.beginning_with("attr.").items() if value}
    attributes |= {name: value} if name else {}
    if len(scores) + len(attributes) > _MOST_CONDITIONS:
        raise Problem(400, f"a filter has at most {_MOST_CONDITIONS} conditions on scores and attributes")
    experiment, _, variant = query.text("variant").partition(":")
    return RunFilter(
        agent=query.text("agent"),
        status=query.text("status"),
        origin=query.text("origin"),
        version=query.text("version"),
        session=query.text("session"),
        scores=scores,
        attributes=attributes,
        variant=(experiment, variant) if experiment else None,
        since=query.instant("since"),
        until=query.instant("until"),
        after=_after(query),
    )


def _after(query: Parameters) -> tuple[datetime, str] | None:
    found = query.after()
    if found and not (found[1].isascii() and found[1].isdigit() and len(found[1]) < 40):
        raise Problem(400, "the place in the list can't be read: begin at its start")
    return found


def attribute_of(query: Parameters) -> tuple[str, str]:
    """Name and value of an attribute as the form has them; both empty where nothing was written.

    Raises Problem where one of them is missing.
    """
    name, value = query.text("attribute").strip(), query.text("value").strip()
    if bool(name) != bool(value):
        raise Problem(400, "a condition on an attribute needs its name and its value, such as tier and pro")
    return name, value


def _lead_on(asked: PageRequest) -> None:
    """The form's fields of an attribute become the one parameter of the address."""
    name, value = attribute_of(asked.query)
    if name and not asked.means_json and not asked.query.text("format"):
        form = {"attribute": None, "value": None, "after": None}
        raise web.HTTPFound(asked.frame.here(**form, **{f"attr.{name}": value}))


async def runs(asked: PageRequest) -> View:
    """The list."""
    _lead_on(asked)
    wanted = run_filter(asked.query)
    query = runs_query(wanted)
    [reach], choices, names = await asyncio.gather(
        asked.counted(reach_of_runs(wanted)), asked.counted(RUN_CHOICES), asked.counted(ATTRIBUTE_NAMES)
    )
    found, (plot, over_time) = await asyncio.gather(
        asked.read(query.first, asked.reader, asked.query.whole("limit", _SCREEN, 1, 500)),
        _over_time(asked, wanted, reach),
    )
    pending = await asked.read(pending_of_runs, asked.reader, [row["run_id"] for row in found.rows])
    rows = [{**row, "scores": scores_of_row(row), "pending": pending[row["run_id"]]} for row in found.rows]
    next_place = place(rows[-1]["at"], rows[-1]["key"]) if found.more else None
    return View(
        "runs.html",
        "Runs",
        {"runs": rows, "total": int(reach["runs"]), "next": next_place},
        {
            "wanted": asdict(wanted),
            "texts": asked.query.texts("score"),
            "agents": sorted(choices[0]["agents"]),
            "statuses": sorted(choices[0]["statuses"]),
            "attribute_names": [row["name"] for row in names],
            "plot": plot,
            "over_time": over_time,
            "variant": asked.query.text("variant"),
        },
        export=query,
    )


async def _over_time(
    asked: PageRequest, wanted: RunFilter, reach: dict[str, object]
) -> tuple[Plot, PageQuery | None]:
    first, last = instant_of(reach["first_at"]), instant_of(reach["last_at"])
    if not int(str(reach["started"])) or not first or not last:
        return NO_PLOT, None
    start, end = wanted.since or first, wanted.until or last
    seconds = bucket_seconds(start, end)
    query = runs_over_time(wanted, seconds)
    rows = await asked.counted(query)
    counts = [
        (at, str(row["status"]), float(row["runs"])) for row in rows if (at := instant_of(row["bucket"]))
    ]
    begin = min([at for at, _, _ in counts] + [start])
    span = Span(begin, max(end, max(at for at, _, _ in counts) + timedelta(seconds=seconds)))
    plot = stacked_bars(
        f"Runs over time, {reach['runs']} in all",
        span,
        seconds,
        counts,
        _STATUSES,
        time_label=asked.frame.clock.at,
        link=lambda a, b: asked.frame.here(since=_iso(a), until=_iso(b), after=None),
    )
    return replace(plot, times=span), query


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["attribute_of", "run_filter", "runs"]
