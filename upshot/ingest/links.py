"""`/v1/links/…`: GET shows the outcome of a link, POST records. Mail scanners and previews only GET."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from aiohttp import web

from upshot.errors import ConfigurationError, InvalidEvent, LinkRefused
from upshot.ingest.answers import Problem
from upshot.ingest.link_page import link_page
from upshot.ingest.sending import IngestProducer
from upshot.links import Link, read_link
from upshot.settings import Settings
from upshot.streams.events.checking import check
from upshot.streams.events.topics import TOPICS

#: The button may post to this server; all else is as on every page.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Robots-Tag": "noindex, nofollow",
}


class LinkRoutes:
    """Records the outcomes of signed links; each link has its outcome's id, so that two clicks count once."""

    def __init__(self, settings: Settings, producer: IngestProducer) -> None:
        self._settings = settings
        self._producer = producer

    def admit(self, request: web.Request) -> None:
        """Raises Problem for a link not signed by us."""
        self._link(request)

    async def show(self, request: web.Request, body: bytes) -> web.Response:
        """The outcome to be recorded, and a button."""
        return _page(200, link=self._link(request))

    async def record(self, request: web.Request, body: bytes) -> web.Response:
        """Record the outcome, and say so once all replicas have it."""
        link = self._link(request)
        event = {
            "specversion": "1.0",
            "type": link.type,
            "subject": link.subject,
            "id": link.id,
            "source": "link",
            "data": link.data,
        }
        try:
            checked = check(TOPICS["outcomes"], json.dumps(event, ensure_ascii=False).encode())
        except InvalidEvent as error:
            raise Problem(400, f"{error.detail}; nothing was recorded") from None
        await self._producer.send([checked])
        return _page(200, link=link, recorded=True)

    def _link(self, request: web.Request) -> Link:
        try:
            return read_link(request.match_info["token"], self._settings, datetime.now(UTC))
        except LinkRefused as refusal:
            raise Problem(410 if refusal.expired else 403, str(refusal)) from None
        except ConfigurationError:
            raise Problem(404, "links aren't set up here; nothing was recorded") from None


def as_page(request: web.Request, problem: Problem) -> web.Response:
    """The problem as a page for people."""
    response = _page(problem.status, trouble=problem.detail)
    response.headers.update(problem.headers)
    return response


def _page(
    status: int, *, link: Link | None = None, recorded: bool = False, trouble: str = ""
) -> web.Response:
    text = link_page(link, recorded=recorded, trouble=trouble)
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)


__all__ = ["LinkRoutes", "as_page"]
