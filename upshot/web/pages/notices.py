"""`/alerts/notices`: what receivers were sent, the latest change first."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from upshot.insights.pages.notices import NOTICE_STATES, NoticeFilter, notice_counts, notices_query
from upshot.web.parameters import place
from upshot.web.site import PageRequest
from upshot.web.views import View

_SCREEN = 100


async def notices(asked: PageRequest) -> View:
    """The list of one filter."""
    wanted = NoticeFilter(
        state=asked.query.choice("state", tuple(NOTICE_STATES), "all"),
        receiver=asked.query.text("receiver"),
        rule=asked.query.text("rule"),
        since=asked.query.instant("since"),
        after=asked.query.after(),
    )
    query = notices_query(wanted)
    found, counts = await asyncio.gather(
        asked.read(query.first, asked.reader, _SCREEN), asked.rows(notice_counts(wanted))
    )
    next_place = place(found.rows[-1]["changed_at"], found.rows[-1]["notice_id"]) if found.more else None
    data = {
        "notices": found.rows,
        "counts": {state: int(counts[0][f"notices {state}"]) for state in NOTICE_STATES},
        "state": wanted.state,
        "next": next_place,
    }
    return View("notices.html", "Notices of alerts", data, {"wanted": asdict(wanted)}, export=query)


__all__ = ["notices"]
