"""Around the SQL page: save and delete queries, see how far one is, cancel it."""

from __future__ import annotations

from aiohttp import web
from pydantic import ValidationError

from upshot.ingest.answers import Problem
from upshot.schemas.saved_queries import SavedQuery
from upshot.web.actions import confirmed_reason, log_action
from upshot.web.running import RunningQueries
from upshot.web.saved import SavedQueries
from upshot.web.site import PageRequest
from upshot.web.urls import url

_UNSAVED = "nothing was saved"


class QueryActions:
    """The forms and the progress of one server's SQL page."""

    def __init__(self, running: RunningQueries, saved: SavedQueries) -> None:
        self._running = running
        self._saved = saved

    async def save(self, asked: PageRequest) -> web.StreamResponse:
        """Save SQL under a name; a name that is taken needs a confirmation."""
        form = await asked.request.post()
        about = str(form.get("why", "")).strip()
        if not about:
            raise Problem(400, f"say which question the query answers; {_UNSAVED}")
        fields = {name: str(form.get(name, "")).strip() for name in ("name", "sql", "x")}
        heights = [str(each) for each in form.getall("y", []) if each]
        try:
            query = SavedQuery.model_validate({**fields, "y": heights, "about": about, "saved_at": asked.now})
        except ValidationError as error:
            found = error.errors()[0]
            raise Problem(400, f"{found['loc'][0]}: {found['msg']}; {_UNSAVED}") from None
        if query.name in await self._saved.all() and form.get("replace") != "1":
            raise Problem(
                409,
                f"there is a query {query.name!r} already; {_UNSAVED}: replace it, or choose another name",
            )
        await self._saved.save(query)
        log_action(f"saved the query {query.name}", asked.request.remote, asked.frame.role, about)
        raise web.HTTPSeeOther(url("/insights/saved", query.name))

    async def delete(self, asked: PageRequest) -> web.StreamResponse:
        """Remove a saved query."""
        why = confirmed_reason(await asked.request.post(), "nothing was deleted")
        name = asked.part("name")
        if name not in await self._saved.all():
            raise Problem(404, f"there is no saved query {name[:200]!r}; nothing was deleted")
        await self._saved.delete(name)
        log_action(f"deleted the query {name}", asked.request.remote, asked.frame.role, why)
        raise web.HTTPSeeOther("/insights")

    async def progress(self, asked: PageRequest) -> web.StreamResponse:
        """How far a running query is."""
        return web.json_response(self._running.progress(asked.part("ticket")))

    async def cancel(self, asked: PageRequest) -> web.StreamResponse:
        """Stop a running query; its ticket is known to its page alone."""
        return web.json_response({"cancelled": self._running.cancel(asked.part("ticket"))})


__all__ = ["QueryActions"]
