"""Checks every request to the web server, whatever its path: well-formed, and meant for this server."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from upshot.ingest.access import Viewers
from upshot.ingest.answers import Problem, as_problem
from upshot.ingest.hosts import host_of, only
from upshot.settings import Settings
from upshot.web.connections import Connections

#: These paths look after themselves: by a key, a signature, a signed link.
_OWN_CHECKS = "/v1/"

Render = Callable[[web.Request, Problem], web.Response]


def guard(settings: Settings, connections: Connections, unknown: Render) -> Middleware:
    """A middleware. `connections` learns of each request, `unknown` answers requests without a route."""
    viewers = Viewers(settings)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        connections.has_asked(request.protocol)
        try:
            _check_form(request)
            if not request.path.startswith(_OWN_CHECKS):
                _check_viewer(viewers, request)
            return await handler(request)
        except Problem as problem:
            return as_problem(problem)
        except web.HTTPException as error:
            if error.status in (404, 405):
                return unknown(request, _problem_of(error))
            raise

    return guarded


def _check_form(request: web.Request) -> None:
    """Raises Problem for a request that programs and proxies could understand differently."""
    if host_of(only(request.headers.getall("Host", [])) or "") is None:
        raise Problem(400, "a request names one host, in one header Host; nothing was taken")
    if not request.raw_path.startswith("/") and request.raw_path != "*":
        raise Problem(400, "a request names a path that begins with /; nothing was taken")


def _check_viewer(viewers: Viewers, request: web.Request) -> None:
    here = request.transport.get_extra_info("sockname") if request.transport else None
    address = here[0] if isinstance(here, tuple) else None
    if why := viewers.misdirected(request.headers, address):
        raise Problem(421, why)
    if why := viewers.foreign_page(request.headers, address):
        raise Problem(403, why)


def _problem_of(error: web.HTTPException) -> Problem:
    allowed = sorted(error.allowed_methods) if isinstance(error, web.HTTPMethodNotAllowed) else []
    return Problem(error.status, "", headers={"Allow": ",".join(allowed)} if allowed else {})


class NoHeaders(logging.Filter):
    """Keeps a stranger's bytes out of the log: a malformed line may be the line with the key."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True: the record is written, without the line."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = record.exc_text = None
            record.msg, record.args = "a request that is no HTTP is refused: %s", (type(error).__name__,)
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


__all__ = ["NoHeaders", "guard"]
