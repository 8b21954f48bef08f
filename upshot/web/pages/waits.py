"""`/waits`: open waits and follow-ups, the next deadline first."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from upshot.insights.pages.explain import rule_in_words
from upshot.insights.pages.waits import (
    WAIT_STATES,
    WaitFilter,
    deadlines_query,
    rules_of_waits,
    wait_counts,
    waits_query,
)
from upshot.web.charts.plot import Plot, Span, stacked_bars
from upshot.web.formats import instant_of
from upshot.web.parameters import place
from upshot.web.site import PageRequest
from upshot.web.views import View

_SCREEN = 50
_NEVER = "2200-01-01 00:00:00"


async def waits(asked: PageRequest) -> View:
    """The list of one state."""
    wanted = WaitFilter(
        state=asked.query.choice("state", tuple(WAIT_STATES), "open"),
        agent=asked.query.text("agent"),
        name=asked.query.text("name"),
        after=asked.query.after(),
    )
    query = waits_query(wanted)
    ahead = deadlines_query(wanted)
    found, counts, days = await asyncio.gather(
        asked.read(query.first, asked.reader, _SCREEN),
        asked.counted(wait_counts()),
        asked.counted(ahead),
    )
    rules = await asked.read(rules_of_waits, asked.reader, found.rows)
    shown = [
        {**row, "rule_in_words": rule_in_words(rule) if (rule := rules.get(row["wait_id"])) else ""}
        for row in found.rows
    ]
    next_place = None
    if found.more:
        last = found.rows[-1]
        next_place = place(last["deadline"] or _NEVER, last["wait_id"])
    data = {"waits": shown, "counts": {state: int(counts[0][f"waits {state}"]) for state in WAIT_STATES},
            "state": wanted.state, "next": next_place}  # fmt: skip
    extras = {"plot": _ahead(asked, days), "wanted": wanted, "ahead": ahead}
    return View("waits.html", "Waits", data, extras, export=query)


def _ahead(asked: PageRequest, days: list[dict[str, object]]) -> Plot:
    counts = [
        (at, "overdue" if at + timedelta(days=1) < asked.now else "pending", float(str(row["waits"])))
        for row in days
        if (at := instant_of(row["bucket"]))
    ]
    if len(counts) < 2:
        return Plot("")
    span = Span(min(at for at, _, _ in counts), max(at for at, _, _ in counts) + timedelta(days=1))
    return stacked_bars(
        "Deadlines by day", span, 86_400, counts, ("pending", "overdue"), time_label=asked.frame.clock.at
    )


__all__ = ["waits"]
